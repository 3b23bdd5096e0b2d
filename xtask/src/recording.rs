//! A program's output as it came, line by line, and the animated picture of it.

mod svg;

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{process::write, root};

/// What begins the line of a step.
const STEP: char = '●';

/// A line, and when it was printed, from the start of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    at: Duration,
    text: String,
}

/// The output of one run.
#[derive(Debug)]
pub(crate) struct Recording {
    /// The command as a reader types it.
    command: String,
    lines: Vec<Line>,
}

impl Recording {
    /// Runs `program`, which a reader starts as `command`, and repeats its output here.
    ///
    /// # Errors
    /// If it cannot be run or fails.
    pub(crate) fn of(command: &str, program: &mut Command) -> Result<Self> {
        let started = Instant::now();
        let mut child = program.stdout(Stdio::piped()).spawn().context(command.to_owned())?;
        let output = child.stdout.take().context("stdout is piped")?;
        let mut lines = Vec::new();
        for text in BufReader::new(output).lines() {
            let text = text?;
            println!("{text}");
            lines.push(Line { at: started.elapsed(), text: without_machine(&text) });
        }
        let status = child.wait()?;
        if !status.success() {
            bail!("{command} failed: {status}");
        }
        Ok(Self { command: command.to_owned(), lines })
    }

    /// Writes the picture.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        write(file, svg::draw(&self.command, &self.lines))
    }

    /// Checks that the picture in `file` has the steps of this run, in their order.
    ///
    /// # Errors
    /// If it cannot be read, or has others.
    pub(crate) fn check(&self, file: &Path) -> Result<()> {
        let picture = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let steps = self.lines.iter().filter(|line| line.text.starts_with(STEP));
        let steps = steps.map(|line| svg::escaped(&line.text)).collect::<Vec<_>>();
        let drawn = svg::steps(&picture).collect::<Vec<_>>();
        if steps != drawn {
            let file = file.display();
            bail!(
                "{file} shows other steps than {}: write it again with --svg {file}",
                self.command
            );
        }
        Ok(())
    }
}

/// `text` with paths as they are in the repository.
fn without_machine(text: &str) -> String {
    text.replace(&format!("{}/", root().display()), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(script: &str) -> Result<Recording> {
        Recording::of("script", Command::new("sh").args(["-c", script]))
    }

    #[test]
    fn picture_has_the_steps_of_its_run() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.svg");
        let run =
            recording("echo '● Flyte'\\''s <create>'; echo '  ✓ done'; echo '● Polls'").unwrap();
        run.write(&file).unwrap();
        run.check(&file).unwrap();
        for other in ["echo '● Polls'", "echo '● Polls'; echo '● Flyte'\\''s <create>'"] {
            let error = recording(other).unwrap().check(&file).unwrap_err().to_string();
            assert!(error.contains("write it again with --svg"), "{error}");
        }
    }

    #[test]
    fn failed_run_is_an_error() {
        let error = recording("echo started; exit 3").unwrap_err().to_string();
        assert_eq!(error, "script failed: exit status: 3");
    }

    #[test]
    fn paths_of_this_machine_are_not_shown() {
        let path = root().join("target/demo/x.log");
        assert_eq!(
            without_machine(&format!("log in {}", path.display())),
            "log in target/demo/x.log"
        );
    }
}
