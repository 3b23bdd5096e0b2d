//! `cargo outrigger`: the generator of `cargo xtask` with the template built in, for standalone plugins.
//! Started under the name `outrigger`, it is the same without cargo.

use std::{collections::BTreeMap, path::Path, process::ExitCode};

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

/// The name without cargo.
const NAME: &str = "outrigger";

/// Creates Outrigger plugins in separate repositories and keeps them in sync with the template.
#[derive(Debug, clap::Parser)]
#[command(name = NAME, bin_name = NAME, version)]
struct Alone {
    #[command(flatten)]
    outrigger: xtask::Outrigger,
}

fn main() -> ExitCode {
    let (name, outrigger) = if is_alone() {
        (NAME, Alone::parse().outrigger)
    } else {
        let Cargo::Outrigger(outrigger) = Cargo::parse();
        ("cargo outrigger", outrigger)
    };
    let mut files = BTreeMap::new();
    collect(&TEMPLATE, &mut files);
    xtask::run_outrigger(name, outrigger, files)
}

/// Whether it was started as `outrigger`.
fn is_alone() -> bool {
    let program = std::env::args_os().next();
    program.is_some_and(|program| Path::new(&program).file_name().is_some_and(|it| it == NAME))
}

fn collect(directory: &Dir<'_>, files: &mut BTreeMap<String, String>) {
    for file in directory.files() {
        if let Some(text) = file.contents_utf8() {
            files.insert(file.path().to_string_lossy().replace('\\', "/"), text.to_owned());
        }
    }
    directory.dirs().for_each(|below| collect(below, files));
}
