//! `cargo xtask`: see `--help`.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    xtask::run(xtask::Cli::parse())
}
