//! Splits a statement by Snowflake's lexical structure into plain text and placeholders.
//!
//! Placeholders are `{{ .inputs.x }}`, and, when the task has inputs, `%(x)s`, `%%` and `:x`.

mod names;

use std::collections::BTreeSet;

use plugin_core::{
    Result,
    sql::{Hole, Kind, Place, Template, Token, named, swallowed},
    task::placeholder::Placeholder,
};

use self::names::Finder;
use crate::dialect::SNOWFLAKE;

/// A placeholder, and what the grammar around it requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot<'a> {
    pub(crate) placeholder: Placeholder<'a>,
    pub(crate) place: Place,
    /// Whether Snowflake's grammar requires a literal: `DATE …`, `… PRECEDING`.
    pub(crate) constant: bool,
    /// Whether it is all that `IN (…)` contains.
    pub(crate) is_whole_list: bool,
}

/// A part of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Text(&'a str),
    Slot(Slot<'a>),
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

/// Splits `statement` of a task with `inputs`.
///
/// # Errors
/// `InvalidArgument` for a placeholder that is unknown or cannot be rendered safely.
pub(crate) fn split<'a>(statement: &'a str, inputs: &BTreeSet<&str>) -> Result<Parts<'a>> {
    let mut finder = Finder::new(statement, inputs);
    let mut find = |at, before: Option<&[Token]>| finder.find(at, before);
    let template = Template::parse(SNOWFLAKE, statement, &mut find)?;
    template.check_placeholders("template.sql.statement")?;
    let comment = template.swallowing_comment().unwrap_or_default();
    if let Some(name) = named(comment, ':').find(|name| inputs.contains(name)) {
        return Err(swallowed(&format!(":{name}")));
    }
    let is_comment = |token: &&Token| matches!(token.kind, Kind::LineComment | Kind::BlockComment);
    let tokens = template.tokens.iter().filter(|token| !is_comment(token)).collect::<Vec<_>>();
    let mut parts = Parts::default();
    parts.count(&template, &tokens);
    parts.cut(&template, &tokens);
    Ok(parts)
}

impl<'a> Parts<'a> {
    /// Reads the properties of the whole.
    fn count(&mut self, template: &Template<'a, Placeholder<'a>>, tokens: &[&Token]) {
        let mut within_statement = false;
        for token in tokens {
            if token.kind == Kind::Sign(';') {
                within_statement = false;
                continue;
            }
            self.statements += usize::from(!within_statement);
            within_statement = true;
            self.has_binds |= token.kind == Kind::Sign('?');
            if token.kind == Kind::Word {
                self.first_word.get_or_insert(template.source(token));
            }
        }
    }

    /// Cuts the statement at its placeholders and rows.
    fn cut(&mut self, template: &Template<'a, Placeholder<'a>>, tokens: &[&Token]) {
        let mut cuts = rows(template, tokens);
        let slots = template.holes.iter();
        let slots =
            slots.map(|hole| (hole.range.clone(), Piece::Slot(slot(template, tokens, hole))));
        cuts.extend(slots);
        cuts.sort_by_key(|(range, _)| range.start);
        let mut at = 0;
        for (range, piece) in cuts {
            self.push_text(&template.text[at..range.start]);
            self.pieces.push(piece);
            at = range.end;
        }
        self.push_text(&template.text[at..]);
    }

    fn push_text(&mut self, text: &'a str) {
        if !text.is_empty() {
            self.pieces.push(Piece::Text(text));
        }
    }
}

type Cut<'a> = (std::ops::Range<usize>, Piece<'a>);

/// Where rows after `VALUES` begin and end.
fn rows<'a>(template: &Template<'a, Placeholder<'a>>, tokens: &[&Token]) -> Vec<Cut<'a>> {
    let (mut cuts, mut depth, mut row) = (Vec::new(), 0_usize, None);
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Sign('(') => {
                let values = is_one_of(word_at(template, tokens, at.checked_sub(1)), &["VALUES"]);
                if values && row.is_none() {
                    row = Some(depth);
                    cuts.push((token.range.start..token.range.start, Piece::RowStart));
                }
                depth += 1;
            }
            Kind::Sign(')') => {
                depth = depth.saturating_sub(1);
                if row == Some(depth) {
                    row = None;
                    cuts.push((token.range.end..token.range.end, Piece::RowEnd));
                }
            }
            _ => {}
        }
    }
    cuts
}

fn slot<'a>(
    template: &Template<'a, Placeholder<'a>>,
    tokens: &[&Token],
    hole: &Hole<Placeholder<'a>>,
) -> Slot<'a> {
    let start = hole.range.start;
    let at = tokens.partition_point(|token| token.range.end <= start);
    let is_open = hole.place == Place::Open;
    let word = |at: Option<usize>| word_at(template, tokens, at);
    let sign = |at: Option<usize>| at.and_then(|at| tokens.get(at)).map(|token| token.kind);
    let (before, after) = (at.checked_sub(1), Some(at + 1));
    let bounds_a_frame = is_one_of(word(after), &["PRECEDING", "FOLLOWING"]);
    let within_parentheses =
        sign(before) == Some(Kind::Sign('(')) && sign(after) == Some(Kind::Sign(')'));
    Slot {
        placeholder: hole.meaning,
        place: hole.place,
        constant: is_open && (takes_a_literal(word(before)) || bounds_a_frame),
        is_whole_list: within_parentheses && is_one_of(word(at.checked_sub(2)), &["IN"]),
    }
}

/// The token at index `at`, if it is a word; else an empty string.
fn word_at<'a>(
    template: &Template<'a, Placeholder<'a>>,
    tokens: &[&Token],
    at: Option<usize>,
) -> &'a str {
    let token = at.and_then(|at| tokens.get(at)).filter(|token| token.kind == Kind::Word);
    token.map_or("", |token| template.source(token))
}

/// Whether `word` is one of `known`, which are in upper case.
fn is_one_of(word: &str, known: &[&str]) -> bool {
    known.iter().any(|known| known.eq_ignore_ascii_case(word))
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

#[cfg(test)]
mod tests;
