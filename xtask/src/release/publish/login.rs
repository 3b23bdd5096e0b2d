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
/// Those of a workflow's own identity, and the only registry that may see it.
const GITHUB_USERNAME: &str = "GITHUB_ACTOR";
const GITHUB_TOKEN: &str = "GITHUB_TOKEN";
const GITHUB_REGISTRY: &str = "ghcr.io";

impl Publisher<'_> {
    /// Logs in.
    pub(super) fn log_in(&self) -> Result<()> {
        let host = self.release.registry().split('/').next().unwrap_or_default();
        // A workflow sets variables that it has no value for to nothing.
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        if self.shell.dry {
            let username = username(host, variable).unwrap_or_else(|| "USERNAME".to_owned());
            self.shell.say(&command(host, &username));
            return Ok(());
        }
        let (username, token) = credentials(host, variable)?;
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

/// Who logs in to `host`, and with what. GitHub's token may write to the repository: no other registry gets it.
///
/// # Errors
/// Which variables are missing.
fn credentials(host: &str, variable: impl Fn(&str) -> Option<String>) -> Result<(String, String)> {
    let own = variable(TOKEN);
    let token = match host {
        GITHUB_REGISTRY => own.or_else(|| variable(GITHUB_TOKEN)),
        _ => own,
    };
    match (username(host, variable), token) {
        (Some(username), Some(token)) => Ok((username, token)),
        _ if host == GITHUB_REGISTRY => Err(usage(format!(
            "set {USERNAME} and {TOKEN} to log in to {host}, or, in a workflow, {GITHUB_TOKEN}"
        ))),
        _ => Err(usage(format!(
            "set {USERNAME} and {TOKEN}, a variable and a secret of the repository, to log in to {host}: {GITHUB_TOKEN} is for {GITHUB_REGISTRY} alone"
        ))),
    }
}

fn username(host: &str, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let own = variable(USERNAME);
    if host == GITHUB_REGISTRY { own.or_else(|| variable(GITHUB_USERNAME)) } else { own }
}

/// The token comes by standard input: a command line is no secret.
fn command(host: &str, username: &str) -> Command {
    let mut command = program("docker");
    command.args(["login", host, "--username", username, "--password-stdin"]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(host: &str, set: &[(&str, &str)]) -> Result<(String, String), String> {
        let find = |name: &str| {
            set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        credentials(host, find).map_err(|error| error.to_string())
    }

    const GITHUB: [(&str, &str); 2] = [(GITHUB_USERNAME, "octocat"), (GITHUB_TOKEN, "ghs")];

    #[test]
    fn githubs_token_is_for_githubs_registry_alone() {
        assert_eq!(of(GITHUB_REGISTRY, &GITHUB).unwrap(), ("octocat".into(), "ghs".into()));
        for host in ["registry.example.com", "ghcr.io.example.com", "ghcr.io:8443", ""] {
            let refused = of(host, &GITHUB).unwrap_err();
            assert!(refused.contains("set REGISTRY_USERNAME and REGISTRY_TOKEN, "), "{refused}");
            let named = [GITHUB[0], GITHUB[1], (USERNAME, "robot")];
            assert!(of(host, &named).is_err(), "{host}");
        }
    }

    #[test]
    fn a_registrys_own_token_comes_first() {
        let all = [GITHUB[0], GITHUB[1], (USERNAME, "robot"), (TOKEN, "own")];
        for host in [GITHUB_REGISTRY, "registry.example.com"] {
            assert_eq!(of(host, &all).unwrap(), ("robot".into(), "own".into()));
        }
        assert!(of(GITHUB_REGISTRY, &[(USERNAME, "robot")]).unwrap_err().contains(GITHUB_TOKEN));
    }
}
