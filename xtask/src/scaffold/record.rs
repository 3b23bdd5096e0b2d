//! The record of what the generator last wrote for a plugin: `.scaffold/` in the plugin's directory.
//!
//! Hashes distinguish a manual edit from an old rendering. Files that are scaffolded once are stored in
//! full as the base of the next merge, because old versions of the template are not available.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::template::Class;
use crate::exit::{Exit, With};

/// The name of the directory.
pub(crate) const DIRECTORY: &str = ".scaffold";
const FILE: &str = "manifest.toml";
const HEAD: &str = "# What cargo xtask last wrote here; it is cargo xtask's own file.\n";

/// `.scaffold/manifest.toml` and the merge bases next to it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// The name of the template.
    #[serde(default)]
    pub(crate) template: String,
    /// Its version.
    #[serde(default)]
    pub(crate) version: u32,
    /// The plugin's name when it was written: it may have been renamed since.
    #[serde(default)]
    pub(crate) plugin: String,
    /// By file id: the letter of its class and the hash of what was written.
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// By file id: the rendered contents that its author started from or last merged.
    #[serde(skip)]
    bases: BTreeMap<String, String>,
}

impl Record {
    /// Reads the record below `service`; it is empty if there is none.
    ///
    /// # Errors
    /// If the record cannot be read or parsed.
    pub(crate) fn read(service: &Path) -> Result<Self> {
        let directory = service.join(DIRECTORY);
        let path = directory.join(FILE);
        if !path.exists() {
            return Ok(Self::default());
        }
        let named = || path.display().to_string();
        let text = std::fs::read_to_string(&path).with_context(named)?;
        let mut record: Self = toml_edit::de::from_str(&text).map_err(|error| {
            let path = path.display();
            With(
                Exit::Conflicts,
                format!("{path}: {error}\nAfter a merge conflict, take either side of this file and sync again: its contents are verified"),
            )
        })?;
        for id in record.files.keys() {
            // Without a valid base the next merge is a conflict; changes are never lost silently.
            let base = std::fs::read_to_string(directory.join("base").join(id));
            if let Some(base) =
                base.ok().map(|base| normalized(&base)).filter(|base| record.wrote(id, base))
            {
                record.bases.insert(id.clone(), base);
            }
        }
        Ok(record)
    }

    /// Whether the file was ever written.
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.files.contains_key(id)
    }

    /// Whether `text` is what was last written.
    pub(crate) fn wrote(&self, id: &str, text: &str) -> bool {
        let hash =
            |entry: &String| entry.split_once(':').is_some_and(|(_, hash)| hash == digest(text));
        self.files.get(id).is_some_and(hash)
    }

    /// The base of the next merge.
    pub(crate) fn base(&self, id: &str) -> Option<&str> {
        self.bases.get(id).map(String::as_str)
    }

    /// Records `text` as written.
    pub(crate) fn remember(&mut self, id: &str, class: Class, text: &str) {
        self.files.insert(id.to_owned(), format!("{}:{}", class.letter(), digest(text)));
        self.bases.remove(id);
        if class == Class::ScaffoldOnce {
            self.bases.insert(id.to_owned(), text.to_owned());
        }
    }

    /// Removes a file from the record.
    pub(crate) fn forget(&mut self, id: &str) {
        self.files.remove(id);
        self.bases.remove(id);
    }

    /// The ids of all files that were ever written.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The record's own files, by their path in the plugin's directory.
    pub(crate) fn files(&self) -> BTreeMap<String, String> {
        let mut text = HEAD.to_owned();
        let Self { template, version, plugin, .. } = self;
        let _ = write!(
            text,
            "template = \"{template}\"\nversion = {version}\nplugin = \"{plugin}\"\n\n[files]\n"
        );
        for (id, entry) in &self.files {
            let _ = writeln!(text, "\"{id}\" = \"{entry}\"");
        }
        let bases = self.bases.iter();
        let bases = bases.map(|(id, base)| (format!("{DIRECTORY}/base/{id}"), base.clone()));
        bases.chain([(format!("{DIRECTORY}/{FILE}"), text)]).collect()
    }
}

/// `text` with line endings normalised for comparison: a checkout may have converted them.
pub(crate) fn normalized(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// The SHA-256 of `text`, in hexadecimal.
pub(crate) fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_round_trips() {
        let mut record = Record { template: "plugin".to_owned(), version: 3, ..Record::default() };
        record.remember("src/lib.rs", Class::ScaffoldOnce, "one\n");
        record.remember("Dockerfile", Class::Generated, "FROM scratch\n");
        let directory = std::env::temp_dir().join(format!("record-{}", std::process::id()));
        for (path, text) in record.files() {
            crate::process::write(&directory.join(path), text).unwrap();
        }
        let read = Record::read(&directory).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(read, record);
        assert_eq!(read.base("src/lib.rs"), Some("one\n"));
        assert!(
            read.wrote("Dockerfile", "FROM scratch\n") && !read.wrote("Dockerfile", "FROM x\n")
        );
    }
}
