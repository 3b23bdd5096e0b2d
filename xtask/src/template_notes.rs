//! What was told of a version of the template stays told.

use anyhow::{Result, bail};

use crate::{process::program, test::is_ci};

/// Where the notes are.
const NOTES: &str = "template/changes";

/// Refuses notes that differ from those of the branch that this one is to join: a change of what is
/// rendered takes a new one.
///
/// # Errors
/// The notes that were changed or taken away.
pub(crate) fn check() -> Result<()> {
    let joined = match git(&["merge-base", "HEAD", "origin/HEAD"]) {
        Some(joined) => joined,
        // A shallow checkout would compare this branch with itself.
        None if is_ci() => {
            bail!("origin/HEAD is not there to compare with: fetch the whole history")
        }
        None => "HEAD".to_owned(),
    };
    let changed = ["diff", "--name-only", "--no-renames", "--diff-filter=MD", &joined, "--", NOTES];
    match git(&changed) {
        Some(changed) if !changed.is_empty() => {
            bail!(
                "written before, and to stay as they are: {changed}; add a note of the next version"
            )
        }
        Some(_) => Ok(()),
        None => bail!("cannot ask git for changes of {NOTES}"),
    }
}

fn git(args: &[&str]) -> Option<String> {
    let output = program("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
