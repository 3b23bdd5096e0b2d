//! Placeholders become parameters, or are refused.

use std::time::Duration;

use plugin_core::{Type, task::Input, testing};

use super::*;

fn inputs(values: &[(&str, Value)]) -> Inputs {
    let input = |(name, value): &(&str, Value)| {
        ((*name).to_owned(), Input::new(value.clone(), Type::of(value)))
    };
    values.iter().map(input).collect()
}

fn string(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn rendered(text: &str, values: &[(&str, Value)]) -> Result<Rendered> {
    render(&testing::context(Duration::from_secs(10)), text, &inputs(values))
}

/// The statements joined by `;`, and the parameters as `name=value`.
fn shown(text: &str, values: &[(&str, Value)]) -> (String, Vec<String>) {
    let Rendered { statements, parameters } = rendered(text, values).unwrap();
    let parameters = parameters.iter().map(|p| format!("{}={}", p.name, p.value)).collect();
    (statements.join(";"), parameters)
}

#[test]
fn placeholders_become_parameters_and_values_no_text() {
    let evil = string("'; DROP TABLE t; --");
    for (text, value, statement, parameters) in [
        ("SELECT {{ .inputs.x }}", evil.clone(), "SELECT :x", vec!["x='; DROP TABLE t; --"]),
        ("SELECT :x", evil, "SELECT :x", vec!["x='; DROP TABLE t; --"]),
        ("SELECT {{.Inputs.x}}::int, :x", Value::Integer(-7), "SELECT :x::int, :x", vec!["x=-7"]),
        (
            "SELECT 'x:x', a::x, \":x\" -- :x\n",
            Value::Integer(7),
            "SELECT 'x:x', a::x, \":x\" -- :x",
            vec![],
        ),
        (
            "SELECT 1 /* {{ .inputs.x }} */",
            Value::Integer(7),
            "SELECT 1 /* {{ .inputs.x }} */",
            vec![],
        ),
        ("SELECT {{ .inputs.x }}", Value::Null, "SELECT NULL", vec![]),
        ("SELECT {{ .inputs.x }}", string(""), "SELECT ''", vec![]),
        (
            "SELECT 1 WHERE a IN ({{ .inputs.x }})",
            Value::List(vec![Value::Integer(1), string("b"), Value::Null]),
            "SELECT 1 WHERE a IN (:x__0, :x__1, NULL)",
            vec!["x__0=1", "x__1=b"],
        ),
    ] {
        let expected = (statement.to_owned(), parameters.into_iter().map(str::to_owned).collect());
        assert_eq!(shown(text, &[("x", value)]), expected, "{text}");
    }
}

#[test]
fn statements_are_split_at_semicolons_that_are_none_of_a_string() {
    for (text, expected) in [
        ("SELECT ';'; -- a;b\nSELECT 2;\n/* c; */", vec!["SELECT ';'", "-- a;b\nSELECT 2"]),
        ("CALL p(:x);", vec!["CALL p(:x)"]),
        (
            "CREATE PROCEDURE p() AS $$ BEGIN a; b; END $$ LANGUAGE plpgsql",
            vec!["CREATE PROCEDURE p() AS $$ BEGIN a; b; END $$ LANGUAGE plpgsql"],
        ),
    ] {
        assert_eq!(rendered(text, &[("x", Value::Integer(1))]).unwrap().statements, expected);
    }
}

#[test]
fn what_cannot_be_a_parameter_is_refused_by_name() {
    let long = format!("SELECT '{}'", "x".repeat(MAX_BYTES));
    let many = "SELECT 1;".repeat(MAX_STATEMENTS + 1);
    for (text, value, message) in [
        (
            "SELECT '{{ .inputs.x }}'",
            string("a"),
            "{{ .inputs.x }}: Redshift takes no parameter within quotes",
        ),
        ("SELECT * FROM \"{{ .inputs.x }}\"", string("a"), "within quotes"),
        ("SELECT * FROM t_{{ .inputs.x }}", string("a"), "not as a part of a name"),
        ("SELECT * FROM {{ .inputs.x }}b", string("a"), "not as a part of a name"),
        ("SELECT * FROM {{ .inputs.x }}.t", string("a"), "not as a part of a name"),
        ("SELECT {{ .inputs.x }}{{ .inputs.x }}", string("a"), "not as a part of a name"),
        ("SELECT 1 -- {{ .inputs.x }}", string("a"), "{{ .inputs.x }}"),
        ("SELECT 1 -- :x", string("a"), ":x"),
        ("SELECT {{ .inputs.y }}", string("a"), "inputs.y: no such input"),
        ("SELECT IN ({{ .inputs.x }})", Value::List(vec![]), "inputs.x: must not be empty"),
        ("SELECT {{ .outputPrefix }}", string("a"), "must be within quotes"),
        ("SELECT '{{ .rawOutputDataPrefix }}'", string("a"), "not available"),
        (
            "SELECT {{ .foo | upper }}",
            string("a"),
            "template.sql.statement: {{ .foo | upper }} is no placeholder of Flyte",
        ),
        (
            "UNLOAD ('SELECT 1') TO 's3://b/{{ .outputPrefixx }}/'",
            string("a"),
            "template.sql.statement: {{ .outputPrefixx }} is no placeholder of Flyte",
        ),
        ("-- nothing\n;", string("a"), "template.sql.statement: has no statement"),
        (&long, string("a"), "takes at most 100 kB"),
        (&many, string("a"), "has 41 statements"),
    ] {
        let error = rendered(text, &[("x", value)]).unwrap_err();
        assert!(error.message().contains(message), "{text:.60}: {error}");
    }
    let clash = [("x", Value::List(vec![Value::Integer(1)])), ("x__0", Value::Integer(2))];
    let error = rendered("SELECT {{ .inputs.x }}", &clash).unwrap_err();
    assert!(error.message().starts_with("inputs.x__0: rename it"), "{error}");
}

#[test]
fn transactions_are_the_data_apis() {
    for (text, word) in [
        ("BEGIN; DELETE FROM t; COMMIT;", "BEGIN"),
        ("/* x */ begin transaction; SELECT 1", "BEGIN"),
        ("START TRANSACTION; SELECT 1", "START"),
        ("DELETE FROM t; -- now\ncommit work", "COMMIT"),
        ("DELETE FROM t; END", "END"),
        ("DELETE FROM t; ROLLBACK", "ROLLBACK"),
        ("DELETE FROM t; ABORT;", "ABORT"),
    ] {
        let error = rendered(text, &[]).unwrap_err();
        let expected = format!("template.sql.statement: must have no {word}: ");
        assert!(error.message().starts_with(&expected), "{error}");
        assert!(error.message().contains("custom.transaction"), "{error}");
    }
    for text in [
        "SELECT 'BEGIN; COMMIT'",
        "CREATE PROCEDURE p() AS $$ BEGIN DELETE FROM t; COMMIT; END $$ LANGUAGE plpgsql",
        "SELECT CASE WHEN a THEN 1 END FROM t",
        "-- BEGIN\nSELECT begin FROM t",
    ] {
        assert_eq!(rendered(text, &[]).unwrap().statements.len(), 1, "{text}");
    }
}

#[test]
fn a_location_and_a_name_may_be_an_attempts_own() {
    for text in [
        "UNLOAD ('SELECT 1') TO 's3://b/{{ .perRetryUniqueKey }}/' IAM_ROLE default",
        "CREATE TABLE {{ .perRetryUniqueKey }} AS SELECT 1 AS one",
        "CREATE TABLE daily_{{ .perRetryUniqueKey }} AS SELECT 1 AS one",
    ] {
        let cx = testing::context(Duration::from_secs(10));
        let statement = render(&cx, text, &inputs(&[])).unwrap().statements.remove(0);
        // A name without quotes must not begin with a digit.
        let unique = format!("flyte_{}", cx.idempotency_key().hex());
        assert_eq!(statement, text.replace("{{ .perRetryUniqueKey }}", &unique));
    }
}
