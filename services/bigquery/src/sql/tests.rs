use std::time::Duration;

use plugin_core::{
    Type,
    serde_json::{self, json},
    task::Input,
    testing,
};

use super::*;

fn task(statement: &str, value: &Value) -> Task<Custom> {
    let custom = serde_json::from_value(json!({"ProjectID": "acme"})).unwrap();
    let input = Input::new(value.clone(), Type::of(value));
    let inputs = [("x".to_owned(), input)].into_iter().collect();
    Task::new(custom).with_sql(statement).with_inputs(inputs)
}

/// `statement` with `value` in place of `{}`.
fn rendered(statement: &str, value: &Value) -> Result<String> {
    let statement = statement.replace("{}", "{{ .inputs.x }}");
    render(&testing::context(Duration::from_secs(1)), &task(&statement, value))
}

fn string(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn refusal(statement: &str, value: &Value) -> String {
    match rendered(statement, value) {
        Err(error) => error.message().to_owned(),
        Ok(rendered) => panic!("{statement} with {value:?} became {rendered}"),
    }
}

#[test]
fn every_context_has_its_own_form_of_a_value() {
    let hostile = string("x'\"`; DROP TABLE t; --\\\n\r");
    for (statement, expected) in [
        ("SELECT {}", Some("SELECT @x")),
        ("SELECT '{}'", Some(r#"SELECT 'x\'"`; DROP TABLE t; --\\\n\r'"#)),
        ("SELECT \"{}\"", Some(r#"SELECT "x'\"`; DROP TABLE t; --\\\n\r""#)),
        ("SELECT '''{}'''", Some(r#"SELECT '''x\'"`; DROP TABLE t; --\\\n\r'''"#)),
        ("SELECT \"\"\"{}\"\"\"", Some(r#"SELECT """x'\"`; DROP TABLE t; --\\\n\r""""#)),
        ("SELECT b'{}'", Some(r#"SELECT b'x\'"`; DROP TABLE t; --\\\n\r'"#)),
        ("SELECT xr'{}'", Some(r#"SELECT xr'x\'"`; DROP TABLE t; --\\\n\r'"#)),
        ("SELECT 'it\\'s {}'", Some(r#"SELECT 'it\'s x\'"`; DROP TABLE t; --\\\n\r'"#)),
        ("SELECT '\\\\{}'", Some(r#"SELECT '\\x\'"`; DROP TABLE t; --\\\n\r'"#)),
        ("SELECT 'a' -- it's {}\n, {}", Some("SELECT 'a' -- it's  \n, @x")),
        ("SELECT 'a' # it's {}\n, {}", Some("SELECT 'a' # it's  \n, @x")),
        ("SELECT /* it's {} */ {}", Some("SELECT /* it's   */ @x")),
        ("SELECT '\\{}'", None),
        ("SELECT r'\\{}'", None),
        ("SELECT `\\{}`", None),
        ("SELECT r'{}'", None),
        ("SELECT RB\"{}\"", None),
        ("SELECT bR'''{}'''", None),
        ("FROM `{}`", None),
    ] {
        assert_eq!(rendered(statement, &hostile).ok().as_deref(), expected, "{statement}");
    }
}

#[test]
fn raw_strings_take_values_without_special_characters() {
    for prefix in ["r", "R", "rb", "Br", "bR"] {
        for (text, fits) in [
            ("a b", true),
            ("--", true),
            ("a'b", false),
            ("a\"b", false),
            ("a\\b", false),
            ("a\nb", false),
            ("a\rb", false),
        ] {
            let found = rendered(&format!("SELECT {prefix}'{{}}'"), &string(text));
            let expected = fits.then(|| format!("SELECT {prefix}'{text}'"));
            assert_eq!(found.ok(), expected, "{prefix} {text:?}");
        }
    }
}

#[test]
fn values_outside_of_quotes_keep_their_type() {
    for (value, expected) in [
        (Value::Integer(50), "50"),
        (Value::Integer(-5), "(-5)"),
        (Value::Float(0.5), "0.5"),
        (Value::Float(-0.5), "(-0.5)"),
        (Value::Float(1e300), "1e300"),
        (Value::Float(f64::NAN), "@x"),
        (Value::Boolean(true), "true"),
        (Value::Null, "@x"),
        (Value::List(vec![]), "@x"),
        (Value::structured_dataset("bq://acme-1:shop.orders"), "`acme-1.shop.orders`"),
        (
            Value::structured_dataset("bq://example.com:acme:shop.orders"),
            "`example.com:acme.shop.orders`",
        ),
    ] {
        assert_eq!(rendered("SELECT {}", &value).unwrap(), format!("SELECT {expected}"));
    }
    refusal("FROM {}", &Value::structured_dataset("bq://p:d.t`; DROP"));
    // A table is one where a name can stand, and a text elsewhere.
    let table = Value::structured_dataset("bq://acme:shop.orders");
    assert_eq!(rendered("SELECT '{}'", &table).unwrap(), "SELECT 'bq://acme:shop.orders'");
    let file = Value::structured_dataset("s3://bucket/orders");
    assert_eq!(rendered("SELECT {}", &file).unwrap(), "SELECT @x");
}

#[test]
fn names_are_allowed_within_backticks() {
    let name = string("shop.orders_2026");
    assert_eq!(rendered("FROM `acme.{}`", &name).unwrap(), "FROM `acme.shop.orders_2026`");
    assert!(refusal("FROM `{}`", &string("")).starts_with("inputs.x: must not be empty"));
    assert!(refusal("FROM `{}`", &string("a b")).starts_with("inputs.x: must be a name"));
}

#[test]
fn values_do_not_join_the_tokens_beside_them() {
    for (statement, value, expected) in [
        ("SELECT a-{}", Value::Integer(-1), "SELECT a-(-1)"),
        ("SELECT a-{}-b", Value::Float(-0.5), "SELECT a-(-0.5)-b"),
        ("SELECT 'a'{}'b'", string("c"), "SELECT 'a' @x 'b'"),
        ("SELECT @{}", string("c"), "SELECT @ @x"),
        ("SELECT {}r'a'", string("c"), "SELECT @x r'a'"),
        ("SELECT {}y", string("c"), "SELECT @x y"),
        ("SELECT {}.field", string("c"), "SELECT @x.field"),
        ("SELECT {}.field", Value::Float(0.5), "SELECT 0.5 .field"),
        ("SELECT {}, a", Value::Float(0.5), "SELECT 0.5, a"),
        ("SELECT 1 -- it's {}\r\n, 2", string("c"), "SELECT 1 -- it's  \r\n, 2"),
        ("SELECT {}{}", string("c"), "SELECT @x @x"),
        ("SELECT {}{}", Value::Integer(1), "SELECT 11"),
        ("FROM orders_{}", Value::Integer(2026), "FROM orders_2026"),
        ("SELECT ''{}''", string("c"), "SELECT '' @x ''"),
        ("SELECT /* *{}/ {} */ 1", string("c"), "SELECT /* * /   */ 1"),
    ] {
        assert_eq!(rendered(statement, &value).unwrap(), expected);
    }
    for value in [Value::Integer(-1), Value::Float(0.5)] {
        assert!(refusal("FROM orders_{}", &value).contains("right beside a word"));
    }
}

#[test]
fn empty_texts_do_not_make_other_quotes() {
    let message = refusal("SELECT '{}''a'", &string(""));
    assert_eq!(message, "inputs.x: must not be here, because it would change the tokens around it");
    assert_eq!(rendered("SELECT '{}' 'a'", &string("")).unwrap(), "SELECT '' 'a'");
    // The vendor refuses it in its own words.
    assert_eq!(rendered("SELECT '{}", &string("")).unwrap(), "SELECT '");
}

/// Statements with code in strings; each with values that fit.
#[test]
fn code_takes_numbers_and_texts_within_its_own_quotes() {
    for (statement, value, expected) in [
        (
            "EXECUTE IMMEDIATE 'DELETE FROM t WHERE a > b-{} AND day = 1'",
            Value::Integer(-1),
            "EXECUTE IMMEDIATE 'DELETE FROM t WHERE a > b-(-1) AND day = 1'",
        ),
        (
            "EXECUTE IMMEDIATE 'SELECT * FROM t WHERE k = \"{}\"'",
            string("a\"b'c\\"),
            r#"EXECUTE IMMEDIATE 'SELECT * FROM t WHERE k = "a\\"b\'c\\\\"'"#,
        ),
        (
            "EXECUTE IMMEDIATE 'SELECT * FROM t WHERE k = \\'{}\\''",
            string("a'b\n"),
            r"EXECUTE IMMEDIATE 'SELECT * FROM t WHERE k = \'a\\\'b\\n\''",
        ),
        (
            "EXECUTE IMMEDIATE 'SELECT * FROM `shop.{}`'",
            string("orders"),
            "EXECUTE IMMEDIATE 'SELECT * FROM `shop.orders`'",
        ),
        (
            "EXECUTE IMMEDIATE 'SELECT ?' USING {}",
            string("a"),
            "EXECUTE IMMEDIATE 'SELECT ?' USING @x",
        ),
        ("EXECUTE IMMEDIATE ('SELECT {}')", Value::Integer(7), "EXECUTE IMMEDIATE ('SELECT 7')"),
        (
            "EXECUTE IMMEDIATE ('SELECT \"{}\"')",
            string("a b"),
            "EXECUTE IMMEDIATE ('SELECT \"a b\"')",
        ),
        (
            "EXECUTE IMMEDIATE 'SELECT 1 /* {} */'",
            string("*/, 2"),
            "EXECUTE IMMEDIATE 'SELECT 1 /*   */'",
        ),
        (
            "EXECUTE IMMEDIATE s; EXECUTE IMMEDIATE 'DELETE FROM t WHERE k = \"{}\"'",
            string("a\"b"),
            r#"EXECUTE IMMEDIATE s; EXECUTE IMMEDIATE 'DELETE FROM t WHERE k = "a\\"b"'"#,
        ),
        ("EXECUTE IMMEDIATE s; SELECT {}", string("a"), "EXECUTE IMMEDIATE s; SELECT @x"),
        (
            "SELECT * FROM EXTERNAL_QUERY('c', `shop.{}`)",
            string("orders"),
            "SELECT * FROM EXTERNAL_QUERY('c', `shop.orders`)",
        ),
        (
            "SELECT * FROM EXTERNAL_QUERY('c', \"SELECT * FROM t WHERE name = '{}' AND id = {}\")",
            Value::Integer(7),
            "SELECT * FROM EXTERNAL_QUERY('c', \"SELECT * FROM t WHERE name = '7' AND id = 7\")",
        ),
        (
            "SELECT * FROM EXTERNAL_QUERY('c', \"SELECT * FROM t WHERE name = '{}'\")",
            string("Ann -- Lee"),
            "SELECT * FROM EXTERNAL_QUERY('c', \"SELECT * FROM t WHERE name = 'Ann -- Lee'\")",
        ),
        (
            "EXECUTE IMMEDIATE FORMAT('SELECT %d FROM t LIMIT {}', 1)",
            Value::Integer(7),
            "EXECUTE IMMEDIATE FORMAT('SELECT %d FROM t LIMIT 7', 1)",
        ),
        (
            "EXECUTE IMMEDIATE 'SELECT {}AS a, {}\"b\", {} c'",
            Value::Float(0.5),
            "EXECUTE IMMEDIATE 'SELECT 0.5 AS a, 0.5 \"b\", 0.5 c'",
        ),
        (
            "SELECT acme.fn.run('SELECT * FROM t WHERE a ={} AND b > {}')",
            Value::Float(0.5),
            "SELECT acme.fn.run('SELECT * FROM t WHERE a =0.5 AND b > 0.5')",
        ),
        (
            "CREATE TEMP FUNCTION f(a FLOAT64) RETURNS FLOAT64 LANGUAGE js AS \"\"\"return a * {};\"\"\"",
            Value::Integer(2),
            "CREATE TEMP FUNCTION f(a FLOAT64) RETURNS FLOAT64 LANGUAGE js AS \"\"\"return a * 2;\"\"\"",
        ),
    ] {
        assert_eq!(rendered(statement, &value).unwrap(), expected);
    }
}

#[test]
fn values_do_not_become_code() {
    let injection = string("' OR 1=1 -- ");
    for (statement, value) in [
        ("SELECT * FROM EXTERNAL_QUERY('c', \"SELECT * FROM t WHERE name = '{}'\")", &injection),
        ("SELECT * FROM EXTERNAL_QUERY('c', \"SELECT * FROM t WHERE id = {}\")", &string("id")),
        ("SELECT * FROM EXTERNAL_QUERY('c', r'SELECT * FROM t WHERE id = {}')", &string("id")),
        ("SELECT * FROM EXTERNAL_QUERY('c', \"SELECT '\\\\\\\\', '{}'\")", &string("id")),
        ("SELECT * FROM EXTERNAL_QUERY('c', {})", &string("SELECT 1")),
        ("SELECT * FROM EXTERNAL_QUERY('c', my_fn('id = {}'))", &string("id")),
        ("SELECT * FROM EXTERNAL_QUERY('c', 'SELECT ' || '{}')", &Value::Integer(-1)),
        ("SELECT * FROM EXTERNAL_QUERY('c', 'SELECT a-{}' || ' x')", &Value::Integer(-1)),
        ("SELECT * FROM EXTERNAL_QUERY('c', CONCAT('SELECT a-', '{}'))", &Value::Integer(-1)),
        ("SELECT * FROM EXTERNAL_QUERY('c', a = -'{}')", &string("id")),
        ("SELECT * FROM EXTERNAL_QUERY('c', \"a = '{}'\" || ' x')", &string("id")),
        ("SELECT * FROM EXTERNAL_QUERY('c', CONCAT('a = 1', \" OR b = '{}'\"))", &string("id")),
        ("SELECT * FROM EXTERNAL_QUERY('c', a b > '{}')", &string("id")),
        ("SELECT * FROM EXTERNAL_QUERY('c', a b - '{}')", &string("id")),
        ("EXECUTE IMMEDIATE 'SELECT \"{}\"' || 5", &string("a\"b")),
        ("EXECUTE IMMEDIATE ('SELECT ') || '{}'", &string("id")),
        ("EXECUTE IMMEDIATE CONCAT(('SELECT '), '{}')", &string("id")),
        ("CALL `acme.fn`('DELETE FROM t WHERE id = {}')", &string("id")),
        ("EXECUTE IMMEDIATE 'SELECT * FROM t WHERE id = {}'", &string("id")),
        ("EXECUTE IMMEDIATE 'SELECT * FROM t WHERE id = ' || '{}'", &string("id")),
        ("EXECUTE IMMEDIATE CONCAT('SELECT * FROM t WHERE id = ', '{}')", &string("id")),
        ("EXECUTE IMMEDIATE 'SELECT * FROM t WHERE a > b-' || '{}'", &Value::Integer(-1)),
        ("EXECUTE IMMEDIATE {}", &string("DROP TABLE t")),
        ("EXECUTE IMMEDIATE 'a' || {}", &string("DROP TABLE t")),
        ("execute /* ' */ immediate 'SELECT {}'", &string("id")),
        ("EXECUTE IMMEDIATE 'EXECUTE IMMEDIATE \"SELECT {}\"'", &string("id")),
        ("EXECUTE IMMEDIATE 'EXECUTE IMMEDIATE \"SELECT \\'{}\\'\"'", &string("id")),
        ("DECLARE s STRING DEFAULT 'SELECT {}'; EXECUTE IMMEDIATE s", &string("id")),
        ("DECLARE s STRING DEFAULT 'a = {}'; EXECUTE IMMEDIATE 'SELECT ' || s", &string("id")),
        ("SELECT acme.fn.run('SELECT * FROM t WHERE id = {}')", &string("id")),
        ("SELECT acme.fn.run('SELECT * FROM t WHERE id = {}e1')", &Value::Float(0.5)),
        ("SELECT acme.fn.run('SELECT * FROM t WHERE id = {}.5')", &Value::Float(0.5)),
        ("SELECT acme.fn.run('SELECT * FROM t WHERE id = a-{} + 1')", &Value::Float(0.5)),
        ("SELECT acme.fn.run('SELECT * FROM t WHERE id = ' || {})", &string("id")),
        ("SELECT acme.fn.run(CONCAT('SELECT * FROM t WHERE id = ', '{}'))", &string("id")),
        ("CALL `acme.fn`.run('DELETE FROM t WHERE id = {}')", &string("id")),
        ("CREATE FUNCTION f() RETURNS STRING LANGUAGE js AS 'return {}'", &string("id")),
        ("CREATE FUNCTION f() RETURNS STRING LANGUAGE js AS r\"return '{}'\"", &string("a'b")),
        ("CREATE FUNCTION f() RETURNS STRING LANGUAGE js AS r\"return '\\n{}'\"", &string("id")),
        ("CREATE FUNCTION f() RETURNS STRING LANGUAGE js AS 'return /\\'/ + {}'", &string("id")),
        ("CREATE FUNCTION f() RETURNS STRING LANGUAGE js AS 'return `{}`'", &string("${id}")),
    ] {
        assert!(refusal(statement, value).starts_with("inputs.x: "), "{statement}");
    }
}

#[test]
fn words_of_columns_strings_and_comments_are_not_code() {
    let value = string("two words");
    for statement in [
        "SELECT language, immediate FROM t WHERE name = '{}'",
        "SELECT 'EXECUTE IMMEDIATE' AS language FROM t WHERE name = '{}'",
        "SELECT 1 /* EXECUTE IMMEDIATE */ FROM t WHERE name = '{}'",
        "SELECT `EXECUTE` IMMEDIATE, '{}'",
        "SELECT CONCAT('select the item ', '{}')",
        "SELECT my_udf('Select', '{}')",
        "SELECT my_udf('Update of {}')",
        "SELECT my_udf(other('Select a from b', '{}'))",
        "SELECT ('Select {}')",
        "SELECT 1 + ('Select {}')",
        "SELECT 1'{}'",
        "CREATE TABLE t (a STRING DEFAULT 'Select {}')",
        "EXECUTE IMMEDIATE FORMAT('SELECT %d', 1); SELECT '{}'",
        "SELECT EXTERNAL_QUERY, '{}' FROM t",
        "CREATE TABLE t (a STRING OPTIONS (description = 'Select {}'))",
        "SELECT * FROM t UNPIVOT (a FOR b IN (c AS '{}'))",
        "EXECUTE IMMEDIATE 'SELECT 1'; SELECT '{}'",
        "EXECUTE IMMEDIATE 'SELECT ?' USING '{}'",
        "EXECUTE IMMEDIATE @statement; SELECT '{}'",
    ] {
        let expected = statement.replace("{}", "two words");
        assert_eq!(rendered(statement, &value).unwrap(), expected);
    }
}

#[test]
fn prefixes_of_strings_are_told_from_numbers() {
    for (statement, before) in [("SELECT 1r'{}'", "1r"), ("SELECT 0xb'{}'", "0xb")] {
        let message = refusal(statement, &string("a"));
        let expected =
            format!("follows {before}, which may or may not end in a prefix of a string");
        assert!(message.ends_with(&expected), "{message}");
    }
}

#[test]
fn parameters_in_a_comment_that_extends_to_the_end_are_rejected() {
    for (statement, name) in [
        ("DELETE FROM t -- old WHERE x = {}", "inputs.x"),
        ("DELETE FROM t # old WHERE x = {}", "inputs.x"),
        ("DELETE FROM t -- old WHERE x = @x", "@x"),
        ("DELETE FROM t # old WHERE x = @X", "@X"),
    ] {
        let message = refusal(statement, &Value::Integer(1));
        let expected = format!("template.sql.statement: {name} must not be in a comment");
        assert!(message.starts_with(&expected), "{message}");
        assert!(rendered(&format!("{statement}\n"), &Value::Integer(1)).is_err(), "trimmed");
        rendered(&format!("{statement}\nWHERE TRUE"), &Value::Integer(1)).unwrap();
    }
    for harmless in ["SELECT @x -- ask me@x.org, @@x or @y", "SELECT '--' || @x"] {
        assert_eq!(rendered(harmless, &Value::Integer(1)).unwrap(), harmless);
    }
}

#[test]
fn positional_parameters_in_a_comment_are_rejected() {
    let mut positional = task("DELETE FROM t -- old WHERE x = ?", &Value::Null);
    let cx = testing::context(Duration::from_secs(1));
    assert!(render(&cx, &positional).is_ok());
    positional.custom.query.insert("parameterMode".to_owned(), "POSITIONAL".into());
    let error = render(&cx, &positional).unwrap_err();
    assert!(error.message().contains("the parameter ? must not be in a comment"), "{error}");
}

#[test]
fn flytes_own_names_are_identifiers() {
    let cx = testing::context(Duration::from_secs(1));
    let key = cx.idempotency_key().hex();
    let render = |statement: &str| render(&cx, &task(statement, &Value::Null));
    for statement in ["EXECUTE IMMEDIATE 'SELECT * FROM tmp_{}.t'", "SELECT * FROM tmp_{}.t"] {
        let rendered = render(&statement.replace("{}", "{{ .perRetryUniqueKey }}")).unwrap();
        assert_eq!(rendered, statement.replace("{}", &key));
    }
    let error = render("SELECT {{ .outputPrefix }}").unwrap_err();
    assert_eq!(error.message(), "{{ .outputPrefix }}: must be within quotes");
}

#[test]
fn the_size_of_a_statement_is_bounded() {
    let large = string(&"x".repeat(1 << 20));
    let message = refusal(&"SELECT '{}';".repeat(9), &large);
    assert_eq!(message, "inputs.x: the statement with its values is larger than 8 MiB");
    rendered(&"SELECT '{}';".repeat(7), &large).unwrap();
    // Bounded while it is written, not at the end.
    let half = string(&"x".repeat(1 << 19));
    refusal(&"SELECT '{}';".repeat(1000), &half);
    rendered(&"-".repeat(1 << 20), &large).unwrap();
    let message = refusal(&"-".repeat((1 << 20) + 1), &large);
    assert!(message.starts_with("template.sql.statement: longer than 1,048,576"), "{message}");
}

#[test]
fn an_unknown_placeholder_is_refused() {
    for (statement, unknown) in [
        ("SELECT {{ .input.x }}", "{{ .input.x }}"),
        ("SELECT '{{ .outputPrefixes }}'", "{{ .outputPrefixes }}"),
        ("SELECT * FROM `{{ .inputs.x | upper }}`", "{{ .inputs.x | upper }}"),
    ] {
        let message = refusal(statement, &Value::Null);
        assert!(message.starts_with("template.sql.statement: "), "{message}");
        assert!(message.contains(unknown), "{message}");
    }
    for statement in ["SELECT '{{ x }} {{ .Values.y }}'", "SELECT 1 -- {{ .input.x }}\n"] {
        assert!(rendered(statement, &Value::Null).is_ok(), "{statement}");
    }
}
