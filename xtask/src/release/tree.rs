//! The files of the repository that tell its version, and what is found wrong in them.

use std::{collections::BTreeMap, fmt, path::Path};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use crate::process::program;

/// The record of released charts.
pub(crate) const RELEASED: &str = "released.toml";

/// Texts by path in the repository.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
}

/// Something that stands in the way of a release, or that one should know of before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// Path in the repository.
    pub(crate) file: String,
    /// From 1; 0 for the whole file.
    pub(crate) line: usize,
    pub(crate) message: String,
}

impl Finding {
    pub(crate) fn new(file: &str, line: usize, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}: {}", self.file, self.message),
        }
    }
}

impl Tree {
    /// The files of `root` that git tracks or would add.
    ///
    /// # Errors
    /// If git cannot list them.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let list = ["ls-files", "--cached", "--others", "--exclude-standard"];
        let output = program("git").args(list).current_dir(root).output()?;
        if !output.status.success() {
            bail!("git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let names = String::from_utf8(output.stdout).context("names of files")?;
        let told = names.lines().filter(|name| tells_a_version(name));
        // Of a file that is deleted, or no text, nothing needs to agree.
        let read = |name: &str| {
            let text = std::fs::read_to_string(root.join(name)).ok()?;
            Some((name.to_owned(), text))
        };
        Ok(Self { files: told.filter_map(read).collect() })
    }

    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Self { files: files.collect() }
    }

    /// The text of a file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Paths and texts, sorted by path.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The files below `directory/`, by their paths there.
    pub(crate) fn below<'a>(
        &'a self,
        directory: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files().filter_map(move |(path, text)| {
            Some((path.strip_prefix(directory)?.strip_prefix('/')?, text))
        })
    }
}

/// Where `cargo generate` has the version that plugins take of `plugin-core`.
pub(crate) const DERIVED: &str = "template/service/derive.rhai";

/// Whether a release looks at the file at `path`. What the template renders to is compared elsewhere.
fn tells_a_version(path: &str) -> bool {
    if path.contains(".scaffold/") {
        return false;
    }
    if let Some(of_template) = path.strip_prefix("template/") {
        return of_template.starts_with("changes/") || path == DERIVED;
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    let names = ["Cargo.toml", "Cargo.lock", "pyproject.toml", "requirements.txt", "__init__.py"];
    if path.starts_with("tests/") {
        let rendered = ["tests/charts/golden/", "tests/cluster/"];
        return name == "Cargo.toml" || rendered.iter().any(|at| path.starts_with(at));
    }
    let directories = ["charts/", "kustomize/", "docs/", "compose/", ".github/ISSUE_TEMPLATE/"];
    names.contains(&name)
        || name.ends_with(".md")
        || path == RELEASED
        || directories.iter().any(|directory| path.starts_with(directory))
}
