//! Checks a written statement: no value may have changed the tokens around it.

use std::ops::Range;

use server_core::{Error, Result};

use super::{
    dialect::Dialect,
    lexer::{Kind, Token, read_tokens},
    place::Place,
};

/// A value in a written statement.
#[derive(Debug)]
pub(super) struct Filled {
    pub(super) range: Range<usize>,
    pub(super) place: Place,
    pub(super) name: String,
}

/// The values of a written statement, in order.
#[derive(Debug, Default)]
pub(super) struct Shape(Vec<Filled>);

impl Shape {
    pub(super) fn add(&mut self, filled: Filled) {
        self.0.push(filled);
    }

    /// Reads `statement` again.
    ///
    /// # Errors
    /// `InvalidArgument` with the name of a value that is not where it was put.
    pub(super) fn check(&self, dialect: &'static Dialect, statement: &str) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut check = Check { values: &self.0, has_begun: false, moved: None };
        read_tokens(dialect, statement, &mut |token| check.token(token))?;
        // An empty value at the end, within quotes that nothing closes, is in no token.
        let rest = check.values.iter().find(|filled| !filled.range.is_empty());
        match check.moved.or(rest) {
            None => Ok(()),
            Some(filled) => Err(Error::invalid(format!(
                "{}: must not be here, because it would change the tokens around it",
                filled.name
            ))),
        }
    }
}

struct Check<'s> {
    /// The values that are not checked yet.
    values: &'s [Filled],
    /// Whether the first of them has begun with a token, and not ended.
    has_begun: bool,
    /// The first value that is not where it was put.
    moved: Option<&'s Filled>,
}

impl Check<'_> {
    fn token(&mut self, token: &Token) {
        while let Some((filled, rest)) = self.values.split_first() {
            let range = &filled.range;
            if token.range.end <= range.start || self.moved.is_some() {
                return;
            }
            if matches!(filled.place, Place::Open | Place::Operand) {
                let begins = self.has_begun || token.range.start == range.start;
                self.has_begun = begins && token.range.end < range.end;
                if self.has_begun {
                    return;
                }
                if !begins || token.range.end > range.end {
                    self.moved = Some(filled);
                }
            } else if !is_within(token, filled) {
                self.moved = Some(filled);
            }
            self.values = rest;
        }
    }
}

/// Whether `filled` is in `token`, and `token` is what it was put in.
fn is_within(token: &Token, filled: &Filled) -> bool {
    let contains =
        |around: Range<usize>| around.start <= filled.range.start && filled.range.end <= around.end;
    match (filled.place, token.kind) {
        (Place::Quoted(put) | Place::Code(put, _), Kind::Quoted(found)) => {
            let is_same = found.quote == put.quote && found.raw == put.raw;
            is_same && contains(found.content(&token.range))
        }
        (Place::LineComment { .. }, Kind::LineComment)
        | (Place::BlockComment, Kind::BlockComment) => contains(token.range.clone()),
        _ => false,
    }
}
