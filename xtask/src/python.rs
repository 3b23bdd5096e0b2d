//! A Python environment below `target/`, for tests with the callers' own code.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    process::{program, run, works},
    root, target,
};

/// What to say when there is none.
pub(crate) const MISSING: &str = "python3 with venv is not installed";
/// What goes into it, with versions.
const REQUIREMENTS: &str = "tests/interop/python/requirements.txt";

/// A ready environment.
pub(crate) struct Python {
    dir: PathBuf,
}

impl Python {
    /// Makes the environment, or finds it made; `None` without Python.
    pub(crate) fn prepare() -> Result<Option<Self>> {
        let python = Self { dir: target("interop/venv") };
        let wanted = std::fs::read_to_string(root().join(REQUIREMENTS))?;
        let stamp = python.dir.join("requirements.txt");
        if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(Some(python));
        }
        if !works(program("python3").args(["-c", "import ensurepip, venv"])) {
            return Ok(None);
        }
        println!("   installing {REQUIREMENTS} into target/interop/venv …");
        run(program("python3").args(["-m", "venv", "--clear"]).arg(&python.dir))?;
        run(python.command().args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--requirement",
            REQUIREMENTS,
        ]))?;
        std::fs::write(stamp, wanted)?;
        Ok(Some(python))
    }

    fn command(&self) -> Command {
        program(self.dir.join("bin/python"))
    }

    /// pytest on `path`.
    pub(crate) fn pytest(&self, path: &str) -> Command {
        let mut command = self.command();
        command.args(["-m", "pytest", "-q", "-p", "no:cacheprovider", path]);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Copies Google's discovery document to where the fake looks for it.
    pub(crate) fn install_discovery(&self) -> Result<()> {
        const IN_PACKAGE: &str = "googleapiclient/discovery_cache/documents/bigquery.v2.json";
        let package =
            "import googleapiclient, os; print(os.path.dirname(googleapiclient.__file__))";
        let output = self.command().args(["-c", package]).output()?;
        let package = String::from_utf8(output.stdout)?;
        let document = Path::new(package.trim()).parent().map(|dir| dir.join(IN_PACKAGE));
        let document = document.context("google-api-python-client is not installed")?;
        std::fs::copy(&document, target("interop/bigquery.v2.json"))
            .with_context(|| format!("cannot copy {}", document.display()))?;
        Ok(())
    }
}
