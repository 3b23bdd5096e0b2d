//! No value changes the tokens of a statement, by the account of a lexer that is not ours.

use std::time::Duration;

use plugin_core::{Type, task::Input, testing};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use sqlparser::{
    dialect::SnowflakeDialect,
    tokenizer::{Token, Tokenizer, Whitespace},
};

use super::*;

/// Pieces of which statements are drawn.
const PIECES: &[&str] = &[
    "%(x)s",
    " :x ",
    "{{ .inputs.x }}",
    "'%(x)s'",
    "\"%(x)s\"",
    "'a {{ .inputs.x }} b'",
    " $$ %(x)s $$ ",
    "/* %(x)s */",
    "-- %(x)s\n",
    "// {{ .inputs.x }}\n",
    " a ",
    "a",
    "=",
    "-",
    "/",
    "*",
    "(",
    ")",
    ",",
    ";",
    ".",
    "''",
    "'it''s'",
    "'it\\'s'",
    " ",
    "\n",
    "|",
    ">",
    "<",
    "EXECUTE IMMEDIATE 'SELECT %(x)s'",
    "EXECUTE IMMEDIATE 'SELECT ''%(x)s'''",
    "TO_QUERY(SQL => 'SELECT ''%(x)s''')",
    "f('SELECT %(x)s')",
    "1",
    "SELECT ",
    "SHOW ",
    "DATE ",
];

/// Values that break out of some context.
const HOSTILE: &[&str] = &[
    "'", "\"", "`", "\\", "''", "\"\"", "--", "//", "/*", "*/", ";", "$$", "$", "\n", "\r", "a",
    " ", "1", "(", ")", ":x", "%(x)s", "OR 1=1", "é", "\u{2028}", "\0",
];

fn render_with(statement: &str, value: &Value) -> Result<String> {
    let input = Input::new(value.clone(), Type::of(value));
    let inputs = [("x".to_owned(), input)].into_iter().collect();
    let cx = testing::context(Duration::from_secs(1));
    render(&cx, statement, &inputs, false).map(|rendered| rendered.statement)
}

/// The kinds of the tokens of `statement`.
fn shape(statement: &str) -> Option<Vec<String>> {
    let tokens = Tokenizer::new(&SnowflakeDialect {}, statement).tokenize().ok()?;
    let kinds = tokens.into_iter().filter_map(|token| match token {
        Token::Whitespace(Whitespace::SingleLineComment { .. }) => Some("--".to_owned()),
        Token::Whitespace(Whitespace::MultiLineComment(_)) => Some("/*".to_owned()),
        Token::Whitespace(_) => None,
        Token::Word(word) if word.quote_style.is_some() => Some("\"".to_owned()),
        Token::Number(..) => Some("1".to_owned()),
        Token::SingleQuotedString(_) => Some("'".to_owned()),
        Token::DollarQuotedString(_) => Some("$$".to_owned()),
        // A number may end a word.
        Token::Word(word) => Some(word.value.replace(|c: char| c.is_ascii_digit(), "")),
        other => Some(other.to_string()),
    });
    Some(kinds.collect())
}

fn drawn(random: &mut StdRng, from: &[&str], most: usize) -> String {
    let count = random.random_range(1..=most);
    (0..count).map(|_| *from.choose(random).unwrap()).collect()
}

#[test]
fn texts_change_no_tokens() {
    let mut random = StdRng::seed_from_u64(1);
    let (mut compared, mut refused) = (0, 0);
    for _ in 0..30_000 {
        let statement = drawn(&mut random, PIECES, 8);
        let hostile = Value::String(drawn(&mut random, HOSTILE, 4));
        let harmless = Value::String("word".to_owned());
        let (Ok(safe), Ok(risky)) =
            (render_with(&statement, &harmless), render_with(&statement, &hostile))
        else {
            refused += 1;
            continue;
        };
        let Some(expected) = shape(&safe) else { continue };
        compared += 1;
        assert_eq!(shape(&risky), Some(expected), "{statement:?} with {hostile:?}: {risky}");
    }
    assert!(compared > 5000, "{compared} compared, {refused} refused");
}

#[test]
fn numbers_change_no_tokens() {
    let mut random = StdRng::seed_from_u64(2);
    let mut compared = 0;
    for _ in 0..30_000 {
        let statement = drawn(&mut random, PIECES, 8);
        let number = random.random::<i64>() >> random.random_range(0..64);
        let number = if random.random() { number } else { -1 };
        let harmless = if number < 0 { -7 } else { 7 };
        let (Ok(one), Ok(other)) = (
            render_with(&statement, &Value::Integer(harmless)),
            render_with(&statement, &Value::Integer(number)),
        ) else {
            continue;
        };
        let (Some(one), Some(other)) = (shape(&one), shape(&other)) else { continue };
        compared += 1;
        assert_eq!(one, other, "{statement:?} with {number}");
    }
    assert!(compared > 5000, "{compared} compared");
}
