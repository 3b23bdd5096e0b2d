//! `cargo outrigger`: the generator of `cargo xtask` with the template built in, for standalone plugins.

use std::process::ExitCode;

// Cargo runs a subcommand with the subcommand's name as the first argument.
/// Creates Outrigger plugins in separate repositories and keeps them in sync with the template.
#[derive(Debug, clap::Parser)]
#[command(name = "cargo", bin_name = "cargo")]
enum Cargo {
    Outrigger(xtask::Outrigger),
}

fn main() -> ExitCode {
    let Cargo::Outrigger(outrigger) = xtask::parse();
    let (place, command) = outrigger.into_parts();
    xtask::name_program("cargo outrigger");
    xtask::generate(place, &command, cargo_outrigger::template())
}
