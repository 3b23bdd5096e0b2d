use super::*;

fn parts(statement: &str) -> Parts<'_> {
    split(statement, true, &|name| matches!(name, "x" | "y")).unwrap()
}

fn holes(statement: &str) -> Vec<(Place, Placeholder<'_>)> {
    let pieces = parts(statement).pieces.into_iter();
    pieces
        .filter_map(|piece| match piece {
            Piece::Hole { place, filling } => Some((place, filling)),
            _ => None,
        })
        .collect()
}

#[test]
fn lexical_contexts_are_recognised() {
    for (before, place) in [
        ("SELECT ", Place::Open),
        ("SELECT '", Place::Quoted),
        ("SELECT 'a' ", Place::Open),
        ("SELECT 'it\\'s ", Place::Quoted),
        ("SELECT 'it''s ", Place::Quoted),
        ("SELECT '\\\\' ", Place::Open),
        ("SELECT \"it's ", Place::Name),
        ("SELECT \"a\\\" ", Place::Open),
        ("SELECT \"a\"\"b", Place::Name),
        ("SELECT $$it's \" ", Place::Dollars),
        ("SELECT $$a$$ ", Place::Open),
        ("SELECT $1, ", Place::Open),
        ("SELECT '''", Place::Quoted),
        ("SELECT DATE ", Place::Constant),
        ("SELECT '1'::DATE, timestamp_ntz\n", Place::Constant),
        ("SELECT TIME /* */ ", Place::Constant),
        ("SELECT INTERVAL ", Place::Constant),
        ("SELECT DATE(", Place::Open),
        ("SELECT date = ", Place::Open),
        ("SELECT my_date ", Place::Open),
        ("EXECUTE IMMEDIATE '", Place::Code),
        ("EXECUTE IMMEDIATE 'DELETE FROM t WHERE k = ''", Place::Code),
        ("EXECUTE IMMEDIATE 'k = ''a'' ", Place::Code),
        ("EXECUTE IMMEDIATE 'k = \\'", Place::Code),
        ("execute immediate /* ' */ '", Place::Code),
        ("EXECUTE IMMEDIATE 'a' || '", Place::Code),
        ("EXECUTE IMMEDIATE 'a'; SELECT '", Place::Code),
        ("SELECT 'EXECUTE IMMEDIATE', \"IMMEDIATE\", '", Place::Quoted),
        ("EXECUTE IMMEDIATE 'a' ", Place::Open),
        ("CREATE PROCEDURE p() RETURNS INT AS '", Place::Code),
        ("CREATE PROCEDURE p() RETURNS INT AS -- '\n'BEGIN ''", Place::Code),
        ("CREATE PROCEDURE p() RETURNS INT AS '''' || '", Place::Quoted),
        ("CREATE TABLE t AS SELECT '", Place::Quoted),
        ("SELECT alias '", Place::Quoted),
        ("SELECT -- it's ", Place::LineComment),
        ("SELECT // it's ", Place::LineComment),
        ("SELECT -- it's\n ", Place::Open),
        ("SELECT /* it's ", Place::BlockComment),
        ("SELECT /* /* */ ", Place::Open),
        ("SELECT /* it's */ '", Place::Quoted),
        ("SELECT a - b / ", Place::Open),
    ] {
        for hole in ["%(x)s", "{{ .inputs.x }}"] {
            let statement = format!("{before}{hole}");
            assert_eq!(holes(&statement), [(place, Placeholder::Input("x"))], "{statement}");
        }
    }
}

#[test]
fn strings_in_variables_may_be_run_as_code() {
    for statement in [
        "SET s = 'DELETE FROM t WHERE k = ''%(x)s'''; EXECUTE IMMEDIATE $s",
        "BEGIN LET s := 'SELECT ''%(x)s'''; execute immediate :s; END",
    ] {
        assert_eq!(holes(statement), [(Place::Code, Placeholder::Input("x"))], "{statement}");
    }
}

#[test]
fn bounds_of_window_frames_are_constants() {
    let places = |statement| holes(statement).iter().map(|(place, _)| *place).collect::<Vec<_>>();
    let frame = "SUM(a) OVER (ORDER BY b ROWS BETWEEN %(x)s PRECEDING AND :x\n following)";
    assert_eq!(places(frame), [Place::Constant; 2]);
    assert_eq!(
        places("SELECT '%(x)s PRECEDING', %(x)s AS PRECEDING"),
        [Place::Quoted, Place::Open]
    );
}

#[test]
fn placeholders_after_a_word_with_two_dollars_are_rejected() {
    for statement in ["CREATE FUNCTION f() RETURNS INT AS$$ %(x)s", "SELECT a$$, ':x', :x"] {
        let error = split(statement, true, &|_| true).unwrap_err();
        assert!(error.message().starts_with("template.sql.statement: "), "{error}");
        assert!(error.message().ends_with("put a space before $$"), "{error}");
    }
    assert_eq!(holes("SELECT %(x)s, a$$").len(), 1);
    assert_eq!(holes("SELECT a$b, %(x)s").len(), 1);
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
        ("SELECT begin, :x", 1),
    ] {
        assert_eq!(holes(statement).len(), count, "{statement}");
    }
}

#[test]
fn unclosed_braces_are_scanned_in_linear_time() {
    let braces = "{{".repeat(1 << 20);
    assert_eq!(holes(&format!("{braces} .inputs.x }}}}")).len(), 1);
}

#[test]
fn only_placeholders_are_recognised() {
    for (statement, count) in [
        ("SELECT :x", 1),
        ("SELECT (:x,:y)", 2),
        ("SELECT a=:x", 1),
        ("SELECT :z", 0),
        ("SELECT :xy", 0),
        ("SELECT a::x", 0),
        ("SELECT v:x", 0),
        ("SELECT v[0]:x", 0),
        ("SELECT v:a:x", 0),
        ("SELECT \"v\":x", 0),
        ("SELECT ':x'", 0),
        ("SELECT -- :x", 0),
        ("SELECT %(x)s%(z)s", 2),
        ("SELECT %(x)d", 0),
        ("SELECT %(x", 0),
        ("SELECT %()s", 0),
        ("SELECT a % (x)", 0),
        ("SELECT 'a%'", 0),
        ("SELECT {{ x }} {{{{ .inputs.x }}", 1),
    ] {
        assert_eq!(holes(statement).len(), count, "{statement}");
    }
}

#[test]
fn without_inputs_only_double_braces_are_placeholders() {
    let statement = "SELECT '%x%', '%(x)s', 5 %% 2, :x, {{ .namespace }}";
    let parts = split(statement, false, &|_| false).unwrap();
    let text = &statement[..statement.len() - "{{ .namespace }}".len()];
    let hole = Piece::Hole { place: Place::Open, filling: Placeholder::Namespace };
    assert_eq!(parts.pieces, [Piece::Text(text), hole]);
}

#[test]
fn doubled_percent_signs_are_unescaped() {
    let parts = parts("SELECT 'a%%' WHERE 5 %% 2 = %(x)s");
    let strings = parts.pieces.iter().filter_map(|piece| match piece {
        Piece::Text(text) => Some(*text),
        _ => None,
    });
    assert_eq!(strings.collect::<String>(), "SELECT 'a%' WHERE 5 % 2 = ");
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
        let error = split(statement, true, &|_| true).unwrap_err();
        assert!(error.message().ends_with("must not follow a backslash"), "{error}");
    }
    assert_eq!(holes("SELECT '\\\\%(x)s'").len(), 1);
}
