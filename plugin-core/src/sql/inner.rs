//! Code within a string: what it is once the string's own escapes are undone.

use std::ops::Range;

use server_core::Result;

use super::{
    code::{Language, Role, roles},
    decode::{Decoded, MARK, decoded},
    dialect::Dialect,
    lexer::{Kind, Lexed, Quoted, Token, lex},
    place::{Inner, Neighbours},
};

/// The places of `holes` within the string at `range` of `text`, which is `role`.
///
/// # Errors
/// `InvalidArgument` for a placeholder whose place in the code is ambiguous.
pub(super) fn places(
    dialect: &'static Dialect,
    text: &str,
    (range, quoted): (&Range<usize>, Quoted),
    holes: &[Range<usize>],
    role: Role,
) -> Result<Vec<Inner>> {
    let decoded = decoded(text, range, quoted, holes);
    let Decoded { text, marks } = &decoded;
    let neighbours = marks.iter().map(|&at| Neighbours::of(text, at..at + MARK.len_utf8()));
    let neighbours = neighbours.collect::<Vec<_>>();
    let Role::Code(language) = role else {
        return Ok(neighbours.into_iter().map(Inner::Unknown).collect());
    };
    let mut find = |at: usize, _: Option<&[Token]>| {
        marks.binary_search(&at).ok().map(|hole| (hole, MARK.len_utf8()))
    };
    let lexed = lex(dialect, text, &mut find)?;
    let mut places = neighbours.iter().copied().map(Inner::Unknown).collect::<Vec<_>>();
    let all = match language {
        Language::Same => of_same(dialect, text, &lexed, &neighbours),
        Language::Other => of_other(text, &lexed),
    };
    all.into_iter().for_each(|(hole, place)| places[hole] = place);
    Ok(places)
}

/// The holes of `lexed` by their tokens.
fn holes_by_token(lexed: &Lexed<usize>) -> impl Iterator<Item = (usize, usize)> {
    let mut token = 0;
    lexed.holes.iter().enumerate().map(move |(hole, (range, _))| {
        while lexed.tokens[token].range.end <= range.start {
            token += 1;
        }
        (hole, token)
    })
}

fn of_same(
    dialect: &'static Dialect,
    text: &str,
    lexed: &Lexed<usize>,
    neighbours: &[Neighbours],
) -> Vec<(usize, Inner)> {
    let roles = roles(dialect, text, &lexed.tokens);
    let place = |(hole, token): (usize, usize)| {
        let role = roles.get(token).copied().unwrap_or(Role::Data);
        let place = match lexed.tokens[token].kind {
            Kind::LineComment | Kind::BlockComment => Inner::Comment,
            // Code within code.
            _ if role != Role::Data => return None,
            Kind::Quoted(quoted) => Inner::Quoted(quoted),
            _ => Inner::Open(neighbours[hole]),
        };
        Some((hole, place))
    };
    holes_by_token(lexed).filter_map(place).collect()
}

/// Languages agree on a quote as long as nothing came before it that only some of them know.
fn of_other(text: &str, lexed: &Lexed<usize>) -> Vec<(usize, Inner)> {
    let unclear = lexed.tokens.iter().position(|token| !is_clear(text, token));
    let unclear = unclear.unwrap_or(lexed.tokens.len());
    let is_quoted = |token: usize| matches!(lexed.tokens[token].kind, Kind::Quoted(_));
    let clear = holes_by_token(lexed).filter(|&(_, token)| token < unclear && is_quoted(token));
    clear.map(|(hole, _)| (hole, Inner::Plain)).collect()
}

/// Whether every language reads `token` alike.
fn is_clear(text: &str, token: &Token) -> bool {
    let source = &text[token.range.clone()];
    match token.kind {
        Kind::LineComment | Kind::BlockComment => false,
        Kind::Sign(sign) => !"\\`#$/".contains(sign),
        Kind::Quoted(_) => {
            let triple = ["'''", "\"\"\""].iter().any(|quotes| source.contains(quotes));
            source.starts_with(['\'', '"']) && !triple && !source.contains(['\\', '\n', '\r'])
        }
        Kind::Word | Kind::Number | Kind::Hole(_) => true,
    }
}
