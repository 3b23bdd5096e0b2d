//! Whether a string looks like a statement.

use super::dialect::is_one_of;

/// How far into a string to look.
const LONGEST: usize = 4096;

/// Whether `text` begins like a statement, and not merely with a word that also begins prose.
pub(super) fn begins_like_one(text: &str) -> bool {
    let mut words = words(text);
    let Some(first) = words.next() else { return false };
    let mut second = || words.next().unwrap_or_default();
    let is = |known: &[&str]| is_one_of(first, known);
    match () {
        () if is(&["SELECT"]) => true,
        () if is(&["INSERT", "MERGE"]) => is_one_of(second(), &["INTO", "OVERWRITE"]),
        () if is(&["DELETE", "COPY"]) => is_one_of(second(), &["FROM", "INTO"]),
        () if is(&["EXECUTE"]) => is_one_of(second(), &["IMMEDIATE"]),
        () if is(&["UPDATE"]) => words.any(|word| is_one_of(word, &["SET"])),
        () if is(&["WITH", "FROM"]) => words.any(|word| is_one_of(word, &["SELECT", "WHERE"])),
        () if is(&["CREATE", "DROP", "ALTER", "TRUNCATE", "GRANT", "REVOKE"]) => {
            words.any(|word| is_one_of(word, OBJECTS))
        }
        () if is(&["BEGIN", "DECLARE"]) => text.contains(';'),
        () if is(&["CALL"]) => text.contains('('),
        () => false,
    }
}

/// What statements create, drop and grant.
const OBJECTS: &[&str] = &[
    "DATABASE",
    "FUNCTION",
    "INDEX",
    "MODEL",
    "PROCEDURE",
    "ROLE",
    "SCHEMA",
    "STAGE",
    "TABLE",
    "TASK",
    "USER",
    "VIEW",
    "WAREHOUSE",
];

/// The words of `text`, without leading comments.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let start = after_comments(&text[..end]);
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    start.split(move |c: char| !is_word(c)).filter(|word| !word.is_empty())
}

fn after_comments(text: &str) -> &str {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '(');
        let end = match () {
            () if rest.starts_with("/*") => rest.find("*/").map(|at| at + "*/".len()),
            () if ["--", "//", "#"].iter().any(|open| rest.starts_with(open)) => rest.find('\n'),
            () => return rest,
        };
        rest = &rest[end.unwrap_or(rest.len())..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_no_statement() {
        for (text, expected) in [
            ("SELECT 1", true),
            (" /* a */ (select * from t)", true),
            ("-- a\nDELETE FROM t", true),
            ("with a as (select 1) select * from a", true),
            ("Update t set a = 1", true),
            ("CREATE OR REPLACE TEMP TABLE t (a INT)", true),
            ("BEGIN DELETE FROM t; END", true),
            ("DECLARE n INT64; SELECT 1", true),
            ("INSERT INTO t VALUES (1)", true),
            ("merge into t using s", true),
            ("EXECUTE IMMEDIATE s", true),
            ("CALL p()", true),
            ("", false),
            ("-- a", false),
            ("selected items", false),
            ("Update of the day", false),
            ("with love", false),
            ("delete this", false),
            ("Drop me a line", false),
            ("call me", false),
            ("Begin again", false),
            ("Insert coin", false),
            ("execute the plan", false),
            ("a SELECT", false),
        ] {
            assert_eq!(begins_like_one(text), expected, "{text}");
        }
    }
}
