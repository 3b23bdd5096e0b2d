//! Why an expression has no value, for callers and for the log.

use std::fmt;

use plugin_core::Error;

use crate::located::Origin;

/// Why an expression, or what is made of it, has no value. Its `Display` names the expression, and is for whoever sent the task.
#[derive(Debug)]
pub(crate) struct EvalError {
    message: String,
    origin: Option<Origin>,
    /// The names that the expression uses.
    names: Vec<String>,
}

impl EvalError {
    pub(crate) fn new(message: String, origin: Option<&Origin>) -> Self {
        Self { message, origin: origin.cloned(), names: Vec::new() }
    }

    /// The same, of an expression that uses `names`.
    pub(super) fn with_names(self, names: &[String]) -> Self {
        Self { names: names.to_vec(), ..self }
    }

    /// Whether its expression uses `name`, all of what that is a part of, or a part of it.
    pub(crate) fn uses(&self, name: &str) -> bool {
        let is_part = |one: &str, other: &str| {
            one.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.names.iter().any(|used| is_part(used, name) || is_part(name, used))
    }

    /// The same, of the part `part`.
    pub(crate) fn within(self, part: &str) -> Self {
        Self { message: format!("{part}: {}", self.message), ..self }
    }

    /// The same, of a part of `part`.
    pub(crate) fn below(self, part: &str) -> Self {
        Self { message: format!("{part}.{}", self.message), ..self }
    }

    /// Where the expression is, for the file's author.
    pub(crate) fn into_origin(self) -> Option<Origin> {
        self.origin
    }

    /// What is wrong, and where, in one line.
    pub(crate) fn beside(&self) -> String {
        match &self.origin {
            Some(origin) => format!("{self} ({origin})"),
            None => self.to_string(),
        }
    }

    /// What is wrong, and where, for the file's author.
    pub(crate) fn located(&self) -> String {
        match &self.origin {
            Some(origin) => format!("{self}\n  --> {origin}"),
            None => self.to_string(),
        }
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// `error` as one of the plugin's file and the task's values. Where it is in the file, is for the log.
pub(crate) fn invalid(error: EvalError) -> Error {
    with_origin(Error::invalid(error.to_string()), error.into_origin())
}

/// `error` about what is at `origin` of a file.
pub(crate) fn with_origin(error: Error, origin: Option<Origin>) -> Error {
    origin.into_iter().fold(error, Error::with_source)
}

/// Where in a file the expression is that `error` is about.
pub(crate) fn origin_of(error: &Error) -> Option<&Origin> {
    std::error::Error::source(error)?.downcast_ref()
}
