use std::time::Duration;

use plugin_core::{
    Type,
    serde_json::{self, Value as Json, json},
    task::Input,
    testing,
};

use super::*;

fn rendered(statement: &str, inputs: &[(&str, Value)], batch: bool) -> Result<Rendered> {
    let input = |value: &Value| Input::new(value.clone(), Type::of(value));
    let inputs = inputs.iter().map(|(name, value)| ((*name).to_owned(), input(value))).collect();
    render(&testing::context(Duration::from_secs(1)), statement, &inputs, batch)
}

fn with(statement: &str, value: &Value) -> Result<Rendered> {
    rendered(statement, &[("x", value.clone())], false)
}

fn bound(rendered: &Rendered) -> Json {
    serde_json::to_value(&rendered.bindings).unwrap()
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn list<const N: usize>(items: [Value; N]) -> Value {
    Value::List(items.into())
}

#[test]
fn inputs_are_bound_in_order_of_appearance() {
    let statement = "SELECT %(b)s, :a, {{ .inputs.b }}, '%%' WHERE n IN (%(l)s)";
    let inputs = [
        ("a", Value::Integer(1)),
        ("b", text("two")),
        ("l", list([Value::Integer(3), Value::Null, Value::Boolean(false)])),
    ];
    let rendered = rendered(statement, &inputs, false).unwrap();
    assert_eq!(rendered.statement, "SELECT ?, ?, ?, '%' WHERE n IN (?,NULL,?)");
    assert_eq!(
        bound(&rendered),
        json!({
            "1": {"type": "TEXT", "value": "two"},
            "2": {"type": "FIXED", "value": "1"},
            "3": {"type": "TEXT", "value": "two"},
            "4": {"type": "FIXED", "value": "3"},
            "5": {"type": "BOOLEAN", "value": "false"},
        })
    );
    assert!(!rendered.several);
}

#[test]
fn literals_are_written_where_binding_is_impossible() {
    for (statement, value, expected) in [
        ("DELETE FROM t; SELECT %(x)s", text("a'b"), "DELETE FROM t; SELECT 'a\\'b'"),
        ("CREATE VIEW v AS SELECT :x", Value::Integer(-1), "CREATE VIEW v AS SELECT (-1)"),
        ("CREATE VIEW v AS SELECT 1-%(x)s", Value::Float(-0.5), "CREATE VIEW v AS SELECT 1-(-0.5)"),
        ("SELECT ?, %(x)s", Value::Boolean(true), "SELECT ?, TRUE"),
        ("SELECT %(x)s", Value::Null, "SELECT NULL"),
        (
            "CREATE VIEW v AS SELECT 1 NOT IN (%(x)s)",
            list([]),
            "CREATE VIEW v AS SELECT 1 NOT IN (SELECT NULL WHERE FALSE)",
        ),
        ("SHOW TABLES LIKE %(x)s", list([text("a"), text("b")]), "SHOW TABLES LIKE 'a','b'"),
    ] {
        let rendered = with(statement, &value).unwrap();
        assert_eq!(rendered.statement, expected);
        assert!(rendered.bindings.is_empty(), "{statement}");
    }
    assert!(with("DELETE FROM t; SELECT %(x)s", &Value::Null).unwrap().several);
}

#[test]
fn values_cannot_escape_their_context() {
    let hostile = text("x'\"; DROP TABLE t; --\\");
    for (before, after, expected) in [
        ("SELECT ", "", Some("?")),
        ("ALTER TABLE t SET COMMENT = ", "", Some("'x\\'\"; DROP TABLE t; --\\\\'")),
        ("SELECT '", "'", Some("x\\'\"; DROP TABLE t; --\\\\")),
        ("SELECT 'it''s ", "'", Some("x\\'\"; DROP TABLE t; --\\\\")),
        ("SELECT '\\\\", "'", Some("x\\'\"; DROP TABLE t; --\\\\")),
        ("SELECT '\\", "'", None),
        ("SELECT \"", "\"", Some("x'\"\"; DROP TABLE t; --\\")),
        ("SELECT $$", "$$", Some("x'\"; DROP TABLE t; --\\")),
        ("SELECT 1 -- ", "\n, 2", Some(" ")),
        ("SELECT 1\n // ", "", Some(" ")),
        ("SELECT 1 -- ", "", None),
        ("SELECT 1 // ", " FROM t", None),
        ("SELECT DATE ", "", Some("'x\\'\"; DROP TABLE t; --\\\\'")),
        ("EXECUTE IMMEDIATE 'SELECT ", "'", None),
        ("EXECUTE IMMEDIATE 'SELECT ''", "'''", Some("x\\\\\\'\"; DROP TABLE t; --\\\\\\\\")),
        (
            "CREATE PROCEDURE p() RETURNS INT AS $$ SELECT '",
            "' $$",
            Some("x\\'\"; DROP TABLE t; --\\\\"),
        ),
        ("CREATE PROCEDURE p() RETURNS INT LANGUAGE JAVASCRIPT AS 'return ''", "'''", None),
        ("SELECT 1 /* ", " */", Some(" ")),
    ] {
        for hole in ["%(x)s", "{{ .inputs.x }}"] {
            let rendered = with(&format!("{before}{hole}{after}"), &hostile).ok();
            let statement = rendered.map(|rendered| rendered.statement);
            let expected = expected.map(|inner| format!("{before}{inner}{after}"));
            assert_eq!(statement, expected, "{before}{hole}{after}");
        }
    }
}

#[test]
fn numbers_alone_are_allowed_between_the_tokens_of_code() {
    for (before, value, expected) in [
        ("a > ", Value::Integer(5), Some("a > 5")),
        ("a > ", Value::Integer(-5), Some("a > (-5)")),
        ("a > b-", Value::Integer(-5), Some("a > b-(-5)")),
        ("a > b/", Value::Float(-0.5), Some("a > b/(-0.5)")),
        ("a = ", Value::Boolean(true), Some("a = TRUE")),
        ("a IS ", Value::Null, Some("a IS NULL")),
        ("FROM t_", Value::Integer(5), Some("FROM t_5")),
        ("FROM t_", Value::Integer(-5), None),
        ("id = ", text("id"), None),
        ("id = ", text("5"), None),
        ("id = ", text("1 OR 1=1"), None),
        ("id = ", list([Value::Integer(1), Value::Integer(2)]), None),
    ] {
        for (open, close) in [("$$ ", " $$"), ("'", "'")] {
            let statement = format!("EXECUTE IMMEDIATE {open}SELECT {before}%(x)s{close}");
            let rendered = with(&statement, &value).ok().map(|rendered| rendered.statement);
            let expected =
                expected.map(|code| format!("EXECUTE IMMEDIATE {open}SELECT {code}{close}"));
            assert_eq!(rendered, expected, "{statement}: {value:?}");
        }
    }
}

#[test]
fn values_do_not_become_code() {
    let to_query = "SELECT * FROM TABLE(TO_QUERY(SQL => 'SELECT * FROM t WHERE id = %(x)s'))";
    for (statement, value) in [
        (to_query, text("1 OR 1=1")),
        ("SELECT * FROM TABLE(TO_QUERY('SELECT * FROM t WHERE id = %(x)s'))", text("id")),
        ("SELECT * FROM TABLE(TO_QUERY(SQL => %(x)s))", text("SELECT 1")),
        ("SELECT * FROM TABLE(TO_QUERY(a => 1, SQL => 'SELECT a FROM %(x)s'))", text("t")),
        ("EXECUTE IMMEDIATE 'SELECT * FROM t WHERE id = ' || '%(x)s'", text("id")),
        ("EXECUTE IMMEDIATE 'SELECT * FROM t WHERE a > b-' || '%(x)s'", Value::Integer(-1)),
        ("EXECUTE IMMEDIATE %(x)s", text("DROP TABLE t")),
        ("EXECUTE IMMEDIATE $$ EXECUTE IMMEDIATE 'SELECT ''%(x)s''' $$", text("id")),
        ("SET s = 'a = %(x)s'; EXECUTE IMMEDIATE $s", text("id")),
        ("CALL run('DELETE FROM t WHERE id = %(x)s')", text("id")),
        ("CALL run('DELETE FROM t WHERE id = ' || %(x)s)", text("id")),
        ("CREATE FUNCTION f() RETURNS INT LANGUAGE PYTHON AS $$ return %(x)s $$", text("id")),
        ("CREATE FUNCTION f() RETURNS INT AS $$ SELECT '%(x)s' $$", text("a$$b")),
    ] {
        let error = with(statement, &value).unwrap_err();
        assert!(error.message().starts_with("inputs.x: "), "{statement}: {error}");
    }
}

#[test]
fn dollar_quotes_have_no_escapes() {
    for refused in ["a$$b", "$$", "$a", "a$", "$"] {
        let error = with("SELECT $$%(x)s$$", &text(refused)).unwrap_err();
        let expected = "inputs.x: must not contain $$, nor begin or end with its signs";
        assert!(error.message().starts_with(expected), "{refused}: {error}");
    }
    let rendered = with("SELECT $$%(x)s$$", &text("a$b")).unwrap();
    assert_eq!(rendered.statement, "SELECT $$a$b$$");
}

#[test]
fn literals_do_not_join_the_tokens_beside_them() {
    for (statement, value, expected) in [
        ("SHOW x%(x)s", text("ab"), "SHOW x 'ab'"),
        ("SHOW 'a'%(x)s'b'", text("c"), "SHOW 'a' 'c' 'b'"),
        ("SHOW %(x)sand", Value::Boolean(true), "SHOW TRUE and"),
        ("SHOW %(x)s%(x)s", text("c"), "SHOW 'c' 'c'"),
        ("SHOW a-%(x)s", Value::Integer(-1), "SHOW a-(-1)"),
        ("SELECT %(x)s:a, %(x)s::INT", text("c"), "SELECT ?:a, ?::INT"),
        ("SELECT /* *%(x)s/ */ 1", text("c"), "SELECT /* * / */ 1"),
        // Snowflake's strings have no prefixes.
        ("SELECT 1r'%(x)s'", text("c"), "SELECT 1r'c'"),
        (
            "SELECT f(TO_QUERY(SQL => 'SELECT 1', a => '%(x)s'))",
            text("c d"),
            "SELECT f(TO_QUERY(SQL => 'SELECT 1', a => 'c d'))",
        ),
    ] {
        assert_eq!(with(statement, &value).unwrap().statement, expected);
    }
}

#[test]
fn an_empty_list_keeps_its_meaning_or_is_refused() {
    for statement in ["a IN (%(x)s)", "a NOT IN ( :x )", "NOT (a IN ({{ .inputs.x }}))"] {
        let rendered = with(&format!("SELECT * FROM t WHERE {statement}"), &list([])).unwrap();
        assert!(rendered.statement.contains("SELECT NULL WHERE FALSE"), "{rendered:?}");
        assert!(rendered.bindings.is_empty());
    }
    for statement in [
        "SELECT ARRAY_CONSTRUCT(%(x)s)",
        "INSERT INTO t VALUES (%(x)s)",
        "SELECT a IN (1, %(x)s)",
        "SELECT %(x)s",
    ] {
        let error = with(statement, &list([])).unwrap_err();
        assert!(error.message().starts_with("inputs.x: must not be empty here"), "{error}");
    }
}

#[test]
fn doubled_percent_signs_are_unescaped() {
    for (statement, expected) in [
        ("SELECT 'a%%' WHERE 5 %% 2 = %(x)s", "SELECT 'a%' WHERE 5 % 2 = ?"),
        ("SELECT '\\\\%%', '\\%%', '%%(x)s', '%%%(x)s'", "SELECT '\\\\%', '\\%', '%(x)s', '%c'"),
    ] {
        assert_eq!(with(statement, &text("c")).unwrap().statement, expected);
    }
}

#[test]
fn literals_are_written_where_snowflake_requires_them() {
    for (statement, value, expected) in [
        ("SELECT DATE %(x)s", text("2026-03-01"), "SELECT DATE '2026-03-01'"),
        ("SELECT a + INTERVAL :x", text("1 day"), "SELECT a + INTERVAL '1 day'"),
        (
            "SELECT SUM(a) OVER (ROWS BETWEEN %(x)s PRECEDING AND {{ .inputs.x }} FOLLOWING)",
            Value::Integer(3),
            "SELECT SUM(a) OVER (ROWS BETWEEN 3 PRECEDING AND 3 FOLLOWING)",
        ),
    ] {
        let rendered = with(statement, &value).unwrap();
        assert_eq!(rendered.statement, expected);
        assert!(rendered.bindings.is_empty(), "{statement}");
    }
}

#[test]
fn the_size_of_a_statement_is_bounded() {
    let large = text(&"x".repeat(1 << 20));
    let numbers = Value::List(vec![Value::Integer(1); 1 << 19]);
    for (statement, value) in [
        ("SELECT %(x)s, ".repeat(9), &large),
        ("SHOW %(x)s, ".repeat(9), &large),
        ("SELECT '%(x)s', ".repeat(9), &large),
        ("SELECT %(x)s".to_owned(), &numbers),
    ] {
        let error = with(&statement, value).unwrap_err();
        let message = "inputs.x: the statement with its values is larger than 8 MiB";
        assert_eq!(error.message(), message);
    }
    assert!(with(&"SELECT %(x)s, ".repeat(7), &large).is_ok());
}

#[test]
fn the_size_of_a_batch_is_bounded() {
    let numbers = Value::List(vec![Value::Integer(1); 1 << 15]);
    let statement = format!("INSERT INTO t VALUES ('{}')", "x".repeat(1 << 10));
    let error = rendered(&statement, &[("x", numbers)], true).unwrap_err();
    let message = "custom.batch: the statement with its values is larger than 8 MiB";
    assert_eq!(error.message(), message);
}

#[test]
fn flytes_own_placeholders_are_strings() {
    let rendered = rendered("SELECT {{ .namespace }}, '{{ .outputPrefix }}'", &[], false).unwrap();
    assert_eq!(rendered.statement, "SELECT ?, ''");
    assert_eq!(bound(&rendered)["1"], json!({"type": "TEXT", "value": ""}));
}

#[test]
fn placeholders_that_cannot_be_rendered_are_named() {
    for (statement, message) in [
        ("SELECT %(y)s", "inputs.y: no such input; the task has [x]"),
        ("SELECT '{{ .inputs.y }}'", "inputs.y: no such input; the task has [x]"),
        ("SELECT {{ .rawOutputDataPrefix }}", "{{ .rawOutputDataPrefix }} is not available"),
        ("EXECUTE IMMEDIATE '%(x)s'", "because the string around it is run as code"),
        (
            "SELECT 1 -- %(x)s",
            "template.sql.statement: inputs.x must not be in a comment to the end of the line, because \
             Flyte joins lines into one: use /* … */",
        ),
        ("SELECT '\\%(x)s'", "%(x)s must not follow a backslash"),
    ] {
        let error = with(statement, &text("a b")).unwrap_err();
        assert!(error.message().contains(message), "{error}");
    }
    let empty = with("SELECT \"%(x)s\"", &text("")).unwrap_err();
    assert!(empty.message().starts_with("inputs.x: must not be empty"), "{empty}");
}

#[test]
fn a_batch_repeats_its_row() {
    let inputs = [
        ("a", list([Value::Integer(1), Value::Null])),
        ("b", list([text("x"), text("y'z")])),
        ("c", text("same")),
    ];
    let statement = "INSERT INTO t (a, b, c) VALUES (%(a)s, f(:b), {{ .inputs.c }})\n-- %(a)s";
    let rendered = rendered(statement, &inputs, true).unwrap();
    assert_eq!(
        rendered.statement,
        "INSERT INTO t (a, b, c) VALUES (?, f(?), ?), (NULL, f(?), ?)\n--  "
    );
    assert_eq!(bound(&rendered).as_object().unwrap().len(), 5);
    assert_eq!(bound(&rendered)["4"], json!({"type": "TEXT", "value": "y'z"}));
}

#[test]
fn invalid_batches_are_rejected() {
    let two = list([Value::Integer(1), Value::Integer(2)]);
    let one = list([text("x")]);
    let insert = "INSERT INTO t VALUES (%(a)s, %(b)s)";
    for (statement, a, b, message) in [
        (insert, two.clone(), one, "same length, but inputs.a has 2, inputs.b has 1"),
        (insert, list([]), list([]), "the lists are empty"),
        (insert, text("a"), text("b"), "none of the inputs is a list"),
        ("SELECT %(a)s", two.clone(), two.clone(), "must have one VALUES (…) to repeat, but has 0"),
        ("VALUES (1) VALUES (2)", two.clone(), two, "one VALUES (…) to repeat, but has 2"),
    ] {
        let error = rendered(statement, &[("a", a), ("b", b)], true).unwrap_err();
        assert!(error.message().starts_with("custom.batch: "), "{error}");
        assert!(error.message().contains(message), "{error}");
    }
}
