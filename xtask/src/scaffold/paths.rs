//! Paths that stay in the repository: the generator neither reads, writes nor deletes through symbolic links.

use std::path::{Component, Path, PathBuf};

use anyhow::Result;

use crate::exit::refused;

/// Refuses `path`, relative to `root`, if it or a directory on its way is a symbolic link, or if it leads out
/// of `root` in another way.
///
/// # Errors
/// If it does; the error names the link.
pub(crate) fn check(root: &Path, path: &str) -> Result<()> {
    check_directories(root, path)?;
    if is_link(&root.join(path)) {
        return Err(refused(format!(
            "{path} is a symbolic link, which the generator does not follow: replace it with a file, or stop managing it with --eject"
        )));
    }
    Ok(())
}

/// Refuses `path` as [`check`] does, but for the last part, which may be a link that is itself meant.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_directories(root: &Path, path: &str) -> Result<()> {
    let components = Path::new(path).components().collect::<Vec<_>>();
    if components.is_empty() || components.iter().any(|it| !matches!(it, Component::Normal(_))) {
        return Err(refused(format!("'{path}' is not a path below the repository's root")));
    }
    let mut directory = PathBuf::new();
    for component in &components[..components.len() - 1] {
        directory.push(component);
        if is_link(&root.join(&directory)) {
            return Err(refused(format!(
                "{} is a symbolic link, which the generator does not follow: replace it with a directory",
                directory.display()
            )));
        }
    }
    Ok(())
}

fn is_link(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_symlink())
}
