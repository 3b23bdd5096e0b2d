//! Programs that `cargo install` builds for the steps, below target/tools.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::{
    process::{cargo, program, run, works},
    target,
};

/// A program that cargo installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tool {
    /// Its package, which has the name of the program.
    pub(crate) name: &'static str,
    /// The version that CI uses.
    pub(crate) version: &'static str,
    /// Further arguments of `cargo install`.
    pub(crate) features: &'static [&'static str],
}

impl Tool {
    /// The tool in its version; built if it is missing and `install` is set.
    ///
    /// # Errors
    /// If it cannot be built.
    pub(crate) fn built(self, install: bool) -> Result<Option<PathBuf>> {
        let tool = target("tools/bin").join(self.name);
        if is_version(&mut program(&tool), self.version) {
            return Ok(Some(tool));
        }
        if !install {
            return Ok(works(program(&tool).arg("--version")).then_some(tool));
        }
        self.install()?;
        Ok(Some(tool))
    }

    /// Builds it.
    ///
    /// # Errors
    /// If it cannot be built.
    pub(crate) fn install(self) -> Result<()> {
        // It runs for a second but builds for minutes: skip optimisations.
        let mut install = cargo(&["install", "--locked", "--quiet", "--debug"]);
        install.arg(self.package()).args(self.features);
        // In a directory of its own, which cargo removes.
        run(install.arg("--root").arg(target("tools")).env_remove("CARGO_TARGET_DIR"))
    }

    /// How to install it.
    pub(crate) fn advice(self) -> String {
        let features = self.features.iter().map(|word| format!(" {word}")).collect::<String>();
        let Self { name, .. } = self;
        let package = self.package();
        format!(
            "{name} is not installed: cargo install --locked {package}{features} --root target/tools"
        )
    }

    fn package(self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

/// Whether `tool` runs and is `version`.
pub(crate) fn is_version(tool: &mut Command, version: &str) -> bool {
    let output = tool.arg("--version").output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_a_command_to_paste() {
        let tool = Tool { name: "mdbook", version: "1.2.3", features: &["--features", "search"] };
        assert_eq!(
            tool.advice(),
            "mdbook is not installed: cargo install --locked mdbook@1.2.3 --features search --root target/tools"
        );
    }
}
