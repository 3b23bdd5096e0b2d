//! Athena's two dialects of SQL: Trino's for queries, Hive's for the definition of tables.
//!
//! Which statement has which: <https://docs.aws.amazon.com/athena/latest/ug/ddl-reference.html> (Hive) and
//! <https://docs.aws.amazon.com/athena/latest/ug/dml-queries-functions-operators.html> (Trino). Tokens of Trino:
//! `SqlBase.g4` in trinodb/trino.

use plugin_core::sql::{Dialect, Escapes, Holds, Quote, Runs};

/// What a value may contain besides letters and digits within quotes of a definition: Hive reads backslashes in
/// strings as escapes, Athena's own parser of definitions is not documented.
pub(crate) const SAFE_SIGNS: &str = " _-.:,/=+*@#%&|()[]{}<>!?~^";

const fn quote(open: &'static str, holds: Holds, escapes: Escapes) -> Quote {
    Quote { open, close: open, holds, escapes }
}

/// Queries, views, `INSERT`, `UPDATE`, `DELETE`, `MERGE`, `UNLOAD`, `CREATE TABLE AS`.
pub(crate) static TRINO: Dialect = Dialect {
    line_comments: &["--"],
    quotes: &[
        quote("'", Holds::Text, Escapes::Doubled),
        quote("\"", Holds::Name, Escapes::Doubled),
        quote("`", Holds::Name, Escapes::Path("_-.")),
    ],
    prefixes: &["X"],
    word_signs: "",
    // Of federated sources: `SELECT … FROM TABLE(system.query(query => '…'))`.
    runs: &[Runs { function: "QUERY", argument: 0, named: Some("QUERY"), same_dialect: false }],
    plain: PLAIN,
    bodies_are_sql: false,
};

/// `CREATE EXTERNAL TABLE`, `ALTER TABLE`, `MSCK REPAIR TABLE`, `SHOW` and all other statements.
pub(crate) static DEFINITIONS: Dialect = Dialect {
    line_comments: &["--"],
    quotes: &[
        quote("'", Holds::Text, Escapes::Path(SAFE_SIGNS)),
        quote("\"", Holds::Text, Escapes::Path(SAFE_SIGNS)),
        quote("`", Holds::Name, Escapes::Path("_-.")),
    ],
    prefixes: &[],
    word_signs: "",
    runs: &[],
    plain: &[],
    bodies_are_sql: false,
};

/// How a statement reads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) dialect: &'static Dialect,
    /// Whether the dialect depends on what a backslash within quotes means, which the dialects disagree about. Where
    /// its strings begin and end is then not known.
    pub(crate) is_ambiguous: bool,
}

/// How `statement` reads. One that is ambiguous reads as a definition, which restricts values more.
pub(crate) fn of(statement: &str) -> Reading {
    let trinos = query_at(words(statement, Backslash::IsPlain));
    let hives = query_at(words(statement, Backslash::Escapes));
    let is_ambiguous = trinos != hives;
    let is_query = trinos.is_some() && !is_ambiguous;
    Reading { dialect: if is_query { &TRINO } else { &DEFINITIONS }, is_ambiguous }
}

/// The first word of `statement`; empty if it has none.
pub(crate) fn first_word(statement: &str) -> &str {
    words(statement, Backslash::IsPlain).next().unwrap_or_default()
}

/// The index of the word that makes a statement of `words` a query; `None` for a definition.
fn query_at<'a>(words: impl Iterator<Item = &'a str>) -> Option<usize> {
    const QUERIES: [&str; 16] = [
        "DEALLOCATE",
        "DELETE",
        "EXECUTE",
        "EXPLAIN",
        "INSERT",
        "MERGE",
        "OPTIMIZE",
        "PREPARE",
        "SELECT",
        "TABLE",
        "UNLOAD",
        "UPDATE",
        "USING",
        "VACUUM",
        "VALUES",
        "WITH",
    ];
    let words = words.collect::<Vec<_>>();
    let is = |at: usize, known: &str| words.get(at).is_some_and(|w| w.eq_ignore_ascii_case(known));
    let first = words.first().copied().unwrap_or_default();
    if QUERIES.iter().any(|known| known.eq_ignore_ascii_case(first)) {
        return Some(0);
    }
    if !is(0, "CREATE") {
        return None;
    }
    let at = if is(1, "OR") { 3 } else { 1 };
    if is(at, "VIEW") || (is(at + 1, "VIEW") && !is(at, "TABLE")) {
        return Some(at);
    }
    let query = words.windows(2).skip(2).position(begins_query)?;
    is(1, "TABLE").then_some(query + 2)
}

/// Whether `pair` is `AS` and the first word of a query.
fn begins_query(pair: &[&str]) -> bool {
    let is = |at: usize, known: &[&str]| known.iter().any(|k| pair[at].eq_ignore_ascii_case(k));
    is(0, &["AS"]) && is(1, &["SELECT", "WITH", "VALUES", "TABLE", "("])
}

/// What a backslash in a string is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backslash {
    /// A character like any other, as in Trino.
    IsPlain,
    /// It escapes the character after it, as in Hive.
    Escapes,
}

/// The words of `statement` outside of quotes and comments, and its opening parentheses but for those before the
/// first word. Placeholders have no words that decide anything.
fn words(statement: &str, backslash: Backslash) -> impl Iterator<Item = &str> {
    let (mut at, mut is_first) = (0, true);
    std::iter::from_fn(move || {
        while let Some(c) = statement[at..].chars().next() {
            let rest = &statement[at..];
            let is_word = c.is_alphanumeric() || c == '_';
            let length = match c {
                '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
                '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
                '\'' | '"' if backslash == Backslash::Escapes => escaped(rest, c),
                '\'' | '"' | '`' => rest[1..].find(c).map_or(rest.len(), |end| end + 2),
                _ if is_word => {
                    rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len())
                }
                c => c.len_utf8(),
            };
            at += length;
            if is_word || (c == '(' && !is_first) {
                is_first = false;
                return Some(&rest[..length]);
            }
        }
        None
    })
}

/// The bytes of the string at the start of `rest`, in `quote` and with backslashes as escapes.
fn escaped(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    let closes = |c: char| {
        let closes = c == quote && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        closes
    };
    rest[1..].find(closes).map_or(rest.len(), |end| end + 2)
}

/// Functions of Athena that take strings and run none.
const PLAIN: &[&str] = &[
    "ANY_VALUE",
    "APPROX_DISTINCT",
    "ARBITRARY",
    "ARRAY_AGG",
    "ARRAY_JOIN",
    "AT_TIMEZONE",
    "AVG",
    "CAST",
    "CHR",
    "COALESCE",
    "CODEPOINT",
    "CONCAT",
    "CONCAT_WS",
    "CONTAINS",
    "COUNT",
    "COUNT_IF",
    "DATE",
    "DATE_ADD",
    "DATE_DIFF",
    "DATE_FORMAT",
    "DATE_PARSE",
    "DATE_TRUNC",
    "DECIMAL",
    "ELEMENT_AT",
    "ENDS_WITH",
    "EXTRACT",
    "FILTER",
    "FORMAT",
    "FORMAT_DATETIME",
    "FROM_BASE64",
    "FROM_HEX",
    "FROM_ISO8601_DATE",
    "FROM_ISO8601_TIMESTAMP",
    "FROM_UNIXTIME",
    "GREATEST",
    "HAMMING_DISTANCE",
    "IF",
    "JSON_EXTRACT",
    "JSON_EXTRACT_SCALAR",
    "JSON_FORMAT",
    "JSON_PARSE",
    "JSON_QUERY",
    "JSON_VALUE",
    "LEAST",
    "LENGTH",
    "LEVENSHTEIN_DISTANCE",
    "LISTAGG",
    "LOWER",
    "LPAD",
    "LTRIM",
    "MAP",
    "MAX",
    "MAX_BY",
    "MD5",
    "MIN",
    "MIN_BY",
    "NORMALIZE",
    "NULLIF",
    "PARSE_DATETIME",
    "POSITION",
    "REGEXP_COUNT",
    "REGEXP_EXTRACT",
    "REGEXP_EXTRACT_ALL",
    "REGEXP_LIKE",
    "REGEXP_REPLACE",
    "REGEXP_SPLIT",
    "REPLACE",
    "REVERSE",
    "ROW",
    "RPAD",
    "RTRIM",
    "SHA1",
    "SHA256",
    "SHA512",
    "SPLIT",
    "SPLIT_PART",
    "SPLIT_TO_MAP",
    "STARTS_WITH",
    "STRPOS",
    "SUBSTR",
    "SUBSTRING",
    "SUM",
    "TO_BASE64",
    "TO_HEX",
    "TO_UTF8",
    "TRANSLATE",
    "TRIM",
    "TRY",
    "TRY_CAST",
    "TYPEOF",
    "UPPER",
    "URL_DECODE",
    "URL_ENCODE",
    "URL_EXTRACT_HOST",
    "URL_EXTRACT_PARAMETER",
    "VARCHAR",
    "WITH_TIMEZONE",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_trinos_and_definitions_are_hives() {
        for query in [
            "SELECT 1",
            "  -- a comment\n/* another */ with x AS (SELECT 1) SELECT * FROM x",
            "(SELECT 1) UNION (SELECT 2)",
            "INSERT INTO t VALUES (1)",
            "UNLOAD (SELECT 1) TO 's3://b/k/' WITH (format = 'PARQUET')",
            "CREATE TABLE t WITH (format = 'ORC') AS SELECT 1 x",
            "create table t as (select 1 x)",
            "CREATE TABLE t AS WITH a AS (SELECT 1) SELECT * FROM a",
            "CREATE OR REPLACE VIEW v AS SELECT 1",
            "CREATE VIEW v AS SELECT 1",
            "CREATE PROTECTED MULTI DIALECT VIEW v AS SELECT 1",
            "EXPLAIN ANALYZE SELECT 1",
            "OPTIMIZE t REWRITE DATA USING BIN_PACK",
            "MERGE INTO t USING u ON (t.a = u.a) WHEN MATCHED THEN DELETE",
        ] {
            let found = std::ptr::eq(of(query).dialect, &TRINO);
            // Three words before VIEW are not read: values are then more restricted, not less.
            assert_eq!(found, !query.contains("MULTI"), "{query}");
        }
        for definition in [
            "",
            "CREATE EXTERNAL TABLE t (a int) LOCATION 's3://b/k/'",
            "CREATE TABLE t (a int) COMMENT 'AS SELECT' TBLPROPERTIES ('table_type' = 'ICEBERG')",
            "CREATE DATABASE d",
            "ALTER TABLE t ADD PARTITION (ds = '2026-03-01')",
            "MSCK REPAIR TABLE t",
            "DROP TABLE t",
            "SHOW TABLES",
            "DESCRIBE t",
        ] {
            assert!(std::ptr::eq(of(definition).dialect, &DEFINITIONS), "{definition}");
        }
    }

    #[test]
    fn a_backslash_that_decides_the_dialect_is_ambiguous() {
        for (statement, is_ambiguous) in [
            (
                r"CREATE TABLE t (a string COMMENT 'Bob\'s copy, same AS SELECT') LOCATION 's3://b/'",
                true,
            ),
            (r#"CREATE TABLE t (a string COMMENT "a\" AS SELECT ", b int)"#, true),
            (r"CREATE TABLE t WITH (field_delimiter = '\') AS SELECT 1 x", true),
            (
                r"CREATE TABLE t (a string COMMENT 'x\' AS SELECT ', b string COMMENT 'y') AS SELECT 1",
                true,
            ),
            (r"CREATE TABLE t (a string COMMENT 'Bob\'s copy')", false),
            (r"CREATE TABLE t WITH (field_delimiter = '\t') AS SELECT 1 x", false),
            (r"CREATE TABLE t WITH (field_delimiter = '\\') AS SELECT 1 x", false),
            (r"CREATE TABLE t AS SELECT split(a, '\') x, 'b' y FROM u", false),
            (r"CREATE TABLE `a\` AS SELECT 1 x", false),
            (r"SELECT split(a, '\') AS SELECT FROM u", false),
            (r"CREATE EXTERNAL TABLE t (a int) ROW FORMAT DELIMITED ESCAPED BY '\\'", false),
        ] {
            assert_eq!(of(statement).is_ambiguous, is_ambiguous, "{statement}");
        }
    }
}
