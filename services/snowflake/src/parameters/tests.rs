use std::time::Duration;

use plugin_core::{Type, serde_json::json, task::Input, testing};

use super::*;

fn rendered(statement: &str, inputs: &[(&str, Value)], batch: bool) -> Result<Rendered> {
    let input = |value: &Value| Input::new(value.clone(), Type::of(value));
    let inputs = inputs.iter().map(|(name, value)| ((*name).to_owned(), input(value))).collect();
    render(&testing::context(Duration::from_secs(1)), statement, &inputs, batch)
}

fn with(statement: &str, value: &Value) -> Result<Rendered> {
    rendered(statement, &[("x", value.clone())], false)
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
    let expected = Rendered {
        statement: "SELECT ?, ?, ?, '%' WHERE n IN (?,NULL,?)".to_owned(),
        bindings: json!({
            "1": {"type": "TEXT", "value": "two"},
            "2": {"type": "FIXED", "value": "1"},
            "3": {"type": "TEXT", "value": "two"},
            "4": {"type": "FIXED", "value": "3"},
            "5": {"type": "BOOLEAN", "value": "false"},
        })
        .as_object()
        .unwrap()
        .clone(),
        several: false,
    };
    assert_eq!(rendered(statement, &inputs, false).unwrap(), expected);
}

#[test]
fn literals_are_written_where_binding_is_impossible() {
    for (statement, value, expected) in [
        ("DELETE FROM t; SELECT %(x)s", text("a'b"), "DELETE FROM t; SELECT 'a\\'b'"),
        ("CREATE VIEW v AS SELECT :x", Value::Integer(-1), "CREATE VIEW v AS SELECT (-1)"),
        ("CREATE VIEW v AS SELECT 1-%(x)s", Value::Float(-0.5), "CREATE VIEW v AS SELECT 1-(-0.5)"),
        ("SELECT ?, %(x)s", Value::Boolean(true), "SELECT ?, TRUE"),
        ("SELECT %(x)s", Value::Null, "SELECT NULL"),
        ("SELECT 1 IN (%(x)s)", list([]), "SELECT 1 IN (NULL)"),
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
        ("SELECT $$", "$$", None),
        ("SELECT 1 -- ", "\n", Some("")),
        ("SELECT 1\n // ", "", Some("")),
        ("SELECT 1 -- ", "", None),
        ("SELECT 1 // ", " FROM t", None),
        ("SELECT DATE ", "", Some("'x\\'\"; DROP TABLE t; --\\\\'")),
        ("EXECUTE IMMEDIATE 'SELECT ", "'", None),
        ("EXECUTE IMMEDIATE 'SELECT ''", "'''", None),
        ("CREATE PROCEDURE p() RETURNS INT AS 'SELECT ''", "'''", None),
        ("SELECT 1 /* ", " */", Some("")),
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
fn only_words_and_numbers_are_allowed_in_code() {
    for (before, value, fits) in [
        ("", text("orders_2026"), true),
        ("", text("2026-03-01"), true),
        ("", Value::Integer(-5), true),
        ("1-", Value::Integer(-5), false),
        ("", text("a--b"), false),
        ("", text("a-"), false),
        ("", text("$"), false),
        ("", text("$$"), false),
        ("", text("a b"), false),
        ("", text("a;b"), false),
        ("", text("a'b"), false),
        ("", list([Value::Integer(1), Value::Integer(2)]), false),
    ] {
        for quote in ["$$", "'"] {
            let code = format!("{quote} SELECT {before}%(x)s {quote}");
            let rendered = with(&format!("EXECUTE IMMEDIATE {code}"), &value);
            assert_eq!(rendered.is_ok(), fits, "{code}: {value:?}");
        }
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
    assert_eq!(rendered.bindings["1"], json!({"type": "TEXT", "value": ""}));
}

#[test]
fn placeholders_that_cannot_be_rendered_are_named() {
    for (statement, message) in [
        ("SELECT %(y)s", "inputs.y: no such input; the task has [x]"),
        ("SELECT '{{ .inputs.y }}'", "inputs.y: no such input; the task has [x]"),
        ("SELECT {{ .rawOutputDataPrefix }}", "{{ .rawOutputDataPrefix }} is not available"),
        ("SELECT $$%(x)s$$", "because $$…$$ around it has no escapes"),
        ("EXECUTE IMMEDIATE '%(x)s'", "because the '…' around it is run as code"),
        (
            "SELECT 1 -- %(x)s",
            "template.sql.statement: inputs.x must not be in a -- comment, because Flyte joins lines \
             into one: use /* … */",
        ),
        ("SELECT '\\%(x)s'", "%(x)s' must not follow a backslash"),
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
        "INSERT INTO t (a, b, c) VALUES (?, f(?), ?), (NULL, f(?), ?)\n-- "
    );
    assert_eq!(rendered.bindings.len(), 5);
    assert_eq!(rendered.bindings["4"], json!({"type": "TEXT", "value": "y'z"}));
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
