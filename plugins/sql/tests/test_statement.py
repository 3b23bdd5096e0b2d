"""Placeholders in statements, of which each becomes one parameter."""

from __future__ import annotations

import contextlib
import time

import pytest
from outrigger_plugin import Refused

from dialects import POSTGRESQL, Dialect, mysql
from statement import MAX_CHARACTERS, Input, TaskKey, parse

MYSQL = mysql("STRICT_TRANS_TABLES")
ANSI = mysql("ANSI_QUOTES,STRICT_TRANS_TABLES")
NO_BACKSLASHES = mysql("NO_BACKSLASH_ESCAPES")
BOTH = [POSTGRESQL, MYSQL]
X = "{{ .inputs.x }}"


def rendered(text: str, dialect: Dialect = POSTGRESQL) -> str:
    return parse(text, dialect).render(str, lambda number: f"<{number}>")


@pytest.mark.parametrize("dialect", BOTH)
@pytest.mark.parametrize(
    "text, expected",
    [
        (f"SELECT {X}", "SELECT <1>"),
        (f"SELECT {X}, {{{{.Inputs.y}}}}", "SELECT <1>, <2>"),
        (f"SELECT f({X},{X})", "SELECT f(<1>,<2>)"),
        (f"SELECT 1+{X}::int", "SELECT 1+<1>::int"),
        (f"SELECT '50%', 'it''s', \"a\"\"b\", {X}", "SELECT '50%', 'it''s', \"a\"\"b\", <1>"),
        (f"/* a */ SELECT {X} -- b\n", "/* a */ SELECT <1> -- b\n"),
        ("SELECT '{{1,2},{3,4}}'", "SELECT '{{1,2},{3,4}}'"),
        (f"SELECT '--', {X} /* ' */", "SELECT '--', <1> /* ' */"),
    ],
)
def test_a_placeholder_becomes_a_parameter(dialect: Dialect, text: str, expected: str) -> None:
    assert rendered(text, dialect) == expected


@pytest.mark.parametrize(
    "dialect, text",
    [
        (POSTGRESQL, r"SELECT '\', {}"),
        (POSTGRESQL, r"SELECT E'it\'s', {}"),
        (POSTGRESQL, "SELECT E'it''s'\n '\\'', {}"),
        (POSTGRESQL, "SELECT $a$ ' $b$ \" $a$, $$ ' $$, {}"),
        (POSTGRESQL, "SELECT a$b$ , {} , c$b$"),
        (POSTGRESQL, "/* /* */ ' */ SELECT {}"),
        (POSTGRESQL, "SELECT 5 #{} "),
        (MYSQL, r"SELECT 'it\'s', {}"),
        (MYSQL, r'SELECT "it\"s", {}'),
        (MYSQL, "SELECT `a``'b`, {}"),
        (MYSQL, "/* /* ' */ SELECT {}"),
        (MYSQL, "SELECT 5--{} "),
        (MYSQL, "SELECT 1 # '\n, {}"),
        (ANSI, r'SELECT "a\", {}'),
        (NO_BACKSLASHES, r"SELECT '\', {}"),
    ],
)
def test_each_dialect_has_its_own_quotes_and_comments(dialect: Dialect, text: str) -> None:
    assert rendered(text.replace("{}", X), dialect) == text.replace("{}", "<1>")


@pytest.mark.parametrize(
    "dialect, text, place",
    [
        *((dialect, "SELECT '{}'", "a string") for dialect in BOTH),
        *((dialect, "SELECT 'it''s {}'", "a string") for dialect in BOTH),
        *((dialect, "SELECT 1 /* {} */", "a comment") for dialect in BOTH),
        *((dialect, "SELECT 1 -- {}\n", "a comment") for dialect in BOTH),
        (POSTGRESQL, 'SELECT "{}"', "a quoted name"),
        (POSTGRESQL, r"SELECT E'\' {}'", "a string"),
        (POSTGRESQL, "SELECT E'a'\n'\\' {}'", "a string"),
        (POSTGRESQL, "SELECT $a$ $b$ {} $a$", "a string"),
        (POSTGRESQL, "SELECT 1 /* /* */ {} */", "a comment"),
        (MYSQL, 'SELECT "{}"', "a string"),
        (ANSI, 'SELECT "{}"', "a quoted name"),
        (MYSQL, r"SELECT '\' {}'", "a string"),
        (MYSQL, "SELECT `{}`", "a quoted name"),
        (MYSQL, "SELECT 1 # {}\n", "a comment"),
        (MYSQL, "SELECT 1 /*! + {} */", "a comment"),
    ],
)
def test_a_placeholder_within_quotes_or_a_comment_is_refused_by_name(dialect: Dialect, text: str, place: str) -> None:
    with pytest.raises(Refused, match="placeholder is a value of its own") as refused:
        parse(text.replace("{}", X), dialect)
    assert refused.value.message.startswith(f"template.sql.statement: {X}: stands in {place};")
    assert refused.value.code == "WRONG_PLACEHOLDER"


@pytest.mark.parametrize("dialect", BOTH)
@pytest.mark.parametrize("text", ["FROM orders_{}", "FROM {}_orders", "x.{}", "'a'{}", "{}'a'", "{}{}", "{}5", "N{}"])
def test_a_placeholder_is_no_part_of_a_name_or_text(dialect: Dialect, text: str) -> None:
    with pytest.raises(Refused, match=r"\{\{ \.inputs\.x \}\}: stands right beside"):
        parse(f"SELECT {text.replace('{}', X)}", dialect)


@pytest.mark.parametrize(
    "name", ["{{ .rawOutputDataPrefix }}", "{{ .inputs }}", "{{ x }}", "{{ .inputs.a.b }}", "{{}}"]
)
def test_other_placeholders_are_refused_by_name(name: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(f"SELECT {name}", POSTGRESQL)
    assert f"{name}: unknown; there are" in refused.value.message


def test_other_placeholders_are_refused_within_quotes_too() -> None:
    with pytest.raises(Refused, match=r"\{\{ \.rawOutputDataPrefix \}\}: stands in a string"):
        parse("COPY t TO '{{ .rawOutputDataPrefix }}/t.csv'", POSTGRESQL)


def test_the_key_of_the_task_is_a_placeholder() -> None:
    parts = parse("SELECT {{ .perRetryUniqueKey }}, {{ .inputs.x }}", POSTGRESQL).placeholders
    assert parts == [TaskKey(), Input("x")]


@pytest.mark.parametrize(
    "dialect, text",
    [
        *((dialect, text) for dialect in BOTH for text in ("SELECT 'a", "SELECT 1 /* a", 'SELECT "a', "SELECT {{ .x")),
        (POSTGRESQL, "SELECT $a$ $b$"),
        (POSTGRESQL, "SELECT 1 /* /* */"),
        (POSTGRESQL, r"SELECT E'a\'"),
        (MYSQL, r"SELECT 'a\'"),
        (MYSQL, "SELECT `a"),
    ],
)
def test_what_has_no_end_is_refused(dialect: Dialect, text: str) -> None:
    with pytest.raises(Refused, match=r"that starts at character \d+ has no end"):
        parse(text, dialect)


@pytest.mark.parametrize("text", [None, "", "  \n", ";", "-- nothing\n", "/* nothing */ ;"])
def test_a_statement_without_a_statement_is_refused(text: str | None) -> None:
    with pytest.raises(Refused) as refused:
        parse(text, POSTGRESQL)
    assert refused.value.code == "NO_STATEMENT"


@pytest.mark.parametrize("dialect, text", [(POSTGRESQL, "DELETE FROM t -- WHERE"), (MYSQL, "DELETE FROM t # WHERE")])
def test_a_comment_that_may_hide_joined_lines_is_refused(dialect: Dialect, text: str) -> None:
    with pytest.raises(Refused, match=r"flytekit joins lines"):
        parse(text, dialect)


CODE_IN_COMMENTS = [
    "SELECT /*! '*/ {} /* ' */ AS a",
    "SELECT /*!50000 '*/ {} /* ' */ AS a",
    "SELECT /*M! '*/ {} /* ' */ AS a",
    "SELECT /*M!100100 1 */ + {}",
    "SELECT {} /*! + 1 */",
    "SELECT /*+ SET_VAR(a = '*/ {} /* ') */ 1",
    "SELECT /*+ QB_NAME(`*/ {} /* `) */ 1",
]


@pytest.mark.parametrize("text", CODE_IN_COMMENTS)
def test_mysqls_comments_that_are_code_have_no_place_beside_placeholders(text: str) -> None:
    with pytest.raises(Refused, match=r"comment .*, which MySQL may run, in a statement with placeholders") as refused:
        parse(text.replace("{}", X), MYSQL)
    assert refused.value.code == "WRONG_PLACEHOLDER"
    assert parse(text.replace("{}", X), POSTGRESQL).placeholders or "`" in text


@pytest.mark.parametrize(
    "text",
    [
        "SELECT /*! STRAIGHT_JOIN */ 1",
        "SELECT '/*! a */', {}",
        "SELECT /* ! */ {}",
        "SELECT /*+ MAX_EXECUTION_TIME(10) */ {}",
    ],
)
def test_other_comments_of_mysql_are_as_they_are_written(text: str) -> None:
    assert rendered(text.replace("{}", X), MYSQL) == text.replace("{}", "<1>")


@pytest.mark.parametrize("text", ["{{", "'{{ .", "E'a'\n", "/*", "$a$", "''", "E'\n'\n", "1e", '"', "a" * 1000])
@pytest.mark.parametrize("dialect", BOTH)
def test_a_hostile_statement_takes_no_more_time_than_another(dialect: Dialect, text: str) -> None:
    started = time.process_time()
    with contextlib.suppress(Refused):
        parse("SELECT " + text * (200_000 // len(text)), dialect)
    assert time.process_time() - started < 3


def test_a_statement_that_is_too_long_is_refused() -> None:
    with pytest.raises(Refused, match="longer than 262,144 characters"):
        parse("SELECT '" + "x" * MAX_CHARACTERS + "'", POSTGRESQL)
