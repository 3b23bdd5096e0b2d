//! What was pushed, by digest: charts name images by it, and provenance is about it.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use crate::process::write;

/// The digest that stands for an unknown one in a dry run.
pub(super) const UNKNOWN: &str =
    "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// Digests by name, in a file that looks like that of `sha256sum`: GitHub's attestation action reads it.
#[derive(Debug)]
pub(super) struct Pushed {
    path: PathBuf,
}

impl Pushed {
    pub(super) fn at(directory: &Path) -> Self {
        Self { path: directory.join("subjects.txt") }
    }

    /// The digests, as `sha256:…`, by name.
    pub(super) fn digests(&self) -> Result<BTreeMap<String, String>> {
        let text = match std::fs::read_to_string(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            text => text.with_context(|| format!("cannot read {}", self.path.display()))?,
        };
        let lines = text.lines().filter_map(|line| line.split_once("  "));
        Ok(lines.map(|(hex, name)| (name.to_owned(), format!("sha256:{hex}"))).collect())
    }

    /// Adds digests, or replaces those of the same names.
    pub(super) fn add(&self, new: impl IntoIterator<Item = (String, String)>) -> Result<()> {
        let mut digests = self.digests()?;
        digests.extend(new);
        write(&self.path, lines(&digests))
    }
}

/// The lines of `sha256sum`, sorted by name.
pub(super) fn lines(digests: &BTreeMap<String, String>) -> String {
    digests.iter().fold(String::new(), |mut text, (name, digest)| {
        let hex = digest.trim_start_matches("sha256:");
        let _ = writeln!(text, "{hex}  {name}");
        text
    })
}

/// `sha256:…` of `bytes`.
pub(super) fn digest(bytes: &[u8]) -> String {
    let hex = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("sha256:{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_kept_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let pushed = Pushed::at(directory.path());
        assert!(pushed.digests().unwrap().is_empty());
        let entry = |name: &str, bytes: &[u8]| (name.to_owned(), digest(bytes));
        pushed.add([entry("r/b", b"1"), entry("r/a", b"1")]).unwrap();
        pushed.add([entry("r/a", b"2")]).unwrap();
        let digests = pushed.digests().unwrap();
        assert_eq!(digests["r/a"], digest(b"2"));
        assert_eq!(digests.len(), 2);
        assert!(lines(&digests).starts_with(&digest(b"2")["sha256:".len()..]));
    }
}
