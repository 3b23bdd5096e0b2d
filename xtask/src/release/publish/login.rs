//! Logs in to the registry, for skopeo, helm and cosign alike: all of them read Docker's configuration.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use super::Publisher;
use crate::{
    exit::usage,
    process::{line, program},
};

/// The variables that hold who logs in.
const USERNAME: &str = "REGISTRY_USERNAME";
const TOKEN: &str = "REGISTRY_TOKEN";

impl Publisher<'_> {
    /// Logs in.
    pub(super) fn log_in(&self) -> Result<()> {
        let host = self.release.registry().split('/').next().unwrap_or_default();
        let [username, token] = [USERNAME, TOKEN].map(|name| std::env::var(name).ok());
        if self.shell.dry {
            self.shell.say(&command(host, username.as_deref().unwrap_or("USERNAME")));
            return Ok(());
        }
        let (Some(username), Some(token)) = (username, token) else {
            return Err(usage(format!("set {USERNAME} and {TOKEN} to log in to {host}")));
        };
        let mut command = command(host, &username);
        self.shell.say(&command);
        let mut child = command
            .stdin(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", line(&command)))?;
        child.stdin.take().context("no input")?.write_all(token.as_bytes())?;
        if !child.wait()?.success() {
            bail!("{host} refuses {username}");
        }
        Ok(())
    }
}

/// The token comes by standard input: a command line is no secret.
fn command(host: &str, username: &str) -> Command {
    let mut command = program("docker");
    command.args(["login", host, "--username", username, "--password-stdin"]);
    command
}
