//! Runs commands that leave this machine, or says which it would run.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::process::{line, run};

/// Runs commands, unless it is dry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shell {
    pub(super) dry: bool,
}

impl Shell {
    /// Prints the command, and runs it.
    pub(super) fn run(self, command: &mut Command) -> Result<()> {
        self.say(command);
        if self.dry { Ok(()) } else { run(command) }
    }

    /// Prints the command, runs it, and returns what it wrote; nothing in a dry run.
    pub(super) fn output(self, command: &mut Command) -> Result<Vec<u8>> {
        self.say(command);
        if self.dry {
            return Ok(Vec::new());
        }
        let output = command.stderr(Stdio::inherit()).output();
        let output = output.with_context(|| format!("cannot run {}", line(command)))?;
        if !output.status.success() {
            bail!("{} failed: {}", line(command), output.status);
        }
        Ok(output.stdout)
    }

    /// Prints the command, without its environment, which has tokens.
    pub(super) fn say(self, command: &Command) {
        println!("{} {}", if self.dry { "would run:" } else { "$" }, line(command));
    }
}
