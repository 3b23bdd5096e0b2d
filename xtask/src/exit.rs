//! How a command ends: the exit codes that scripts and CI can rely on.

use std::{
    panic::{self, AssertUnwindSafe, PanicHookInfo},
    process::ExitCode,
};

use anyhow::Result;

/// What happened, worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// All is well.
    Ok = 0,
    /// Input, output or a program that was run failed.
    Failed = 1,
    /// The command line is wrong, or a name is.
    Usage = 2,
    /// Generated files are not what they should be.
    Drift = 3,
    /// Conflicts are in the tree.
    Conflicts = 4,
    /// Refused, because somebody has to decide.
    Refused = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Runs `command`, says what went wrong, and ends as it should.
pub(crate) fn of(command: impl FnOnce() -> Result<Exit>) -> ExitCode {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !is_nobody_reading(panic) {
            report(panic);
        }
    }));
    // Whoever panics has said so, but for an output that nobody reads: there is nobody to tell.
    let Ok(result) = panic::catch_unwind(AssertUnwindSafe(command)) else {
        return Exit::Failed.into();
    };
    let exit = result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        error.downcast_ref::<With>().map_or(Exit::Failed, |with| with.0)
    });
    exit.into()
}

/// Whether this is `println!`, whose reader has seen enough (`| head`). It panics then, which stops what
/// was started in the background; the signal that ends other programs would leave that running.
fn is_nobody_reading(panic: &PanicHookInfo<'_>) -> bool {
    panic.payload_as_str().is_some_and(|words| {
        words.starts_with("failed printing to stdout") && words.contains("Broken pipe")
    })
}

/// For `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  all is well
  1  input, output or a program that was run failed
  2  the command line, or a name in it, is wrong
  3  generated files are not what they should be (--check)
  4  conflicts are in the tree
  5  refused: a collision, a generated file that was edited by hand, a file with uncommitted changes";

/// An error that is to end the program with a code of its own.
#[derive(Debug)]
pub(crate) struct With(pub(crate) Exit, pub(crate) String);

impl std::fmt::Display for With {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.1)
    }
}

impl std::error::Error for With {}

/// A wrong command line.
pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    With(Exit::Usage, message.into()).into()
}

/// Something that needs somebody to decide.
pub(crate) fn refused(message: impl Into<String>) -> anyhow::Error {
    With(Exit::Refused, message.into()).into()
}
