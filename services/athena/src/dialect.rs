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

/// The dialect of `statement`.
pub(crate) fn of(statement: &str) -> &'static Dialect {
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
    let words = words(statement);
    let is = |at: usize, known: &str| words.get(at).is_some_and(|w| w.eq_ignore_ascii_case(known));
    let first = words.first().copied().unwrap_or_default();
    if QUERIES.iter().any(|known| known.eq_ignore_ascii_case(first)) {
        return &TRINO;
    }
    let at = if is(1, "OR") { 3 } else { 1 };
    let is_view = is(at, "VIEW") || (is(at + 1, "VIEW") && !is(at, "TABLE"));
    let is_query = is(1, "TABLE") && words.windows(2).skip(2).any(begins_query);
    match is(0, "CREATE") && (is_view || is_query) {
        true => &TRINO,
        false => &DEFINITIONS,
    }
}

/// Whether `pair` is `AS` and the first word of a query.
fn begins_query(pair: &[&str]) -> bool {
    let is = |at: usize, known: &[&str]| known.iter().any(|k| pair[at].eq_ignore_ascii_case(k));
    is(0, &["AS"]) && is(1, &["SELECT", "WITH", "VALUES", "TABLE", "("])
}

/// The words of `statement` outside of quotes and comments, and its opening parentheses but for those before the
/// first word. Placeholders have no words that decide anything.
fn words(statement: &str) -> Vec<&str> {
    let (mut words, mut at) = (Vec::new(), 0);
    while let Some(c) = statement[at..].chars().next() {
        let rest = &statement[at..];
        let length = match c {
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '\'' | '"' | '`' => rest[1..].find(c).map_or(rest.len(), |end| end + 2),
            c if c.is_alphanumeric() || c == '_' => {
                rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len())
            }
            c => c.len_utf8(),
        };
        if c.is_alphanumeric() || c == '_' || (c == '(' && !words.is_empty()) {
            words.push(&rest[..length]);
        }
        at += length;
    }
    words
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
            let found = std::ptr::eq(of(query), &TRINO);
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
            assert!(std::ptr::eq(of(definition), &DEFINITIONS), "{definition}");
        }
    }
}
