//! `cargo xtask remove-plugin`: takes back what `new-plugin` made.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow};

use crate::{
    exit::{self, Exit, refused},
    process::{cargo, run as run_program},
    scaffold::{
        generator::Generator,
        project::{Layout, Member},
        record::{DIRECTORY, Record, normalized},
        report::Format,
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

    /// How results are printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args, generator: &Generator) -> Result<Exit> {
    let project = &generator.project;
    if project.layout == Layout::Standalone {
        return Err(refused("this repository is the plugin's own: delete its directory"));
    }
    generator.recover()?;
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
    print(&files, args.format)?;
    if args.dry_run {
        return Ok(Exit::Ok);
    }
    let remove = |file: &File| Write { path: file.path.clone(), text: None };
    write_all(&RealDisk, &project.root, &files.iter().map(remove).collect::<Vec<_>>())?;
    update_lockfile(&project.root)?;
    Ok(Exit::Ok)
}

fn print(files: &[File], format: Format) -> Result<()> {
    let paths = files.iter().map(|file| file.path.as_str());
    match format {
        Format::Text => paths.for_each(|path| println!("remove  {path}")),
        Format::Github => paths.for_each(|path| println!("::notice file={path}::removed")),
        Format::Json => {
            let removed = serde_json::json!({ "removed": paths.collect::<Vec<_>>() });
            println!("{}", serde_json::to_string_pretty(&removed)?);
        }
    }
    Ok(())
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

/// Every file at `place`, also those that git ignores: a directory that stays would still be a member
/// of the workspace.
fn listed(root: &Path, place: &str) -> Result<Vec<String>> {
    let whole = root.join(place);
    if !whole.is_dir() {
        return Ok(if whole.exists() { vec![place.to_owned()] } else { Vec::new() });
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&whole).with_context(|| place.to_owned())? {
        let name = entry?.file_name().into_string();
        let name = name.map_err(|name| anyhow!("{place}: {} is no UTF-8", name.display()))?;
        files.extend(listed(root, &format!("{}/{name}", place.trim_end_matches('/')))?);
    }
    files.sort();
    Ok(files)
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
