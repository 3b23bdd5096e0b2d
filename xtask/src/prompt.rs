//! Prompts for arguments that are missing on the command line.

use std::io::{IsTerminal as _, Write as _, stdin, stdout};

use anyhow::Result;

/// A prompt on the terminal, if there is one.
pub(crate) struct Prompt {
    interactive: bool,
}

impl Prompt {
    /// Asks on a terminal, unless `silent`.
    pub(crate) fn new(silent: bool) -> Self {
        Self { interactive: !silent && stdin().is_terminal() && stdout().is_terminal() }
    }

    /// The first answer that `check` accepts; `None` without a terminal or if the answer is empty. A
    /// rejected answer prints the reason and prompts again.
    ///
    /// # Errors
    /// If the terminal cannot be read or written.
    pub(crate) fn ask_for(
        &self,
        what: &str,
        default: Option<&str>,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Result<Option<String>> {
        loop {
            let answer = self.ask(what, default)?;
            match answer.as_deref().map(&check) {
                Some(Err(reason)) => println!("{reason}"),
                _ => return Ok(answer),
            }
        }
    }

    fn ask(&self, what: &str, default: Option<&str>) -> Result<Option<String>> {
        if !self.interactive {
            return Ok(None);
        }
        match default {
            Some(default) => print!("{what} [{default}]: "),
            None => print!("{what}: "),
        }
        stdout().flush()?;
        let mut answer = String::new();
        stdin().read_line(&mut answer)?;
        let answer = answer.trim();
        Ok((!answer.is_empty()).then(|| answer.to_owned()))
    }
}
