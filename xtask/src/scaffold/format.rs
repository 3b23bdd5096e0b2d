//! Formats rendered Rust, because line breaks depend on the length of the plugin's name.

use std::{path::Path, process::Stdio};

use anyhow::{Context as _, Result, bail};

use super::render::Rendered;
use crate::process::{program, write};

/// Formats every Rust file of `plugins` with one call of rustfmt and the configuration in `root`.
///
/// # Errors
/// If rustfmt is missing or cannot parse a rendered file.
pub(crate) fn format(plugins: &mut [Vec<Rendered>], root: &Path, scratch: &Path) -> Result<()> {
    let directory = scratch.join("format");
    let formatted = in_directory(plugins, root, &directory);
    let _ = std::fs::remove_dir_all(&directory);
    formatted
}

/// The configuration file, which rustfmt looks up in a file's directory and its parents.
const CONFIG: &str = "rustfmt.toml";

/// The repository's configuration, or the rendered one of a new repository.
fn config(plugins: &[Vec<Rendered>], root: &Path) -> Result<String> {
    let rendered = plugins.iter().flatten().find(|file| file.id == CONFIG);
    match rendered {
        Some(file) => Ok(file.text.clone()),
        None => std::fs::read_to_string(root.join(CONFIG)).with_context(|| CONFIG.to_owned()),
    }
}

fn in_directory(plugins: &mut [Vec<Rendered>], root: &Path, directory: &Path) -> Result<()> {
    let is_rust = |file: &&mut Rendered| file.id.ends_with(".rs");
    let mut paths = Vec::new();
    // A plugin's files keep their layout, so that rustfmt finds the modules of lib.rs.
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
    write(&directory.join(CONFIG), config(plugins, root)?)?;
    let output = program("rustfmt")
        .args(["--edition", "2024"])
        .args(&paths)
        .stdin(Stdio::null())
        .output()
        .context("cannot run rustfmt; install it with: rustup component add rustfmt")?;
    if !output.status.success() {
        bail!(
            "rustfmt cannot format the rendered files:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let mut paths = paths.iter();
    for file in plugins.iter_mut().flatten().filter(is_rust) {
        let path = paths.next().context("more Rust files than were written")?;
        file.text = std::fs::read_to_string(path)?;
    }
    Ok(())
}
