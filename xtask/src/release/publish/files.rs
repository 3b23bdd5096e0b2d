//! The files of a release: their checksums, and the release itself.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context as _, Result};

use super::{
    Publisher,
    record::{digest, lines},
};
use crate::{
    exit::usage,
    process::{program, works, write},
    release::{notes, tree::Tree},
};

/// The checksums, and their signature.
const CHECKSUMS: &str = "SHA256SUMS";
const SIGNATURE: &str = "SHA256SUMS.sigstore.json";

impl Publisher<'_> {
    /// Writes and signs the checksums of all files.
    pub(super) fn files(&self) -> Result<()> {
        let checksums = self.files_directory().join(CHECKSUMS);
        let mut digests = BTreeMap::new();
        for file in self.listed()? {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name != CHECKSUMS && name != SIGNATURE {
                digests.insert(name, digest(&std::fs::read(&file)?));
            }
        }
        if digests.is_empty() && !self.shell.dry {
            let directory = self.files_directory();
            return Err(usage(format!("{} has no files", directory.display())));
        }
        if self.shell.dry {
            println!("would write {} with {} files", checksums.display(), digests.len());
        } else {
            write(&checksums, lines(&digests))?;
        }
        let bundle = self.files_directory().join(SIGNATURE);
        let mut sign = program("cosign");
        sign.args(["sign-blob", "--yes", "--new-bundle-format", "--bundle"])
            .arg(bundle)
            .arg(&checksums);
        self.shell.run(&mut sign)?;
        if self.shell.dry { Ok(()) } else { self.pushed().add(digests) }
    }

    /// Makes the release, or adds to the one that an earlier attempt made.
    pub(super) fn release(&self) -> Result<()> {
        let tag = format!("v{}", self.release.version);
        let notes_file = self.directory.join("notes.md");
        let notes = notes(&Tree::read(self.root())?, self.release)?;
        if self.shell.dry {
            println!("would make the release {tag} with these notes:\n{notes}");
        } else {
            write(&notes_file, notes)?;
        }
        let files = self.listed()?;
        let mut gh = program("gh");
        let exists = !self.shell.dry && works(program("gh").args(["release", "view", &tag]));
        if exists {
            gh.args(["release", "upload", &tag, "--clobber"]);
        } else {
            gh.args(["release", "create", &tag, "--verify-tag", "--title"]);
            gh.arg(format!("Outrigger {}", self.release.version)).arg("--notes-file");
            gh.arg(&notes_file);
            if self.release.version.contains('-') {
                gh.arg("--prerelease");
            }
        }
        self.shell.run(gh.args(files))
    }

    /// The files of the release, by name; none in a dry run before anything is built.
    fn listed(&self) -> Result<Vec<PathBuf>> {
        let directory = self.files_directory();
        if self.shell.dry && !directory.is_dir() {
            return Ok(Vec::new());
        }
        let entries = std::fs::read_dir(&directory)
            .with_context(|| format!("cannot read {}", directory.display()))?;
        let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        files.sort();
        Ok(files)
    }
}
