//! Raises the version wherever it stands.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result};

use super::{
    changelog::CHANGELOG,
    tree::Tree,
    versions::{self, is_version, numbers},
};
use crate::{
    exit::usage,
    process::{program, write},
};

/// The manifest of the workspace.
const MANIFEST: &str = "Cargo.toml";

/// Files with their new texts, by path.
type Changes = BTreeMap<String, String>;

/// Raises the version of the repository at `root` from `old` to `new`, and returns the paths of what it changed.
///
/// # Errors
/// If `new` is no later version, or a file cannot be written.
pub(crate) fn raise(
    root: &Path,
    tree: &Tree,
    old: &str,
    new: &str,
    images: &[String],
) -> Result<Vec<String>> {
    if !is_version(new) || numbers(new) <= numbers(old) {
        return Err(usage(format!("'{new}' is no version after {old}, such as {}", next(old))));
    }
    let changes = changes(tree, old, new, images, &today()?)?;
    for (path, text) in &changes {
        write(&root.join(path), text)?;
    }
    Ok(changes.into_keys().collect())
}

fn changes(tree: &Tree, old: &str, new: &str, images: &[String], date: &str) -> Result<Changes> {
    let mut changes = Changes::new();
    let manifest = tree.text(MANIFEST).unwrap_or_default();
    let (line, _) = versions::value_in(manifest, "workspace.package", "version")
        .context("Cargo.toml: workspace.package has no version")?;
    replace(&mut changes, tree, MANIFEST, line, old, new);
    // The generator writes charts, and refuses those that somebody else wrote.
    let stale = versions::check(tree, new, images).into_iter();
    for stale in stale.filter(|stale| !stale.file.starts_with("charts/") && stale.line > 0) {
        replace(&mut changes, tree, &stale.file, stale.line, old, new);
    }
    let log = tree.text(CHANGELOG).unwrap_or_default();
    if let Some(log) = with_section(log, new, date) {
        changes.insert(CHANGELOG.to_owned(), log);
    }
    Ok(changes)
}

/// Replaces the version in one line of a file.
fn replace(changes: &mut Changes, tree: &Tree, file: &str, line: usize, old: &str, new: &str) {
    let text = changes.get(file).map(String::as_str).or_else(|| tree.text(file));
    let text = text.unwrap_or_default();
    let lines = text
        .split_inclusive('\n')
        .enumerate()
        .map(|(at, text)| if at + 1 == line { text.replace(old, new) } else { text.to_owned() });
    let text = lines.collect();
    changes.insert(file.to_owned(), text);
}

/// The changelog, where what was unreleased has the heading of the version; `None` if it has one.
fn with_section(log: &str, version: &str, date: &str) -> Option<String> {
    let unreleased = "## [Unreleased]\n";
    if log.contains(&format!("\n## [{version}]")) || !log.contains(unreleased) {
        return None;
    }
    Some(log.replacen(unreleased, &format!("{unreleased}\n## [{version}] - {date}\n"), 1))
}

/// The next minor version.
fn next(version: &str) -> String {
    let numbers = numbers(version);
    let number = |at: usize| numbers.get(at).copied().unwrap_or_default();
    format!("{}.{}.0", number(0), number(1) + 1)
}

fn today() -> Result<String> {
    let output = program("date").args(["-u", "+%F"]).output().context("cannot run date")?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_raised_where_it_stands_and_nowhere_else() {
        let tree = Tree::of(&[
            (
                MANIFEST,
                "[workspace.package]\nversion = \"0.1.0\"\n[workspace.dependencies]\nb = { path = \"b\", version = \"0.1.0\" }\nregex = \"0.1.0\"\n",
            ),
            (CHANGELOG, "## [Unreleased]\n\n* New.\n\n## [0.1.0] - 2026-11-22\n"),
            ("charts/a/Chart.yaml", "version: 0.1.0\nappVersion: \"0.1.0\"\n"),
            ("docs/a.md", "Since 0.1.0.\n`bigquery:0.1.0`\n"),
            ("compose/compose.yaml", "image: ${PREFIX:-}bigquery:0.1.0\nimage: r/else:0.1.0\n"),
        ]);
        let images = ["bigquery".to_owned()];
        let changes = changes(&tree, "0.1.0", "0.2.0", &images, "2026-12-24").unwrap();
        assert_eq!(changes[MANIFEST].matches("0.2.0").count(), 2);
        assert!(changes[MANIFEST].contains("regex = \"0.1.0\""));
        assert_eq!(changes["docs/a.md"], "Since 0.1.0.\n`bigquery:0.2.0`\n");
        assert!(changes["compose/compose.yaml"].starts_with("image: ${PREFIX:-}bigquery:0.2.0\n"));
        assert!(changes["compose/compose.yaml"].ends_with("else:0.1.0\n"));
        assert!(
            changes[CHANGELOG]
                .starts_with("## [Unreleased]\n\n## [0.2.0] - 2026-12-24\n\n* New.\n\n## [0.1.0]")
        );
        assert!(!changes.contains_key("charts/a/Chart.yaml"));
    }

    #[test]
    fn only_a_later_version_is_taken() {
        let raise = |new: &str| raise(Path::new("/"), &Tree::default(), "0.1.0", new, &[]);
        for wrong in ["0.1.0", "0.0.9", "1", "v0.2.0"] {
            let error = raise(wrong).unwrap_err().to_string();
            assert!(error.contains("no version after 0.1.0, such as 0.2.0"), "{wrong}: {error}");
        }
    }
}
