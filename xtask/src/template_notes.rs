//! Keeps the published change notes of the template unchanged.

use anyhow::{Result, bail};

use crate::{ci::is_ci, process::program};

/// The directory of the notes.
const NOTES: &str = "template/changes";

/// Refuses notes that differ from the default branch's: a change of rendered files needs a new note.
///
/// # Errors
/// If existing notes were changed or removed, or git cannot compare them.
pub(crate) fn check() -> Result<()> {
    let joined = match git(&["merge-base", "HEAD", "origin/HEAD"]) {
        Some(joined) => joined,
        // A shallow checkout would compare this branch with itself.
        None if is_ci() => {
            bail!("cannot compare with origin/HEAD, which is missing: fetch the full history")
        }
        None => "HEAD".to_owned(),
    };
    let changed = ["diff", "--name-only", "--no-renames", "--diff-filter=MD", &joined, "--", NOTES];
    match git(&changed) {
        Some(changed) if !changed.is_empty() => {
            bail!(
                "published notes must not change: {changed}; add a note for the next version instead"
            )
        }
        Some(_) => Ok(()),
        None => bail!("git cannot list the changes of {NOTES}"),
    }
}

fn git(args: &[&str]) -> Option<String> {
    let output = program("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
