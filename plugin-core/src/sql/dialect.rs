//! The table that describes a vendor's SQL.

/// A vendor's SQL: what its tokens are, and which strings it runs.
///
/// Words are compared without regard to case; here they are in upper case.
#[derive(Debug)]
pub struct Dialect {
    /// What opens a comment that extends to the end of its line.
    pub line_comments: &'static [&'static str],
    /// Every form of quotes; of two that begin alike, the longer one first.
    pub quotes: &'static [Quote],
    /// Words that belong to the quotes right after them, for example `r`. With an `R`, the string is raw: it
    /// has no escapes, but a backslash still protects the quote after it.
    pub prefixes: &'static [&'static str],
    /// The characters in words beside letters, digits and `_`.
    pub word_signs: &'static str,
    /// Functions that run an argument as code.
    pub runs: &'static [Runs],
    /// Functions whose strings are data, whatever they look like.
    pub plain: &'static [&'static str],
    /// Whether the body of a function, `AS '…'`, is SQL unless `LANGUAGE` says otherwise.
    pub bodies_are_sql: bool,
}

/// A form of quotes.
#[derive(Debug, PartialEq, Eq)]
pub struct Quote {
    /// What opens it.
    pub open: &'static str,
    /// What closes it.
    pub close: &'static str,
    /// What is within.
    pub holds: Holds,
    /// How it is written within itself.
    pub escapes: Escapes,
}

/// What quotes contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// A string.
    Text,
    /// An identifier.
    Name,
}

/// How special characters are written within quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escapes {
    /// Not at all.
    None,
    /// After a backslash.
    Backslash,
    /// A quote as two of them.
    Doubled,
    /// In both ways; values are written with backslashes.
    BackslashOrDoubled,
    /// After a backslash; but a value may contain only letters, digits and these characters.
    Path(&'static str),
}

impl Escapes {
    pub(super) fn has_backslash(self) -> bool {
        matches!(self, Self::Backslash | Self::BackslashOrDoubled | Self::Path(_))
    }

    pub(super) fn has_doubled(self) -> bool {
        matches!(self, Self::Doubled | Self::BackslashOrDoubled)
    }
}

/// A function that runs one of its arguments.
#[derive(Debug)]
pub struct Runs {
    /// The function's name.
    pub function: &'static str,
    /// The argument's index, from 0.
    pub argument: usize,
    /// The argument's name, if it may be passed by name.
    pub named: Option<&'static str>,
    /// Whether it is of this dialect; else its escapes are unknown.
    pub same_dialect: bool,
}

impl Dialect {
    /// Whether `c` can begin a word.
    pub(super) fn begins_word(c: char) -> bool {
        c.is_alphabetic() || c == '_'
    }

    /// Whether `c` can continue a word.
    pub(super) fn continues_word(&self, c: char) -> bool {
        c.is_alphanumeric() || c == '_' || self.word_signs.contains(c)
    }
}

/// Whether `word` is one of `known`, which are in upper case.
pub(super) fn is_one_of(word: &str, known: &[&str]) -> bool {
    known.iter().any(|known| known.eq_ignore_ascii_case(word))
}
