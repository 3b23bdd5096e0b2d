//! `cargo xtask token`: tokens of the demo's issuer.

use anyhow::{Context as _, Result, bail};

use crate::{
    local_service::{AUDIENCE, ISSUER},
    process::cargo,
    target,
};

/// Prints a token that a service started by `demo` accepts; for other services there is `outrigger token mint`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The token's `sub`. The demo's rules give `propeller` the role propeller, all others the role user.
    #[arg(long, default_value = "propeller")]
    subject: String,

    /// How long the token is valid.
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    expires_in: String,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    println!("{}", mint(&args.subject, &args.expires_in)?);
    Ok(())
}

/// A token of the demo's issuer, valid for a day.
pub(crate) fn of_the_demo(subject: &str) -> Result<String> {
    mint(subject, "24h")
}

/// The program has the libraries that this one does without.
fn mint(subject: &str, expires_in: &str) -> Result<String> {
    let secret = target("demo/issuer.secret");
    if !secret.is_file() {
        bail!("{} is missing: cargo xtask demo creates it", secret.display());
    }
    let output = cargo(&["run", "--quiet", "--package", "outrigger", "--", "token", "mint"])
        .args(["--issuer", ISSUER, "--audience", AUDIENCE, "--subject", subject])
        .args(["--expires-in", expires_in, "--key-file"])
        .arg(secret)
        .output()?;
    if !output.status.success() {
        bail!("cannot mint a token: {}", String::from_utf8_lossy(&output.stderr));
    }
    let token = String::from_utf8(output.stdout).context("the token is not UTF-8")?;
    Ok(token.trim_end().to_owned())
}
