//! `cargo xtask advisories`: known vulnerabilities of the crates that the product is made of.

use anyhow::{Context as _, Result};

use crate::{
    dependencies,
    exit::{self, Exit},
    process::{line, program, run as run_program},
};

/// Checks crates against the advisories of RustSec: vulnerable, unmaintained and yanked ones.
///
/// It needs the network, and finds what is published after a commit, so that `cargo xtask test` does not run it:
/// .github/workflows/advisories.yml does, once a week.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::HELP)]
pub(crate) struct Args {
    /// Print what would be run.
    #[arg(long, env = "OUTRIGGER_DRY_RUN", value_parser = clap::builder::FalseyValueParser::new())]
    dry_run: bool,
}

pub(crate) fn run(args: &Args) -> Result<Exit> {
    let check = ["check", "advisories"];
    if args.dry_run {
        println!("would run: {}", line(program("cargo-deny").args(check)));
        return Ok(Exit::Ok);
    }
    let deny = dependencies::cargo_deny(true)?.context("cargo-deny cannot be installed")?;
    run_program(program(deny).args(check))?;
    Ok(Exit::Ok)
}
