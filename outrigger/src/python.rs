//! Commands that need Python, and are in the Python package alone.

use std::ffi::OsString;

use anyhow::Result;
use xtask::exit::{Exit, usage};

/// Whatever is given.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _rest: Vec<OsString>,
}

/// Says where the command is.
pub(crate) fn run(command: &str) -> Result<Exit> {
    Err(usage(format!(
        "outrigger {command} runs a plugin's Python code, which this program cannot: install the wheel \
         outrigger_plugin-*.whl of Outrigger's release, or that of `cargo xtask wheel`"
    )))
}
