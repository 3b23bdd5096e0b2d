//! Writes all of a plan's files, or none.
//!
//! New contents are written to a staging directory first, so that a full disk does no harm. Each file is
//! then renamed into place, so that none is ever missing or incomplete. After a failure the changes are
//! undone, or by the [next run](recover) if the process was killed.

mod staging;

use std::{io, path::Path};

use anyhow::{Context as _, Result};

use super::paths;
use staging::Staging;
pub(crate) use staging::random;

/// A file to write or delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Write {
    /// Its path relative to the repository's root.
    pub(crate) path: String,
    /// Its new contents; `None` deletes it.
    pub(crate) text: Option<String>,
}

/// The file system operations that writing needs.
pub(crate) trait Disk {
    fn write(&self, path: &Path, text: &str) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn create_dir(&self, path: &Path) -> io::Result<()>;
}

/// The real file system.
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        std::fs::write(path, text)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir(path)
    }
}

/// Writes all of `writes` below `root`.
///
/// # Errors
/// If a path is, or leads through, a symbolic link, or an operation fails; then every file is as before, and no
/// directory is left behind.
pub(crate) fn write_all(disk: &dyn Disk, root: &Path, writes: &[Write]) -> Result<()> {
    if writes.is_empty() {
        return Ok(());
    }
    for write in writes {
        // A link may be deleted, as any other file.
        let check = if write.text.is_some() { paths::check } else { paths::check_directories };
        check(root, &write.path)?;
    }
    let creates_root = !root.exists();
    let staging = Staging::create(root)?;
    let written = staging.write(disk, writes);
    if written.is_err() {
        staging.undo();
        staging.remove();
        if creates_root {
            let _ = std::fs::remove_dir(root);
        }
    }
    written
}

/// Undoes the incomplete writes of killed processes below `root`; returns whether there were any.
///
/// # Errors
/// If the root cannot be read.
pub(crate) fn recover(root: &Path) -> Result<bool> {
    let mut found = false;
    for entry in std::fs::read_dir(root).with_context(|| root.display().to_string())? {
        if let Some(staging) = Staging::abandoned(root, entry?.path())? {
            staging.undo();
            std::fs::remove_dir_all(&staging.directory)?;
            found = true;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
