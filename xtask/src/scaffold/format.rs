//! Formats rendered Rust: how a line breaks depends on how long the plugin's name is.

use std::{path::Path, process::Stdio};

use anyhow::{Context as _, Result, bail};

use super::render::Rendered;
use crate::process::{program, write};

/// Formats every Rust file of `plugins` with one call of rustfmt, by the rules in `root`.
///
/// # Errors
/// rustfmt is missing, or does not understand what the template rendered.
pub(crate) fn format(plugins: &mut [Vec<Rendered>], root: &Path, scratch: &Path) -> Result<()> {
    let directory = scratch.join("format");
    let formatted = in_directory(plugins, root, &directory);
    let _ = std::fs::remove_dir_all(&directory);
    formatted
}

/// Where rustfmt finds its rules: in the directory of a file, or above it.
const RULES: &str = "rustfmt.toml";

/// The repository's rules, or those that it will have.
fn rules(plugins: &[Vec<Rendered>], root: &Path) -> Result<String> {
    let rendered = plugins.iter().flatten().find(|file| file.id == RULES);
    match rendered {
        Some(file) => Ok(file.text.clone()),
        None => std::fs::read_to_string(root.join(RULES)).with_context(|| RULES.to_owned()),
    }
}

fn in_directory(plugins: &mut [Vec<Rendered>], root: &Path, directory: &Path) -> Result<()> {
    let is_rust = |file: &&mut Rendered| file.id.ends_with(".rs");
    let mut paths = Vec::new();
    // A plugin's files lie beside each other, so that rustfmt finds the modules of lib.rs.
    for (number, files) in plugins.iter_mut().enumerate() {
        for file in files.iter_mut().filter(is_rust) {
            let path = directory.join(number.to_string()).join(&file.id);
            write(&path, &file.text)?;
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Ok(());
    }
    write(&directory.join(RULES), rules(plugins, root)?)?;
    let output = program("rustfmt")
        .args(["--edition", "2024"])
        .args(&paths)
        .stdin(Stdio::null())
        .output()
        .context("cannot run rustfmt; rustup component add rustfmt installs it")?;
    if !output.status.success() {
        bail!(
            "rustfmt refuses what the template renders:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let mut paths = paths.iter();
    for file in plugins.iter_mut().flatten().filter(is_rust) {
        let path = paths.next().context("as many files as were written")?;
        file.text = std::fs::read_to_string(path)?;
    }
    Ok(())
}
