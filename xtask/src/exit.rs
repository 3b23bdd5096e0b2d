//! Exit codes that scripts and CI can rely on.

use std::{
    panic::{self, AssertUnwindSafe, PanicHookInfo},
    process::ExitCode,
};

use anyhow::Result;

/// The outcome of a command, worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Success.
    Ok = 0,
    /// I/O or a child process failed.
    Failed = 1,
    /// The command line, or a name in it, is invalid.
    Usage = 2,
    /// Generated files differ from their expected contents, or a release is not ready.
    Drift = 3,
    /// The tree contains merge conflicts.
    Conflicts = 4,
    /// Refused: the user has to decide.
    Refused = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Runs `command`, prints its error and returns its exit code.
pub fn of(command: impl FnOnce() -> Result<Exit>) -> ExitCode {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !is_broken_pipe(panic) {
            report(panic);
        }
    }));
    // The hook has reported the panic already, unless stdout was closed.
    let Ok(result) = panic::catch_unwind(AssertUnwindSafe(command)) else {
        return Exit::Failed.into();
    };
    let exit = result.unwrap_or_else(|error| {
        if error.chain().any(has_lost_its_reader) {
            return Exit::Failed;
        }
        anstream::eprintln!("{}: {error:#}", error_prefix());
        error.downcast_ref::<With>().map_or(Exit::Failed, |with| with.0)
    });
    exit.into()
}

/// What errors begin with, as clap's do. Its colours are for `anstream`, which leaves them out where they do not
/// belong.
#[must_use]
pub fn error_prefix() -> String {
    let style = *clap::builder::Styles::styled().get_error();
    format!("{style}error{style:#}")
}

/// Whether `println!` panicked because the reader closed the pipe (`| head`). Unwinding stops the
/// background processes; ending by SIGPIPE, as other programs do, would leave them running.
fn is_broken_pipe(panic: &PanicHookInfo<'_>) -> bool {
    panic.payload_as_str().is_some_and(|message| {
        message.starts_with("failed printing to stdout") && message.contains("Broken pipe")
    })
}

/// Whether an error says the same.
fn has_lost_its_reader(error: &(dyn std::error::Error + 'static)) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// The exit codes, as `--help` lists them.
pub const HELP: &str = "\
Exit codes:
  0  success
  1  I/O or a child process failed
  2  the command line, or a name in it, is invalid
  3  generated files differ from their expected contents, or a release is not ready (--check)
  4  the tree contains merge conflicts
  5  refused: a name collision, an edited generated file, a file with uncommitted changes, a symbolic link";

/// An error with a specific exit code.
#[derive(Debug)]
pub(crate) struct With(pub(crate) Exit, pub(crate) String);

impl std::fmt::Display for With {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.1)
    }
}

impl std::error::Error for With {}

/// An error in the command line.
#[must_use]
pub fn usage(message: impl Into<String>) -> anyhow::Error {
    With(Exit::Usage, message.into()).into()
}

/// An operation refused because the user has to decide.
#[must_use]
pub fn refused(message: impl Into<String>) -> anyhow::Error {
    With(Exit::Refused, message.into()).into()
}
