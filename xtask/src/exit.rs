//! How a command ends: the exit codes that scripts and CI can rely on.

use std::process::ExitCode;

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
