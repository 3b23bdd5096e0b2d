//! Three-way merges with `git merge-file`.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::process::{program, write};

/// The result of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Merged {
    /// Both sides' changes, without conflicts.
    Clean(String),
    /// Both sides changed the same lines, which are surrounded by conflict markers.
    Conflicts(String),
}

/// The three versions of a file to merge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sides<'a> {
    pub(crate) base: &'a str,
    pub(crate) ours: &'a str,
    pub(crate) theirs: &'a str,
}

/// Merges both sides' changes to `base`.
///
/// # Errors
/// If git is missing or fails.
pub(crate) fn merge(sides: Sides<'_>, from: u32, to: u32, scratch: &Path) -> Result<Merged> {
    let directory = scratch.join("merge");
    let merged = in_directory(sides, from, to, &directory);
    let _ = std::fs::remove_dir_all(&directory);
    merged
}

fn in_directory(sides: Sides<'_>, from: u32, to: u32, directory: &Path) -> Result<Merged> {
    let files = [("ours", sides.ours), ("base", sides.base), ("theirs", sides.theirs)];
    for (name, text) in files {
        write(&directory.join(name), text)?;
    }
    let output = program("git")
        .args(["merge-file", "-p", "--zdiff3", "-L", "yours"])
        .args(["-L", &format!("template version {from}"), "-L", &format!("template version {to}")])
        .args(files.map(|(name, _)| directory.join(name)))
        .output()
        .context("cannot run git")?;
    let text = String::from_utf8(output.stdout).context("the merge result is not UTF-8")?;
    // The exit code is the number of conflicts, up to 127; above that, an error.
    match output.status.code() {
        Some(0) => Ok(Merged::Clean(text)),
        Some(1..=127) => Ok(Merged::Conflicts(text)),
        _ => bail!("git merge-file: {}", String::from_utf8_lossy(&output.stderr).trim()),
    }
}

/// The line number, starting at 1, of the first conflict marker in `text`.
pub(crate) fn marker(text: &str) -> Option<usize> {
    let is_marker = |line: &str| {
        ["<<<<<<< ", "||||||| ", ">>>>>>> "].iter().any(|marker| line.starts_with(marker))
    };
    text.lines().position(is_marker).map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(base: &str, ours: &str, theirs: &str) -> Merged {
        let scratch = tempfile::tempdir().unwrap();
        merge(Sides { base, ours, theirs }, 1, 2, scratch.path()).unwrap()
    }

    #[test]
    fn changes_to_different_lines_are_merged() {
        let base = "a\nb\nc\nd\ne\nf\n";
        let clean = merged(base, &base.replace('a', "A"), &base.replace('f', "F"));
        assert_eq!(clean, Merged::Clean("A\nb\nc\nd\ne\nF\n".to_owned()));
    }

    #[test]
    fn changes_to_the_same_line_are_marked() {
        let Merged::Conflicts(text) = merged("a\nb\nc\n", "a\nX\nc\n", "a\nY\nc\n") else {
            panic!("no conflict");
        };
        assert_eq!(marker(&text), Some(2));
        assert!(
            text.contains("<<<<<<< yours\nX\n") && text.contains("Y\n>>>>>>> template version 2")
        );
        assert_eq!(marker("<<<<<<<\nno marker <<<<<<< x\n"), None);
    }

    #[test]
    fn merge_without_a_base_is_a_conflict() {
        assert!(matches!(merged("", "mine\n", "theirs\n"), Merged::Conflicts(_)));
    }
}
