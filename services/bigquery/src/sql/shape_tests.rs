//! No value changes the tokens of a statement, by the account of a lexer that is not ours.

use std::time::Duration;

use plugin_core::{
    Type,
    serde_json::{self, json},
    task::Input,
    testing,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use sqlparser::{
    dialect::BigQueryDialect,
    tokenizer::{Token, Tokenizer, Whitespace},
};

use super::*;

/// Pieces of which statements are drawn; `{}` is a placeholder. Without `b'…'`, in which sqlparser knows no
/// escapes, and with a blank between strings, which it reads as a doubled quote.
const PIECES: &[&str] = &[
    "{}",
    "{}",
    "{}",
    " '{}' ",
    " \"{}\" ",
    " 'a {} b' ",
    " '''{}''' ",
    " \"\"\"{}\"\"\" ",
    " r'{}' ",
    " `t.{}` ",
    "/* {} */",
    "-- {}\n",
    "# {}\n",
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
    " '' ",
    " 'it\\'s' ",
    " ",
    "\n",
    "@",
    ":",
    "|",
    ">",
    "<",
    "$",
    " EXECUTE IMMEDIATE 'SELECT {}' ",
    " EXECUTE IMMEDIATE \"SELECT '{}'\" ",
    " EXTERNAL_QUERY('c', \"SELECT '{}'\") ",
    " f('SELECT {}') ",
    "1",
    "r",
];

/// Values that break out of some context.
const HOSTILE: &[&str] = &[
    "'",
    "\"",
    "`",
    "\\",
    "''",
    "'''",
    "\"\"\"",
    "--",
    "#",
    "/*",
    "*/",
    ";",
    "$$",
    "\n",
    "\r",
    "a",
    " ",
    "1",
    "(",
    ")",
    "@",
    "{{ .inputs.x }}",
    "OR 1=1",
    "é",
    "\u{2028}",
    "\0",
];

fn render_with(statement: &str, value: &Value) -> Result<String> {
    let custom = serde_json::from_value(json!({"ProjectID": "acme"})).unwrap();
    let input = Input::new(value.clone(), Type::of(value));
    let task = Task::new(custom).with_sql(statement.replace("{}", "{{ .inputs.x }}"));
    let task = task.with_inputs([("x".to_owned(), input)].into_iter().collect());
    render(&testing::context(Duration::from_secs(1)), &task)
}

/// The kinds of the tokens of `statement`; a number in parentheses, negative or not, is a number.
fn shape(statement: &str) -> Option<Vec<String>> {
    let tokens = Tokenizer::new(&BigQueryDialect {}, statement).tokenize().ok()?;
    let kinds = tokens.into_iter().filter_map(|token| match token {
        Token::Whitespace(Whitespace::SingleLineComment { .. }) => Some("--".to_owned()),
        Token::Whitespace(Whitespace::MultiLineComment(_)) => Some("/*".to_owned()),
        Token::Whitespace(_) => None,
        Token::Word(word) if word.quote_style.is_some() => Some("`".to_owned()),
        Token::Number(..) => Some("1".to_owned()),
        Token::Placeholder(_) => Some("@".to_owned()),
        // A number may end a word.
        Token::Word(word) => Some(word.value.replace(|c: char| c.is_ascii_digit(), "")),
        other if other.to_string().contains(['\'', '"']) => {
            // The kind of the string, without its content.
            Some(format!("{:?}", std::mem::discriminant(&other)))
        }
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
        let number = Value::Integer(random.random::<i64>() >> random.random_range(0..64));
        let number = if random.random() { number } else { Value::Integer(-1) };
        let negative = matches!(number, Value::Integer(..0));
        let (Ok(one), Ok(other)) = (
            render_with(&statement, &Value::Integer(if negative { -7 } else { 7 })),
            render_with(&statement, &number),
        ) else {
            continue;
        };
        let (Some(one), Some(other)) = (shape(&one), shape(&other)) else { continue };
        compared += 1;
        assert_eq!(one, other, "{statement:?} with {number:?}");
    }
    assert!(compared > 5000, "{compared} compared");
}
