use plugin_core::sql::{Holds, Inner};

use super::*;

/// A place, in short.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Short {
    Open,
    Constant,
    Operand,
    Quoted,
    Name,
    Dollars,
    LineComment,
    BlockComment,
    /// In code: between its tokens, within its quotes, or anywhere.
    CodeOpen,
    CodeQuoted,
    CodeUnknown,
}

fn short(slot: &Slot<'_>) -> Short {
    match slot.place {
        Place::Open if slot.constant => Short::Constant,
        Place::Open => Short::Open,
        Place::Operand => Short::Operand,
        Place::Quoted(quoted) if quoted.quote.holds == Holds::Name => Short::Name,
        Place::Quoted(quoted) if quoted.quote.open == "$$" => Short::Dollars,
        Place::Quoted(_) => Short::Quoted,
        Place::LineComment { .. } => Short::LineComment,
        Place::BlockComment => Short::BlockComment,
        Place::Code(_, Inner::Open(_)) => Short::CodeOpen,
        Place::Code(_, Inner::Quoted(_) | Inner::Plain) => Short::CodeQuoted,
        Place::Code(..) => Short::CodeUnknown,
    }
}

fn try_split(statement: &str) -> Result<Parts<'_>> {
    split(statement, &["x", "y"].into())
}

fn parts(statement: &str) -> Parts<'_> {
    try_split(statement).unwrap()
}

fn slots(statement: &str) -> Vec<(Short, Placeholder<'_>)> {
    let pieces = parts(statement).pieces.into_iter();
    pieces
        .filter_map(|piece| match piece {
            Piece::Slot(slot) => Some((short(&slot), slot.placeholder)),
            _ => None,
        })
        .collect()
}

#[test]
fn lexical_contexts_are_recognised() {
    for (before, place) in [
        ("SELECT ", Short::Open),
        ("SELECT '", Short::Quoted),
        ("SELECT 'a' ", Short::Open),
        ("SELECT 'it\\'s ", Short::Quoted),
        ("SELECT 'it''s ", Short::Quoted),
        ("SELECT '\\\\' ", Short::Open),
        ("SELECT \"it's ", Short::Name),
        ("SELECT \"a\\\" ", Short::Open),
        ("SELECT \"a\"\"b", Short::Name),
        ("SELECT $$it's \" ", Short::Dollars),
        ("SELECT $$a$$ ", Short::Open),
        ("SELECT $1, ", Short::Open),
        ("SELECT '''", Short::Quoted),
        ("SELECT DATE ", Short::Constant),
        ("SELECT '1'::DATE, timestamp_ntz\n", Short::Constant),
        ("SELECT TIME /* */ ", Short::Constant),
        ("SELECT INTERVAL ", Short::Constant),
        ("SELECT DATE(", Short::Open),
        ("SELECT date = ", Short::Open),
        ("SELECT my_date ", Short::Open),
        ("EXECUTE IMMEDIATE ", Short::Operand),
        ("EXECUTE IMMEDIATE '", Short::CodeOpen),
        ("EXECUTE IMMEDIATE 'DELETE FROM t WHERE k = ''", Short::CodeQuoted),
        ("EXECUTE IMMEDIATE 'k = ''a'' ", Short::CodeOpen),
        ("EXECUTE IMMEDIATE 'k = \\'", Short::CodeQuoted),
        ("EXECUTE IMMEDIATE 'k = \\x27", Short::CodeQuoted),
        ("EXECUTE IMMEDIATE 'k = \\047", Short::CodeQuoted),
        ("execute immediate /* ' */ '", Short::CodeOpen),
        ("EXECUTE IMMEDIATE 'a' || '", Short::CodeUnknown),
        ("EXECUTE IMMEDIATE 'a'; SELECT '", Short::Quoted),
        ("SELECT 'EXECUTE IMMEDIATE', \"IMMEDIATE\", '", Short::Quoted),
        ("SELECT immediate, language FROM t WHERE a = '", Short::Quoted),
        ("EXECUTE IMMEDIATE 'a' ", Short::Operand),
        ("EXECUTE IMMEDIATE 'a' USING (a) ", Short::Open),
        ("EXECUTE IMMEDIATE $$ SELECT '", Short::CodeQuoted),
        ("EXECUTE IMMEDIATE $$ SELECT ", Short::CodeOpen),
        ("EXECUTE IMMEDIATE $$ EXECUTE IMMEDIATE '", Short::CodeUnknown),
        ("EXECUTE IMMEDIATE $$ -- it's\n SELECT ", Short::CodeOpen),
        ("SELECT * FROM TABLE(TO_QUERY('SELECT ", Short::CodeOpen),
        ("SELECT * FROM TABLE(TO_QUERY(SQL => 'SELECT ''", Short::CodeQuoted),
        ("SELECT * FROM TABLE(TO_QUERY(SQL => 'SELECT :a', a => '", Short::Quoted),
        ("SELECT * FROM TABLE(TO_QUERY(SQL => ", Short::Operand),
        ("SELECT run('SELECT ", Short::CodeUnknown),
        ("SELECT run('SELECT ''", Short::CodeQuoted),
        ("SELECT run('SELECT ' || ", Short::Operand),
        ("SELECT UPPER('SELECT ", Short::Quoted),
        ("CREATE PROCEDURE p() RETURNS INT AS '", Short::CodeOpen),
        ("CREATE PROCEDURE p() RETURNS INT AS -- '\n'BEGIN ''", Short::CodeQuoted),
        ("CREATE PROCEDURE p() RETURNS INT LANGUAGE PYTHON AS 'def f(): ", Short::CodeUnknown),
        ("CREATE PROCEDURE p() RETURNS INT AS '''' || '", Short::Quoted),
        ("WITH p AS PROCEDURE () RETURNS INT LANGUAGE SQL AS $$ SELECT ", Short::CodeOpen),
        ("CREATE TABLE t AS SELECT '", Short::Quoted),
        ("SELECT alias '", Short::Quoted),
        ("SELECT -- it's ", Short::LineComment),
        ("SELECT // it's ", Short::LineComment),
        ("SELECT -- it's\n ", Short::Open),
        ("SELECT /* it's ", Short::BlockComment),
        ("SELECT /* /* */ ", Short::Open),
        ("SELECT /* it's */ '", Short::Quoted),
        ("SELECT a - b / ", Short::Open),
    ] {
        for hole in ["%(x)s", "{{ .inputs.x }}"] {
            let statement = format!("{before}{hole}");
            assert_eq!(slots(&statement), [(place, Placeholder::Input("x"))], "{statement}");
        }
    }
}

#[test]
fn strings_in_variables_may_be_run_as_code() {
    for (statement, place) in [
        ("SET s = 'DELETE FROM t WHERE k = ''%(x)s'''; EXECUTE IMMEDIATE $s", Short::CodeQuoted),
        ("SET s = 'k = ''%(x)s'''; EXECUTE IMMEDIATE 'SELECT ' || $s", Short::CodeUnknown),
        ("BEGIN LET s := 'SELECT ''%(x)s'''; execute immediate :s; END", Short::CodeQuoted),
    ] {
        assert_eq!(slots(statement), [(place, Placeholder::Input("x"))], "{statement}");
    }
}

#[test]
fn bounds_of_window_frames_are_constants() {
    let places = |statement| slots(statement).iter().map(|(place, _)| *place).collect::<Vec<_>>();
    let frame = "SUM(a) OVER (ORDER BY b ROWS BETWEEN %(x)s PRECEDING AND :x\n following)";
    assert_eq!(places(frame), [Short::Constant; 2]);
    assert_eq!(
        places("SELECT '%(x)s PRECEDING', %(x)s AS PRECEDING"),
        [Short::Quoted, Short::Open]
    );
}

#[test]
fn placeholders_after_a_word_with_two_dollars_are_rejected() {
    for statement in ["CREATE FUNCTION f() RETURNS INT AS$$ %(x)s", "SELECT a$$, ':x', :x"] {
        let error = try_split(statement).unwrap_err();
        assert!(error.message().starts_with("template.sql.statement: "), "{error}");
        assert!(error.message().ends_with("put a space before $$"), "{error}");
    }
    assert_eq!(slots("SELECT %(x)s, a$$").len(), 1);
    assert_eq!(slots("SELECT a$b, %(x)s").len(), 1);
}

#[test]
fn scripting_variables_are_not_placeholders() {
    for (statement, count) in [
        ("BEGIN RETURN :x; END", 0),
        ("begin\n return :x; end", 0),
        ("DECLARE x INT; BEGIN RETURN :x; END", 0),
        ("SELECT 1; BEGIN RETURN :x; END", 0),
        ("CREATE PROCEDURE p(x INT) RETURNS INT AS BEGIN RETURN :x; END", 0),
        ("BEGIN RETURN %(x)s; END", 1),
        ("BEGIN; SELECT :x; COMMIT", 1),
        ("BEGIN TRANSACTION; SELECT :x", 1),
        ("begin work; SELECT :x", 1),
        ("BEGIN NAME t; SELECT :x", 1),
        ("LET X := 1; SELECT :x, :y", 1),
        ("BEGIN RETURN :x; END; SELECT :x", 1),
        ("BEGIN RETURN CASE WHEN :x THEN 1 END; END; SELECT :x", 1),
        ("BEGIN IF (:x) THEN RETURN 1; END IF; RETURN :x; END; SELECT :x", 1),
        ("BEGIN BEGIN RETURN :x; END; RETURN :x; END; SELECT :x", 1),
        ("BEGIN CASE (:x) WHEN 1 THEN RETURN 1; END CASE; RETURN :x; END; SELECT :x", 1),
        ("BEGIN FOR r IN c DO RETURN :x; END FOR; RETURN :x; END; SELECT :x", 1),
        ("BEGIN SELECT end FROM t; RETURN :x; END; SELECT :x", 1),
        ("DECLARE y INT; BEGIN LET x := 1; RETURN :x; END; SELECT :x", 1),
        ("CREATE PROCEDURE p() RETURNS INT AS BEGIN RETURN :x; END; SELECT :x", 1),
        ("SELECT begin, :x", 1),
    ] {
        assert_eq!(slots(statement).len(), count, "{statement}");
    }
}

#[test]
fn unclosed_braces_are_scanned_in_linear_time() {
    let braces = "{{".repeat(1 << 18);
    assert_eq!(slots(&format!("{braces} .inputs.x }}}}")).len(), 1);
}

#[test]
fn only_placeholders_are_recognised() {
    for (statement, count) in [
        ("SELECT :x", 1),
        ("SELECT (:x,:y)", 2),
        ("SELECT a=:x", 1),
        ("SELECT a[:x]", 1),
        ("SELECT ARRAY_SLICE(a, :x, 2)[:x]", 2),
        ("SELECT v :x", 0),
        ("SELECT v\n:x", 0),
        ("SELECT v /* a */ :x", 0),
        ("SELECT f(v) :x", 0),
        ("SELECT v[0] :x", 0),
        ("SELECT \"v\" :x", 0),
        ("SELECT $1 :x", 0),
        ("SELECT a WHERE :x AND NOT :x OR b IN (:x)", 3),
        ("SELECT CASE WHEN a THEN :x ELSE :x END LIMIT :x", 3),
        ("SELECT :z", 0),
        ("SELECT :xy", 0),
        ("SELECT a::x", 0),
        ("SELECT v:x", 0),
        ("SELECT v[0]:x", 0),
        ("SELECT v:a:x", 0),
        ("SELECT \"v\":x", 0),
        ("SELECT ':x'", 0),
        ("SELECT -- :x\n", 0),
        ("SELECT %(x)s%(z)s", 2),
        ("SELECT %(x)d", 0),
        ("SELECT %(x", 0),
        ("SELECT %()s", 0),
        ("SELECT a % (x)", 0),
        ("SELECT 'a%'", 0),
        ("SELECT {{ x }} {{{{ .inputs.x }}", 1),
    ] {
        assert_eq!(slots(statement).len(), count, "{statement}");
    }
}

#[test]
fn without_inputs_only_double_braces_are_placeholders() {
    let statement = "SELECT '%x%', '%(x)s', 5 %% 2, :x, {{ .namespace }}";
    let parts = split(statement, &BTreeSet::new()).unwrap();
    let text = &statement[..statement.len() - "{{ .namespace }}".len()];
    let slot = Slot {
        placeholder: Placeholder::Namespace,
        place: Place::Open,
        constant: false,
        is_whole_list: false,
    };
    assert_eq!(parts.pieces, [Piece::Text(text), Piece::Slot(slot)]);
}

#[test]
fn statements_are_counted() {
    for (statement, count) in [
        ("", 0),
        ("-- nothing", 0),
        ("SELECT 1", 1),
        ("SELECT 1;", 1),
        ("SELECT 1; -- done\n ; /* ; */ ", 1),
        ("SELECT ';', \";\", $$;$$", 1),
        ("BEGIN; DELETE FROM T; COMMIT;", 3),
        ("SELECT 1;\n%(x)s", 2),
        ("SELECT 1; 'a'", 2),
    ] {
        assert_eq!(parts(statement).statements, count, "{statement}");
    }
}

#[test]
fn bind_variables_are_used_where_snowflake_supports_them() {
    for (statement, binds) in [
        ("SELECT %(x)s", true),
        ("-- a\n(select %(x)s)", true),
        ("with a as (select 1) select %(x)s", true),
        ("INSERT INTO t VALUES (%(x)s);", true),
        ("CALL f(%(x)s)", true),
        ("SELECT '?', $$?$$", true),
        ("SELECT ?, %(x)s", false),
        ("SELECT %(x)s; SELECT 1", false),
        ("CREATE TABLE t AS SELECT %(x)s", false),
        ("ALTER WAREHOUSE w SET COMMENT = %(x)s", false),
        ("selected", false),
        ("", false),
    ] {
        assert_eq!(parts(statement).can_bind(), binds, "{statement}");
    }
}

#[test]
fn the_first_row_after_values_is_found() {
    for (statement, row) in [
        ("INSERT INTO t VALUES (a, f(b), '(')", Some("(a, f(b), '(')")),
        ("INSERT INTO t (c) values -- (\n (a) RETURNING", Some("(a)")),
        ("SELECT * FROM (VALUES (1, (2)))", Some("(1, (2))")),
        ("SELECT my_values (1)", None),
        ("SELECT 'VALUES' (1)", None),
        ("SELECT VALUES, (1)", None),
    ] {
        let pieces = parts(statement).pieces;
        let position = |wanted| pieces.iter().position(|piece| *piece == wanted);
        let between = position(Piece::RowStart).zip(position(Piece::RowEnd));
        let text = between.map(|(start, end)| match &pieces[start + 1..end] {
            [Piece::Text(text)] => *text,
            other => panic!("{other:?}"),
        });
        assert_eq!(text, row, "{statement}");
    }
}

#[test]
fn placeholders_after_a_backslash_are_rejected() {
    let long = format!("SELECT '\\%(x)s{}'", "é".repeat(40));
    for statement in
        [&long, "SELECT '\\%(x)s'", "SELECT '\\{{ .inputs.x }}'", "SELECT 'a\\\\\\%(x)s"]
    {
        let error = try_split(statement).unwrap_err();
        assert!(error.message().ends_with("must not follow a backslash"), "{error}");
    }
    assert_eq!(slots("SELECT '\\\\%(x)s'").len(), 1);
}

#[test]
fn parameters_in_a_comment_that_extends_to_the_end_are_rejected() {
    for statement in ["DELETE FROM t -- DAY < :x", "DELETE FROM t // DAY < :x"] {
        let error = try_split(statement).unwrap_err();
        let expected = "template.sql.statement: :x must not be in a comment to the end of the line";
        assert!(error.message().starts_with(expected), "{error}");
        parts(&format!("{statement}\nWHERE TRUE"));
    }
    parts("SELECT 1 -- a::x, 12:x, :z");
}

#[test]
fn an_unknown_placeholder_is_refused() {
    for (statement, unknown) in [
        ("SELECT {{ .input.x }}", "{{ .input.x }}"),
        ("SELECT '{{ .outputPrefixes }}'", "{{ .outputPrefixes }}"),
        ("SELECT 1 AS \"{{ .inputs.x | upper }}\"", "{{ .inputs.x | upper }}"),
    ] {
        let error = try_split(statement).unwrap_err();
        assert!(error.message().starts_with("template.sql.statement: "), "{error}");
        assert!(error.message().contains(unknown), "{error}");
    }
    for statement in [
        "SELECT {'a': {'b': 1}}",
        "SELECT '{{ x }} {{ .Values.y }}'",
        "SELECT 1 -- {{ .input.x }}\n",
    ] {
        assert!(try_split(statement).is_ok(), "{statement}");
    }
}
