//! Splits a statement by Snowflake's lexical structure into plain text and placeholders.
//!
//! Placeholders are `{{ .inputs.x }}`, and, when the task has inputs, `%(x)s`, `%%` and `:x`.

mod scanner;

use plugin_core::{Result, task::placeholder::Placeholder};

use self::scanner::Scanner;

/// A lexical context of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Between other tokens.
    Open,
    /// Between other tokens, where Snowflake's grammar requires a literal: `DATE …`, `… PRECEDING`.
    Constant,
    /// Within `'…'`.
    Quoted,
    /// Within `'…'` that is run as code, which undoes escapes.
    Code,
    /// Within `"…"`.
    Name,
    /// Within `$$…$$`, where nothing can be escaped.
    Dollars,
    LineComment,
    BlockComment,
}

/// A part of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Text(&'a str),
    Hole {
        place: Place,
        filling: Placeholder<'a>,
    },
    /// Before the parenthesis that opens the first row after `VALUES`.
    RowStart,
    /// After the parenthesis that closes it.
    RowEnd,
}

/// The parts of a statement.
#[derive(Debug, Default)]
pub(crate) struct Parts<'a> {
    pub(crate) pieces: Vec<Piece<'a>>,
    /// The number of statements.
    pub(crate) statements: usize,
    /// Whether it has bind variables of its own.
    has_binds: bool,
    first_word: Option<&'a str>,
}

impl Parts<'_> {
    /// Whether Snowflake supports bind variables here, and there are no others that would change the
    /// numbers of ours.
    pub(crate) fn can_bind(&self) -> bool {
        const BINDING: [&str; 7] =
            ["CALL", "DELETE", "INSERT", "MERGE", "SELECT", "UPDATE", "WITH"];
        let binds = is_one_of(self.first_word.unwrap_or_default(), &BINDING);
        binds && !self.has_binds && self.statements == 1
    }
}

/// Splits `statement`. `inputs` returns whether a name is an input; `some`, whether there are inputs.
///
/// # Errors
/// `InvalidArgument` for a placeholder that cannot be rendered safely.
pub(crate) fn split<'a>(
    statement: &'a str,
    some: bool,
    inputs: &dyn Fn(&str) -> bool,
) -> Result<Parts<'a>> {
    Scanner::new(statement, some, inputs).scan()
}

/// The context that the first token of `rest` opens, and the token's length.
fn opened(rest: &str) -> (Place, usize) {
    let starts = |head: &str| rest.starts_with(head);
    match () {
        () if starts("--") || starts("//") => (Place::LineComment, 2),
        () if starts("/*") => (Place::BlockComment, 2),
        () if starts("$$") => (Place::Dollars, 2),
        () if starts("'") => (Place::Quoted, 1),
        () if starts("\"") => (Place::Name, 1),
        () => (Place::Open, 0),
    }
}

/// The unquoted name or keyword that `rest` starts with; may be empty.
fn word(rest: &str) -> &str {
    let is_first = |c: char| c.is_alphabetic() || c == '_';
    if !rest.starts_with(is_first) {
        return "";
    }
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'));
    &rest[..end.unwrap_or(rest.len())]
}

/// Whether `word` is one of `known`, which are in upper case.
fn is_one_of(word: &str, known: &[&str]) -> bool {
    known.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// Whether `rest` continues like the bound of a window frame.
fn bounds_a_frame(rest: &str) -> bool {
    is_one_of(word(rest.trim_start()), &["PRECEDING", "FOLLOWING"])
}

/// Whether only a literal can follow `word`: a typed one or an interval.
fn takes_a_literal(word: &str) -> bool {
    const WORDS: [&str; 8] = [
        "DATE",
        "TIME",
        "DATETIME",
        "TIMESTAMP",
        "TIMESTAMP_NTZ",
        "TIMESTAMP_LTZ",
        "TIMESTAMP_TZ",
        "INTERVAL",
    ];
    is_one_of(word, &WORDS)
}

/// Whether `rest`, a statement from its `BEGIN`, starts a transaction and not a block of code.
fn begins_transaction(rest: &str) -> bool {
    let after = rest[word(rest).len()..].trim_start();
    let next = word(after);
    after.is_empty() || after.starts_with(';') || is_one_of(next, &["TRANSACTION", "WORK", "NAME"])
}

#[cfg(test)]
mod tests;
