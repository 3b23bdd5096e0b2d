//! `cargo xtask remove-plugin`: undoes `new-plugin`.

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

/// Removes a plugin whose files are all generated and unchanged.
///
/// If it has files that were changed or added by hand, lists them and removes nothing, unless --force
/// is given.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::HELP)]
pub(crate) struct Args {
    /// The plugin to remove.
    name: String,

    /// Remove nothing and print what would be removed.
    #[arg(long, short = 'n')]
    dry_run: bool,

    /// Also remove files that were changed or added by hand.
    #[arg(long)]
    force: bool,

    /// Output format.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args, generator: &Generator) -> Result<Exit> {
    let project = &generator.project;
    if project.layout == Layout::Standalone {
        return Err(refused(
            "this repository contains only the plugin: delete its directory instead",
        ));
    }
    generator.recover()?;
    let members = project.chosen(std::slice::from_ref(&args.name))?;
    let member = members.first().context("one plugin")?;
    check_dependents(&project.root, &args.name)?;
    let files = files(generator, member)?;
    let record = Record::read(&project.directory(&member.file.plugin))?;
    let by_hand = files.iter().filter(|file| !is_generated(&record, file));
    let by_hand = by_hand.map(|file| file.path.as_str()).collect::<Vec<_>>();
    if !by_hand.is_empty() && !args.force {
        return Err(refused(format!(
            "changed or added by hand: {}. Nothing was removed; --force removes these, too",
            by_hand.join(", ")
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

/// Refuses to remove a plugin named in `workspace.dependencies`: other packages may depend on it.
fn check_dependents(root: &Path, name: &str) -> Result<()> {
    let manifest = std::fs::read_to_string(root.join("Cargo.toml"))?;
    let manifest: toml_edit::DocumentMut = manifest.parse().context("Cargo.toml")?;
    let dependencies =
        manifest.get("workspace").and_then(|workspace| workspace.get("dependencies"));
    if dependencies.and_then(|item| item.get(name)).is_some() {
        return Err(refused(format!(
            "Cargo.toml: workspace.dependencies contains '{name}', so other packages may depend on it: remove it there and from those packages first"
        )));
    }
    Ok(())
}

/// A file of the plugin.
struct File {
    id: String,
    /// Relative to the root.
    path: String,
    /// Its contents, if they are UTF-8.
    text: Option<String>,
}

/// Every file of the plugin, generated or not.
fn files(generator: &Generator, member: &Member) -> Result<Vec<File>> {
    let project = &generator.project;
    let place = project.layout.place(&member.file.plugin);
    let locations = ["", "chart/", "docs/plugin.md"].map(|id| (place.path(id), id));
    let mut files = Vec::new();
    for (location, prefix) in locations {
        for path in listed(&project.root, &location)? {
            let below = path.strip_prefix(&location).unwrap_or_default();
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

/// Every file at `path`, including those that git ignores: a directory left behind would still be a
/// member of the workspace.
fn listed(root: &Path, path: &str) -> Result<Vec<String>> {
    let absolute = root.join(path);
    // A link is a file: what it leads to is not the plugin's.
    let Ok(found) = absolute.symlink_metadata() else { return Ok(Vec::new()) };
    if !found.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&absolute).with_context(|| path.to_owned())? {
        let name = entry?.file_name().into_string();
        let name = name.map_err(|name| anyhow!("{path}: {} is not UTF-8", name.display()))?;
        files.extend(listed(root, &format!("{}/{name}", path.trim_end_matches('/')))?);
    }
    files.sort();
    Ok(files)
}

/// Whether the file is the generator's and unchanged.
fn is_generated(record: &Record, file: &File) -> bool {
    let unchanged = file.text.as_ref().is_some_and(|text| record.wrote(&file.id, text));
    unchanged || file.id.starts_with(DIRECTORY)
}

/// Removes the package from Cargo.lock.
fn update_lockfile(root: &Path) -> Result<()> {
    if !root.join("Cargo.lock").exists() {
        return Ok(());
    }
    let mut metadata = cargo(&["metadata", "--offline", "--format-version=1"]);
    run_program(metadata.current_dir(root).stdout(std::process::Stdio::null()))
}
