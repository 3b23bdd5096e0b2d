//! A statement with placeholders.

use std::ops::Range;

use server_core::{Error, Result};

use super::{
    code::{Role, roles},
    dialect::Dialect,
    inner,
    lexer::{Find, Kind, Token, lex},
    place::{Inner, Place},
};
use crate::task::placeholder::{unknown, unknown_at};

/// The most characters of a statement without its values. BigQuery and Snowflake take no longer ones:
/// <https://cloud.google.com/bigquery/quotas#query_jobs>,
/// <https://docs.snowflake.com/en/user-guide/query-size-limits>.
const MAX_CHARACTERS: usize = 1 << 20;

/// A statement, its tokens and its placeholders.
#[derive(Debug)]
pub struct Template<'a, H> {
    /// The statement.
    pub text: &'a str,
    /// Its tokens in order, comments included.
    pub tokens: Vec<Token>,
    /// Its placeholders in order.
    pub holes: Vec<Hole<H>>,
}

/// A placeholder in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hole<H> {
    /// Its bytes.
    pub range: Range<usize>,
    /// Its meaning to the service.
    pub meaning: H,
    /// Where it is.
    pub place: Place,
    /// The index of the token that it is, or is in.
    pub token: usize,
}

impl<'a, H> Template<'a, H> {
    /// Splits `text` at the placeholders that `find` returns; it is asked about every character.
    ///
    /// Takes time in proportion to the length of `text`, if `find` takes constant time.
    ///
    /// # Errors
    /// `InvalidArgument` for a statement of more than 2^20 characters, and for a placeholder whose place is ambiguous, for
    /// example after a backslash.
    pub fn parse<'f>(
        dialect: &'static Dialect,
        text: &'a str,
        find: &'f mut Find<'f, H>,
    ) -> Result<Self> {
        if text.chars().count() > MAX_CHARACTERS {
            let message =
                "template.sql.statement: longer than 1,048,576 characters without its values";
            return Err(Error::invalid(message));
        }
        let lexed = lex(dialect, text, find)?;
        let tokens = lexed.tokens;
        let (ranges, meanings): (Vec<_>, Vec<_>) = lexed.holes.into_iter().unzip();
        let places = places(dialect, text, &tokens, &ranges)?;
        let holes = ranges.into_iter().zip(meanings).zip(places);
        let holes =
            holes.map(|((range, meaning), (token, place))| Hole { range, meaning, place, token });
        Ok(Self { text, holes: holes.collect(), tokens })
    }

    /// The comment that swallows the rest of the statement if the statement's lines were joined into one, as
    /// Flyte's SDKs do: one to the end of the only line.
    #[must_use]
    pub fn swallowing_comment(&self) -> Option<&'a str> {
        let last = self.tokens.last().filter(|_| !self.text.contains('\n'))?;
        (last.kind == Kind::LineComment).then(|| self.source(last))
    }

    /// Refuses what looks like one of Flyte's placeholders but is unknown. Outside of quotes no SQL looks like one; within
    /// quotes it may be text, and is refused only if it begins with one of Flyte's names. Comments are not read.
    ///
    /// # Errors
    /// `InvalidArgument` with `field` and what was found.
    pub fn check_placeholders(&self, field: &str) -> Result<()> {
        let found = self.tokens.iter().find_map(|token| match token.kind {
            Kind::Sign('{') => unknown_at(self.text, token.range.start),
            Kind::Quoted(_) => {
                let opened = self.source(token).match_indices("{{");
                let mut found =
                    opened.filter_map(|(at, _)| unknown_at(self.text, token.range.start + at));
                found.find(|unknown| unknown.is_misspelt)
            }
            _ => None,
        });
        found.map_or(Ok(()), |found| Err(unknown(field, found.source)))
    }

    /// The source of `token`.
    #[must_use]
    pub fn source(&self, token: &Token) -> &'a str {
        &self.text[token.range.clone()]
    }
}

/// Whether [`Template::parse`] would find nothing in `text` but what it begins with: no placeholder of Flyte's, and no comment
/// that swallows anything. It takes a hundredth of the time.
#[must_use]
pub fn is_plain(dialect: &Dialect, text: &str) -> bool {
    let has_comment = || dialect.line_comments.iter().any(|open| text.contains(open));
    let may_swallow = || !text.contains('\n') && has_comment();
    text.len() <= MAX_CHARACTERS && !text.contains("{{") && !may_swallow()
}

/// The token and the place of each hole.
fn places(
    dialect: &'static Dialect,
    text: &str,
    tokens: &[Token],
    holes: &[Range<usize>],
) -> Result<Vec<(usize, Place)>> {
    if holes.is_empty() {
        return Ok(Vec::new());
    }
    let roles = roles(dialect, text, tokens);
    let swallows = !text.contains('\n');
    let mut places = Vec::with_capacity(holes.len());
    let mut next = 0;
    for (index, token) in tokens.iter().enumerate() {
        let inside = holes[next..].iter().take_while(|hole| hole.start < token.range.end).count();
        let inside = &holes[next..next + inside];
        next += inside.len();
        let role = roles.get(index).copied().unwrap_or(Role::Data);
        let place = match (token.kind, role) {
            (Kind::LineComment, _) => Place::LineComment { swallows },
            (Kind::BlockComment, _) => Place::BlockComment,
            (Kind::Quoted(quoted), Role::Data) => Place::Quoted(quoted),
            (Kind::Quoted(quoted), role) if !inside.is_empty() => {
                let code = (&token.range, quoted);
                let inner = inner::places(dialect, text, code, inside, role)?;
                let of = |inner: Inner| (index, Place::Code(quoted, inner));
                places.extend(inner.into_iter().map(of));
                continue;
            }
            (_, Role::Data) => Place::Open,
            _ => Place::Operand,
        };
        places.extend(inside.iter().map(|_| (index, place)));
    }
    Ok(places)
}

/// The names right after `sign` in `comment`, for example those of `@x`; not after a word, as in `a@x`.
pub fn named(comment: &str, sign: char) -> impl Iterator<Item = &str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    comment.match_indices(sign).filter_map(move |(at, _)| {
        let before = comment[..at].chars().next_back();
        let name = &comment[at + sign.len_utf8()..];
        let name = &name[..name.find(|c: char| !is_word(c)).unwrap_or(name.len())];
        let is_free = !before.is_some_and(|c| is_word(c) || c == sign);
        (is_free && !name.is_empty()).then_some(name)
    })
}
