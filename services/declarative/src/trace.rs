//! What `try --explain` shows: the value of each expression, and the rules that decided.

use std::sync::{Arc, Mutex, PoisonError};

use plugin_core::serde_json::Value as Json;

/// The most of a value that is shown, in characters.
const LONGEST: usize = 300;

/// The lines about what was evaluated. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace(Arc<Mutex<Vec<String>>>);

impl Trace {
    /// Adds what `name` gave.
    pub(crate) fn gave(&self, name: &str, value: Option<&Json>) {
        let line = match value {
            Some(value) => format!("{name}: {}", shortened(&value.to_string())),
            None => format!("{name}: no value"),
        };
        self.add(line);
    }

    /// Adds a line.
    pub(crate) fn add(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The same expression may be evaluated twice for one answer.
        if !lines.contains(&line) {
            lines.push(line);
        }
    }

    /// The lines since the last call, indented.
    pub(crate) fn take(&self) -> String {
        let lines = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        lines.into_iter().map(|line| format!("    {line}\n")).collect()
    }
}

/// The beginning of `text`, if it is long.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
