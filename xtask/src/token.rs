//! `cargo xtask token`: mints tokens for services whose issuer uses a shared secret.

use std::ffi::OsString;

use anyhow::{Context as _, Result, bail};

use crate::process::{cargo, run as run_program};

/// Arguments passed on to `mint-token`, which has the required libraries.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    args: Vec<OsString>,
}

const MINT: [&str; 7] = ["run", "--quiet", "--package", "tests", "--bin", "mint-token", "--"];

pub(crate) fn run(args: &Args) -> Result<()> {
    run_program(cargo(&MINT).args(&args.args))
}

/// A token of the demo's issuer, valid for a day.
pub(crate) fn of_the_demo(subject: &str) -> Result<String> {
    let output = cargo(&MINT).args(["--ttl=86400", "--subject", subject]).output()?;
    if !output.status.success() {
        bail!("cannot mint a token: {}", String::from_utf8_lossy(&output.stderr));
    }
    let token = String::from_utf8(output.stdout).context("the token is not UTF-8")?;
    Ok(token.trim_end().to_owned())
}
