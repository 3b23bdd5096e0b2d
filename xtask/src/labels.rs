//! `cargo xtask labels`: the labels of issues and pull requests, as the repository describes them.

use std::process::Command;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::{
    exit::{self, Exit, usage},
    process::{is_on_path, line, program, run as run_program},
    root,
};

/// Makes the labels in .github/labels.toml on GitHub, or changes them to what is written there.
///
/// Other labels stay. It needs gh, logged in, and works on the repository of the checkout; .github/workflows/labels.yml runs it when the
/// file changes.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::HELP)]
pub(crate) struct Args {
    /// Print what would be run.
    #[arg(long, env = "OUTRIGGER_DRY_RUN", value_parser = clap::builder::FalseyValueParser::new())]
    dry_run: bool,
}

/// Where labels are described.
const FILE: &str = ".github/labels.toml";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Labels {
    label: Vec<Label>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Label {
    name: String,
    description: String,
    /// Six hexadecimal digits.
    color: String,
}

pub(crate) fn run(args: &Args) -> Result<Exit> {
    if !args.dry_run && !is_on_path("gh") {
        return Err(usage(
            "gh is not installed: https://cli.github.com; --dry-run works without it",
        ));
    }
    for label in described()?.label {
        let mut create = label.create();
        if args.dry_run {
            println!("would run: {}", line(&create));
        } else {
            run_program(&mut create)?;
        }
    }
    Ok(Exit::Ok)
}

fn described() -> Result<Labels> {
    let text = std::fs::read_to_string(root().join(FILE))
        .with_context(|| format!("cannot read {FILE}"))?;
    toml_edit::de::from_str(&text).context(FILE)
}

impl Label {
    /// The command that makes the label, or changes the one of that name.
    fn create(&self) -> Command {
        let Self { name, description, color } = self;
        let mut command = program("gh");
        command.args(["label", "create", name, "--description", description]);
        command.args(["--color", color, "--force"]);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_is_explained_within_what_github_takes() {
        let labels = described().unwrap().label;
        assert!(!labels.is_empty());
        for Label { name, description, color } in labels {
            assert!((20..=100).contains(&description.len()), "{name}: {description}");
            assert!(
                color.len() == 6 && color.chars().all(|c| c.is_ascii_hexdigit()),
                "{name}: {color}"
            );
        }
    }

    #[test]
    fn forms_use_labels_that_exist() {
        let labels = described().unwrap().label;
        for form in ["bug", "feature", "plugin"] {
            let path = root().join(format!(".github/ISSUE_TEMPLATE/{form}.yml"));
            let text = std::fs::read_to_string(path).unwrap();
            let used =
                text.lines().find_map(|line| line.strip_prefix("labels: [")?.strip_suffix(']'));
            assert!(labels.iter().any(|label| Some(&*label.name) == used), "{form}: {used:?}");
        }
    }
}
