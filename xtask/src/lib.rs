//! The repository's own tools: one file for each command.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "those rules are for services: here is no runtime to block and no time to pause"
)]

mod demo;
mod invariants;
mod process;
mod python;
mod test;
mod token;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Tools to try, check and maintain Outrigger.
#[derive(Debug, clap::Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run the BigQuery service against a fake BigQuery and watch it work.
    Demo(demo::Args),
    /// Run everything that CI checks.
    Test(test::Args),

    /// Print a token that a service started by `demo` takes.
    Token(token::Args),
}

/// Runs the command line.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    let result = match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Token(args) => token::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Where the repository is checked out.
fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// A place below `target/`, where everything that these tools make lies.
fn target(path: &str) -> PathBuf {
    root().join("target").join(path)
}
