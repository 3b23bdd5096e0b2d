//! `outrigger completion`: completions of the command line for shells.

use anyhow::Result;
use clap::Command;
use clap_complete::Shell;
use xtask::exit::Exit;

use crate::output;

/// Prints completions of the command line for a shell.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script for a command line.
pub(crate) fn run(args: &Args, mut command: Command) -> Result<Exit> {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    output::print(&String::from_utf8(script)?)?;
    Ok(Exit::Ok)
}
