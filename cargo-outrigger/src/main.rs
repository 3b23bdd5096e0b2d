//! `cargo outrigger`: the generator of `cargo xtask` with the template built in, for standalone plugins.

use std::{collections::BTreeMap, process::ExitCode};

use clap::Parser as _;
use include_dir::{Dir, include_dir};

static TEMPLATE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../template");

// Cargo runs a subcommand with the subcommand's name as the first argument.
/// Creates Outrigger plugins in separate repositories and keeps them in sync with the template.
#[derive(Debug, clap::Parser)]
#[command(name = "cargo", bin_name = "cargo")]
enum Cargo {
    Outrigger(xtask::Outrigger),
}

fn main() -> ExitCode {
    let Cargo::Outrigger(command) = Cargo::parse();
    let mut files = BTreeMap::new();
    collect(&TEMPLATE, &mut files);
    xtask::run_outrigger(command, files)
}

fn collect(directory: &Dir<'_>, files: &mut BTreeMap<String, String>) {
    for file in directory.files() {
        if let Some(text) = file.contents_utf8() {
            files.insert(file.path().to_string_lossy().replace('\\', "/"), text.to_owned());
        }
    }
    directory.dirs().for_each(|below| collect(below, files));
}
