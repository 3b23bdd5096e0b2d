//! What the tables of real dialects do not reach.

use server_core::Result;

use super::*;

const BACKSLASH: Quote =
    Quote { open: "'", close: "'", holds: Holds::Text, escapes: Escapes::Backslash };
const DOUBLED: Quote =
    Quote { open: "<<", close: ">>", holds: Holds::Text, escapes: Escapes::Doubled };
const NAME: Quote =
    Quote { open: "\"", close: "\"", holds: Holds::Name, escapes: Escapes::Doubled };

const DIALECT: &Dialect = &Dialect {
    line_comments: &["--"],
    quotes: &[BACKSLASH, DOUBLED, NAME],
    prefixes: &["R"],
    word_signs: "",
    runs: &[],
    plain: &[],
    bodies_are_sql: false,
};

/// `text` with a placeholder at each `?`.
fn parsed(text: &str) -> Template<'_, usize> {
    let mut count = 0;
    let mut find = |at: usize, _: Option<&[Token]>| {
        count += usize::from(text[at..].starts_with('?'));
        text[at..].starts_with('?').then_some((count, 1))
    };
    Template::parse(DIALECT, text, &mut find).unwrap()
}

fn sources(text: &str) -> Vec<&str> {
    let template = parsed(text);
    template.tokens.iter().map(|token| template.source(token)).collect()
}

fn place(text: &str) -> Place {
    parsed(text).holes[0].place
}

/// `before`, `value` at `place`, and `after`.
fn written(before: &str, place: Place, value: &Filling, after: &str) -> Result<String> {
    let mut writer = Writer::new(DIALECT);
    writer.text(before);
    writer.fill(place, value)?;
    writer.text(after);
    writer.finish()
}

fn value(text: &str) -> Filling {
    Filling::new("x", text, text)
}

#[test]
fn placeholders_are_numbered() {
    let template = parsed("a ? '?' ?");
    let holes = template.tokens.iter().filter_map(|token| match token.kind {
        Kind::Hole(index) => Some(index),
        _ => None,
    });
    assert_eq!(holes.collect::<Vec<_>>(), [0, 2]);
    assert_eq!(template.holes.iter().map(|hole| hole.token).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn quotes_are_doubled_only_where_the_dialect_says_so() {
    assert_eq!(sources("'a''b'"), ["'a'", "'b'"]);
    assert_eq!(sources("<<a>>>>b>> c"), ["<<a>>>>b>>", "c"]);
    assert_eq!(sources(r#""a""b" c"#), [r#""a""b""#, "c"]);
}

#[test]
fn the_longest_statement_is_taken() {
    let longest = " ".repeat(1 << 20);
    assert!(Template::parse(DIALECT, &longest, &mut |_, _| None::<((), _)>).is_ok());
    let longer = longest + " ";
    assert!(Template::parse(DIALECT, &longer, &mut |_, _| None::<((), _)>).is_err());
}

#[test]
fn a_value_is_the_tokens_that_it_is_alone() {
    for (before, text, after) in
        [("SELECT ", "(-5)", ", 1"), ("SELECT ", "'a'", ""), ("SELECT a, ", "b + 1", " FROM t")]
    {
        let expected = format!("{before}{text}{after}");
        assert_eq!(written(before, Place::Open, &value(text), after).unwrap(), expected);
    }
    for (before, text, after) in [
        ("SELECT ", "a 'b", "' c"),
        ("SELECT ", "'b", "' c"),
        ("SELECT 'a ", "b' c", ""),
        ("SELECT 'a ", "b", "'"),
        ("SELECT ", "1 --", ", 2"),
    ] {
        let error = written(before, Place::Open, &value(text), after).unwrap_err();
        assert!(error.message().starts_with("x: must not be here"), "{before}{text}{after}");
    }
}

#[test]
fn a_value_is_in_the_quotes_that_it_was_written_for() {
    let quoted = place("'?'");
    assert_eq!(written("'", quoted, &value("a"), "'").unwrap(), "'a'");
    for (before, place, after) in [
        ("\"", quoted, "\""),
        ("<<", quoted, ">>"),
        ("r'", quoted, "'"),
        ("'", place("r'?'"), "'"),
        ("'", place("/* ? */"), "'"),
        ("/*", place("-- ?\n"), "*/"),
        ("a ", quoted, " b"),
    ] {
        let error = written(before, place, &value("a"), after).unwrap_err();
        assert!(error.message().starts_with("x: must not be here"), "{before}…{after}");
    }
}

#[test]
fn only_names_continue_a_word_in_code() {
    let code = place("f('SELECT * FROM t_?')");
    for (name, fits) in [("a_b", true), ("A1", true), ("a-b", false), ("a b", false), ("é", false)]
    {
        let written = written("f('SELECT * FROM t_", code, &value(name).name(), "')");
        assert_eq!(written.is_ok(), fits, "{name}");
    }
    assert!(written("f('SELECT * FROM t_", code, &value("a_b"), "')").is_err(), "a caller's");
}

#[test]
fn a_plain_statement_has_nothing_to_find() {
    for (text, expected) in [
        ("SELECT 1", true),
        ("SELECT '{', \"a\"", true),
        ("-- a\nSELECT 1", true),
        ("SELECT 1 -- a", false),
        ("SELECT '-- a'", false),
        ("SELECT {{ .inputs.x }}", false),
        ("SELECT '{{'\n", false),
    ] {
        assert_eq!(is_plain(DIALECT, text), expected, "{text}");
        let template = parsed(text);
        let has_nothing = template.holes.is_empty() && template.swallowing_comment().is_none();
        assert!(has_nothing || !expected, "{text}");
    }
    assert!(!is_plain(DIALECT, &"a".repeat((1 << 20) + 1)), "too long");
}
