//! The place of a placeholder in its statement.

use std::ops::Range;

use super::lexer::Quoted;

/// The place of a placeholder, by the grammar around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Between tokens.
    Open,
    /// Between tokens, as what a statement runs: `EXECUTE IMMEDIATE …`.
    Operand,
    /// Within quotes.
    Quoted(Quoted),
    /// In a comment to the end of the line.
    LineComment {
        /// Whether that is the statement's only line. Flyte's SDKs join lines, so that the comment swallows
        /// the rest of the statement.
        swallows: bool,
    },
    /// In `/* … */`.
    BlockComment,
    /// Within quotes whose content runs as code.
    Code(Quoted, Inner),
}

/// The place of a placeholder in code within quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inner {
    /// Between tokens of the statement's own dialect.
    Open(Neighbours),
    /// Within quotes of the statement's own dialect.
    Quoted(Quoted),
    /// Within quotes of any language, whose escapes are unknown.
    Plain,
    /// In a comment.
    Comment,
    /// Anywhere.
    Unknown(Neighbours),
}

/// The characters beside a placeholder in code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbours {
    pub(super) before: Option<char>,
    pub(super) after: Option<char>,
}

impl Neighbours {
    pub(super) fn of(text: &str, range: Range<usize>) -> Self {
        let before = text[..range.start].chars().next_back();
        Self { before, after: text[range.end..].chars().next() }
    }
}
