//! What statements of Redshift look like to a reader of tokens.
//!
//! Only where placeholders are is read of it: no value is ever written into a statement.
//! <https://docs.aws.amazon.com/redshift/latest/dg/c_SQL_reference.html>

use plugin_core::sql::{Dialect, Escapes, Holds, Quote};

const fn quote(open: &'static str, holds: Holds, escapes: Escapes) -> Quote {
    Quote { open, close: open, holds, escapes }
}

/// Redshift's SQL.
pub(crate) static REDSHIFT: Dialect = Dialect {
    line_comments: &["--"],
    quotes: &[
        quote("'", Holds::Text, Escapes::BackslashOrDoubled),
        quote("\"", Holds::Name, Escapes::Doubled),
        // Bodies of procedures.
        quote("$$", Holds::Text, Escapes::None),
    ],
    prefixes: &[],
    word_signs: "$",
    runs: &[],
    plain: &[],
    bodies_are_sql: false,
};
