//! What a command prints: text for people, or one JSON document for programs.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use serde::Serialize;

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Output {
    /// For people; in colours on a terminal.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

impl Output {
    /// Prints `text` or `json`. Colours in `text` reach terminals alone, and none if `NO_COLOR` is set.
    ///
    /// # Errors
    /// If standard output is closed.
    pub(crate) fn print(self, text: &str, json: &impl Serialize) -> Result<()> {
        match self {
            Self::Text => print(text),
            Self::Json => print(&format!("{}\n", serde_json::to_string_pretty(json)?)),
        }
    }
}

/// Prints `text`.
///
/// # Errors
/// If standard output is closed.
pub(crate) fn print(text: &str) -> Result<()> {
    anstream::stdout().write_all(text.as_bytes()).context("cannot write to standard output")
}
