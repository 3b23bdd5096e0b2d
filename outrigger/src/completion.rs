//! `outrigger completion`: completions of the command line for shells.

use anyhow::Result;
use clap_complete::Shell;
use xtask::exit::Exit;

use crate::{
    command::{NAME, command},
    output,
};

/// Prints a script that completes this program's command line in a shell.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), NAME, &mut script);
    output::print(&String::from_utf8(script)?)?;
    Ok(Exit::Ok)
}
