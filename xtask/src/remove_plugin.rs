//! `cargo xtask remove-plugin`: takes back what `new-plugin` made.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::{
    exit::{self, Exit, refused},
    process::{cargo, program, run as run_program},
    scaffold::{
        generator::Generator,
        project::{Layout, Member},
        record::{DIRECTORY, Record, normalized},
        write::{RealDisk, Write, write_all},
    },
};

/// Removes a plugin: every file that the generator wrote and nobody changed.
///
/// If there are others, it names them and removes nothing; --force removes them, too.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::HELP)]
pub(crate) struct Args {
    /// The plugin.
    name: String,

    /// Write nothing, and print what would be removed.
    #[arg(long, short = 'n')]
    dry_run: bool,

    /// Remove files that were changed or added by hand, too.
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &Args, generator: &Generator) -> Result<Exit> {
    let project = &generator.project;
    if project.layout == Layout::Standalone {
        return Err(refused("this repository is the plugin's own: delete its directory"));
    }
    let members = project.chosen(std::slice::from_ref(&args.name))?;
    let member = members.first().context("one plugin")?;
    let files = files(generator, member)?;
    let record = Record::read(&project.service(&args.name))?;
    let precious = files.iter().filter(|file| !is_ours(&record, file));
    let precious = precious.map(|file| file.path.as_str()).collect::<Vec<_>>();
    if !precious.is_empty() && !args.force {
        return Err(refused(format!(
            "written or changed by hand: {}. Nothing was removed; --force removes these, too",
            precious.join(", ")
        )));
    }
    files.iter().for_each(|file| println!("remove  {}", file.path));
    if args.dry_run {
        return Ok(Exit::Ok);
    }
    let remove = |file: &File| Write { path: file.path.clone(), text: None };
    write_all(&RealDisk, &project.root, &files.iter().map(remove).collect::<Vec<_>>())?;
    update_lockfile(&project.root)?;
    Ok(Exit::Ok)
}

/// A file of the plugin.
struct File {
    id: String,
    /// Below the root.
    path: String,
    /// Its text, if it is one.
    text: Option<String>,
}

/// Every file of the plugin, the generator's or not; without what git ignores.
fn files(generator: &Generator, member: &Member) -> Result<Vec<File>> {
    let project = &generator.project;
    let layout = project.layout;
    let name = member.name();
    let places = [
        (layout.path(name, ""), ""),
        (layout.path(name, "chart/"), "chart/"),
        (layout.path(name, "docs/plugin.md"), "docs/plugin.md"),
    ];
    let mut files = Vec::new();
    for (place, prefix) in places {
        for path in listed(&project.root, &place)? {
            let below = path.strip_prefix(&place).unwrap_or_default();
            let text = std::fs::read_to_string(project.root.join(&path)).ok();
            files.push(File {
                id: format!("{prefix}{below}"),
                path,
                text: text.map(|t| normalized(&t)),
            });
        }
    }
    Ok(files)
}

fn listed(root: &Path, place: &str) -> Result<Vec<String>> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard", "--", place];
    let output = program("git").current_dir(root).args(list).output().context("cannot run git")?;
    let names = String::from_utf8(output.stdout)?;
    let there = names.lines().filter(|path| root.join(path).exists());
    Ok(there.map(ToOwned::to_owned).collect())
}

/// Whether nobody but the generator wrote the file.
fn is_ours(record: &Record, file: &File) -> bool {
    let unchanged = file.text.as_ref().is_some_and(|text| record.wrote(&file.id, text));
    unchanged || file.id.starts_with(DIRECTORY)
}

/// Takes the package out of Cargo.lock.
fn update_lockfile(root: &Path) -> Result<()> {
    if !root.join("Cargo.lock").exists() {
        return Ok(());
    }
    let mut metadata = cargo(&["metadata", "--offline", "--format-version=1"]);
    run_program(metadata.current_dir(root).stdout(std::process::Stdio::null()))
}
