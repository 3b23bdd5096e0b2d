//! Asks people what a command line did not say.

use std::io::{IsTerminal as _, Write as _, stdin, stdout};

use anyhow::Result;

/// Whether there is anybody to ask.
pub(crate) struct Prompt {
    anybody: bool,
}

impl Prompt {
    /// Asks on a terminal, unless `silent`.
    pub(crate) fn new(silent: bool) -> Self {
        Self { anybody: !silent && stdin().is_terminal() && stdout().is_terminal() }
    }

    /// The first answer that `check` accepts; `None` if nobody is there, or nothing was said. What is not
    /// accepted is asked again, with the reason.
    ///
    /// # Errors
    /// A terminal that went away.
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
        if !self.anybody {
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
