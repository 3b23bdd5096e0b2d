use std::time::Duration;

use plugin_core::{Type, task::Input, testing};

use super::*;

fn rendered(statement: &str, inputs: &[(&str, Value)]) -> Result<Rendered> {
    let cx = testing::context(Duration::from_secs(1));
    let input = |(name, value): &(&str, Value)| {
        ((*name).to_owned(), Input::new(value.clone(), Type::of(value)))
    };
    render(&cx, "custom.statement", statement, &inputs.iter().map(input).collect())
}

fn string(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn at(text: &str) -> Value {
    Value::Datetime(text.parse().unwrap())
}

#[test]
fn values_are_written_as_their_context_requires() {
    let ids = Value::List(vec![Value::Integer(1), Value::Integer(-2)]);
    let names = Value::List(vec![string("a"), string("b'c")]);
    for (statement, value, expected) in [
        ("SELECT {{ .inputs.x }}", Value::Integer(7), "SELECT 7"),
        ("SELECT 1-{{ .inputs.x }}", Value::Integer(-7), "SELECT 1-(-7)"),
        ("SELECT {{ .Inputs.x }};", string("it's"), "SELECT 'it''s'"),
        (
            "SELECT * FROM t WHERE ds='{{ .inputs.x }}'",
            string("it's \\"),
            "SELECT * FROM t WHERE ds='it''s \\'",
        ),
        ("SELECT * FROM \"{{ .inputs.x }}\"", string("a\"b"), "SELECT * FROM \"a\"\"b\""),
        ("SELECT * FROM t_{{ .inputs.x }}", Value::Integer(2026), "SELECT * FROM t_2026"),
        ("SELECT 1 WHERE a IN ({{ .inputs.x }})", ids, "SELECT 1 WHERE a IN (1, (-2))"),
        ("SELECT 1 WHERE a IN ({{ .inputs.x }})", names, "SELECT 1 WHERE a IN ('a', 'b''c')"),
        (
            "SELECT {{ .inputs.x }}",
            at("2026-03-01T06:30:00"),
            "SELECT TIMESTAMP '2026-03-01 06:30:00.000'",
        ),
        ("SELECT DATE {{ .inputs.x }}", at("2026-03-01T00:00:00"), "SELECT DATE '2026-03-01'"),
        ("SELECT DATE '{{ .inputs.x }}'", at("2026-03-01T00:00:00"), "SELECT DATE '2026-03-01'"),
        (
            "SELECT timestamp '{{ .inputs.x }}'",
            at("2026-03-01T00:00:00"),
            "SELECT timestamp '2026-03-01 00:00:00.000'",
        ),
        ("SELECT DATE {{ .inputs.x }}", string("2026-03-01"), "SELECT DATE '2026-03-01'"),
        // As propeller's Go plugin wrote it.
        (
            "SELECT from_iso8601_timestamp('{{ .inputs.x }}')",
            at("2026-03-01T06:30:00"),
            "SELECT from_iso8601_timestamp('2026-03-01T06:30:00Z')",
        ),
        ("SELECT {{ .inputs.x }}", Value::Null, "SELECT NULL"),
        ("SELECT 1 /* {{ .inputs.x }} */", string("*/ DROP"), "SELECT 1 /*   */"),
        (
            "ALTER TABLE t ADD PARTITION (ds = '{{ .inputs.x }}') LOCATION 's3://b/{{ .inputs.x }}/'",
            string("2026-03-01"),
            "ALTER TABLE t ADD PARTITION (ds = '2026-03-01') LOCATION 's3://b/2026-03-01/'",
        ),
        (
            "ALTER TABLE t ADD PARTITION (ds = {{ .inputs.x }})",
            string("a b"),
            "ALTER TABLE t ADD PARTITION (ds = 'a b')",
        ),
    ] {
        let found =
            rendered(statement, &[("x", value)]).unwrap_or_else(|e| panic!("{statement}: {e}"));
        assert_eq!(found.statement, expected);
    }
}

#[test]
fn no_value_leaves_its_context() {
    for hostile in
        ["'", "''", "\\", "\\'", "' OR 1=1 --", "*/", "\"", "`", ";", "\n--", "{{ .inputs.x }}"]
    {
        for statement in [
            "SELECT '{{ .inputs.x }}', 'end'",
            "SELECT {{ .inputs.x }}, 'end'",
            "SELECT \"{{ .inputs.x }}\", 'end'",
            "SELECT /* {{ .inputs.x }} */ 'end'",
        ] {
            let found = rendered(statement, &[("x", string(hostile))]).unwrap().statement;
            let (dialect, mut none) =
                (dialect::of(&found).dialect, |_, _: Option<&[_]>| None::<((), usize)>);
            let parsed = Template::parse(dialect, &found, &mut none).unwrap();
            let last = parsed.tokens.last().map(|token| parsed.source(token));
            assert_eq!(last, Some("'end'"), "{found}");
        }
        // Whether a backslash escapes there is not known.
        let definition = "ALTER TABLE t SET TBLPROPERTIES ('a' = '{{ .inputs.x }}')";
        let found = rendered(definition, &[("x", string(hostile))]);
        assert_eq!(
            found.is_err(),
            hostile.contains(['\'', '\\', '"', '`', ';', '\n']),
            "{hostile}"
        );
    }
}

#[test]
fn what_cannot_be_rendered_is_refused_by_name() {
    for (statement, value, message) in [
        ("SELECT {{ .inputs.y }}", Value::Null, "inputs.y: no such input; the task has [x]"),
        (
            "SELECT 1 WHERE a IN ({{ .inputs.x }})",
            Value::List(vec![]),
            "inputs.x: must not be empty",
        ),
        ("SELECT DATE {{ .inputs.x }}", at("2026-03-01T06:30:00"), "inputs.x: must be a date"),
        ("SELECT {{ .inputs.x }}", Value::Float(f64::NAN), "inputs.x: must be a finite number"),
        (
            "SELECT 1 -- {{ .inputs.x }}",
            string("a"),
            "custom.statement: inputs.x must not be in a comment",
        ),
        ("EXECUTE IMMEDIATE {{ .inputs.x }}", string("a"), "inputs.x: must not be a string here"),
        ("SELECT {{ .outputPrefix }}", Value::Null, "{{ .outputPrefix }}: must be within quotes"),
        (
            "UNLOAD (SELECT 1) TO '{{ .RawOutputDataPrefix }}'",
            Value::Null,
            "custom.statement: {{ .RawOutputDataPrefix }} is not available to backend plugins; use {{ .outputPrefix }}",
        ),
        (
            "SELECT {{ .foo | upper }}",
            Value::Null,
            "custom.statement: {{ .foo | upper }} is no placeholder of Flyte: those are {{ .inputs.NAME }}",
        ),
        (
            "SELECT {{ .inputs.x | upper }}",
            Value::Null,
            "custom.statement: {{ .inputs.x | upper }} is no",
        ),
        (
            "SELECT '{{ .inputs.x | upper }}'",
            Value::Null,
            "custom.statement: {{ .inputs.x | upper }} is",
        ),
        (
            "SELECT \"{{ .inputs }}\"",
            Value::Null,
            "custom.statement: {{ .inputs }} is no placeholder",
        ),
        (
            "UNLOAD (SELECT 1) TO 's3://b/{{ .rawOutputDataPrefixx }}/'",
            Value::Null,
            "custom.statement: {{ .rawOutputDataPrefixx }} is no placeholder of Flyte",
        ),
        (
            "UNLOAD (SELECT 1) TO 's3://b/a/{{ .inputs.x }}/'",
            string("x/../../b"),
            "custom.statement: inputs.x must not make . or .. a segment",
        ),
        (
            "UNLOAD (SELECT 1) TO 's3://{{ .inputs.x }}/a/'",
            string("mine/theirs"),
            "custom.statement: inputs.x must be letters, digits and .-_ only, because it is a part of a bucket's name",
        ),
        (
            "UNLOAD (SELECT 1) TO 'S3://b/{{ .inputs.x }}'",
            string("a\nb"),
            "custom.statement: inputs.x must have no control characters",
        ),
        ("DROP TABLE t; SELECT 1", Value::Null, "custom.statement: has 2 statements"),
        (" ; ", Value::Null, "custom.statement: empty"),
        (
            "SELECT {{ .inputs.x }}",
            string(&"x".repeat(MAX_BYTES)),
            "inputs.x: the statement with its values has more",
        ),
    ] {
        let error = rendered(statement, &[("x", value)]).unwrap_err();
        assert!(error.message().starts_with(message), "{statement}: {error}");
    }
    let long = format!("SELECT '{}'", "x".repeat(MAX_BYTES));
    let error = rendered(&long, &[]).unwrap_err();
    assert!(error.message().starts_with(
        "custom.statement: the statement with its values has more than 262,144 bytes"
    ));
}

#[test]
fn text_of_other_templates_stays_within_quotes_and_comments() {
    for statement in [
        "SELECT '{{ .Values.x }}', '{{ x }}', '{{ .foo | upper }}'",
        "SELECT 1 /* {{ .inputs.x | upper }} */",
        "SELECT 1 -- {{ .foo }}\n, 2",
    ] {
        assert_eq!(rendered(statement, &[]).unwrap().statement, statement);
    }
}

#[test]
fn no_value_is_written_where_a_backslash_decides_what_is_a_string() {
    let definition = r"CREATE TABLE t (a string COMMENT 'Bob\'s copy, same AS SELECT') PARTITIONED BY (d string)";
    let hostile = string("'s3://b/' TBLPROPERTIES ('a' = 'b')");
    let error = rendered(&format!("{definition} LOCATION {{{{ .inputs.x }}}}"), &[("x", hostile)]);
    let error = error.unwrap_err();
    let expected =
        "custom.statement: {{ .inputs.x }} must not be in a CREATE TABLE in which a backslash";
    assert!(error.message().starts_with(expected), "{error}");
    let alone = format!("{definition} LOCATION 's3://b/'");
    assert_eq!(rendered(&alone, &[]).unwrap().statement, alone);
}

#[test]
fn a_statement_ends_at_its_last_semicolon() {
    for (statement, expected) in [
        ("SELECT 1; -- done", "SELECT 1"),
        ("SELECT 1 /* one */; ;\n/* done; */ -- ok\n", "SELECT 1 /* one */"),
        ("SELECT {{ .inputs.x }}\n;", "SELECT 7"),
        ("SELECT {{ .inputs.x }}; /* {{ .inputs.x }} */", "SELECT 7"),
        ("; SELECT 1", "; SELECT 1"),
        ("SELECT ';' -- a;", "SELECT ';' -- a;"),
        ("SELECT 1 -- done", "SELECT 1 -- done"),
    ] {
        let found = rendered(statement, &[("x", Value::Integer(7))]).unwrap();
        assert_eq!(found.statement, expected);
    }
}

#[test]
fn flytes_own_names_are_names() {
    let found =
        rendered("CREATE TABLE {{ .PerRetryUniqueKey }}_tmp AS SELECT 1 x", &[]).unwrap().statement;
    let name = found.strip_prefix("CREATE TABLE flyte_").unwrap();
    assert!(name.len() == 64 + "_tmp AS SELECT 1 x".len() && !name.contains('\''), "{found}");
}

#[test]
fn marks_are_counted_outside_of_quotes_and_comments() {
    for (statement, marks) in [
        ("SELECT 1", 0),
        ("SELECT ? + ?", 2),
        ("SELECT '?', \"?\", ? /* ? */", 1),
        ("SELECT ? -- ?\n, ?", 2),
    ] {
        assert_eq!(rendered(statement, &[]).unwrap().marks, marks, "{statement}");
    }
    // Flyte's SDKs join lines.
    let error = rendered("SELECT ? -- the id , ?", &[]).unwrap_err();
    assert!(error.message().contains("must not be in a comment to the end of the line"), "{error}");
}

#[test]
fn queries_are_told_from_other_statements() {
    for (statement, is_query) in [
        ("SELECT 1", true),
        ("(SELECT 1) UNION SELECT 2", true),
        ("/* x */ WITH a AS (SELECT 1) SELECT * FROM a", true),
        ("INSERT INTO t SELECT 1", false),
        ("MSCK REPAIR TABLE t", false),
    ] {
        assert_eq!(rendered(statement, &[]).unwrap().is_query, is_query, "{statement}");
    }
}
