"""What a statement returns, as what the task declares."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from conftest import Database, eventually, interface, simple
from outrigger_plugin import Refused
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

from mysql import read_cell, translated
from outputs import MAX_BYTES, bounded


class Version:
    """A type that a driver might have one day."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


STRUCT = {"simple": "STRUCT"}
OPTIONAL_INTEGER = {"union_type": {"variants": [{"simple": "INTEGER"}, {"simple": "NONE"}]}}
AT = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


def of(kind: dict[str, Any]) -> dict[str, Any]:
    return {"collection_type": kind}


@pytest.mark.parametrize(
    "kind, query, expected",
    [
        ("INTEGER", "SELECT 42", 42),
        ("INTEGER", "SELECT CAST(42 AS DECIMAL(20, 0))", 42),
        ("INTEGER", "SELECT 9223372036854775807", 2**63 - 1),
        ("FLOAT", "SELECT CAST(1.5 AS DECIMAL(5, 2))", 1.5),
        ("FLOAT", "SELECT 3", 3.0),
        ("STRING", "SELECT 'text'", "text"),
        ("STRING", "SELECT CAST(12345678901234567890.10 AS DECIMAL(30, 2))", "12345678901234567890.10"),
        ("STRING", "SELECT DATE '2026-03-01'", "2026-03-01"),
        ("BOOLEAN", "SELECT 1 = 1", True),
        ("BOOLEAN", "SELECT 0", False),
        ("DATETIME", "SELECT TIMESTAMP '2026-03-01 12:00:00'", AT),
        ("DATETIME", "SELECT DATE '2026-03-01'", AT.replace(hour=0)),
        ("DURATION", "SELECT CAST('01:30:00' AS TIME)", timedelta(hours=1, minutes=30)),
    ],
)
def test_one_value_is_a_scalar_of_the_declared_type(database: Database, kind: str, query: str, expected: Any) -> None:
    if kind == "DURATION" and database.is_postgresql:
        query = "SELECT INTERVAL '1 hour 30 minutes'"
    found = database.run(query, simple(o0=kind)).outputs["o0"]
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    "kind, query, message",
    [
        ({"simple": "INTEGER"}, "SELECT 1.5", "output o0: is 1.5, but the task declares int"),
        ({"simple": "INTEGER"}, "SELECT 'x'", "output o0: is x, but the task declares int"),
        ({"simple": "INTEGER"}, "SELECT 9223372036854775808", "output o0: is 9223372036854775808, beyond the 64 bits"),
        ({"simple": "INTEGER"}, "SELECT NULL", "output o0: is NULL, but the task declares int: declare Optional[int]"),
        ({"simple": "BOOLEAN"}, "SELECT 2", "output o0: is 2, but the task declares bool"),
        ({"simple": "DATETIME"}, "SELECT 'soon'", "output o0: is soon, but the task declares datetime"),
        ({"simple": "INTEGER"}, "SELECT 1 AS a, 2 AS b", "the statement returns the columns a, b, but"),
        ({"simple": "INTEGER"}, "SELECT 1 WHERE 1 = 0", "the statement returns 0 rows, but"),
        ({"simple": "INTEGER"}, "SELECT 1 UNION ALL SELECT 2", "the statement returns 2 rows, but"),
        ({"blob": {}}, "SELECT 'x'", "output o0: is x, but the task declares a file, a table or a union"),
        (of(STRUCT), "SELECT 1 AS a, 2 AS a", "two columns are called 'a': give one another name with AS"),
        (of(STRUCT), "SELECT 9007199254740993 AS a", "column a: 9007199254740993 would be rounded"),
    ],
)
def test_another_result_is_refused_with_the_name(database: Database, kind: Any, query: str, message: str) -> None:
    if not database.is_postgresql and "WHERE 1 = 0" in query:
        query = "SELECT 1 FROM DUAL WHERE 1 = 0"
    with pytest.raises(Refused) as refused:
        database.run(query, interface(o0=kind))
    assert refused.value.message.startswith(message)
    assert refused.value.message.endswith("; the statement was rolled back")
    assert refused.value.code == "WRONG_RESULT"


@pytest.mark.parametrize("query", ["SELECT NULL", "SELECT 1 FROM (SELECT 1 AS n) AS t WHERE n = 0"])
def test_an_optional_output_may_be_missing(database: Database, query: str) -> None:
    assert database.run(query, interface(o0=OPTIONAL_INTEGER)).outputs == {"o0": None}


def test_rows_are_a_list_of_objects(database: Database) -> None:
    query = "SELECT 1 AS id, 'a' AS name UNION ALL SELECT 2, NULL ORDER BY id"
    expected = [{"id": 1, "name": "a"}, {"id": 2, "name": None}]
    assert database.run(query, interface(results=of(STRUCT))).outputs == {"results": expected}


def test_no_rows_are_an_empty_list(database: Database) -> None:
    query = "SELECT 1 AS a FROM (SELECT 1 AS n) AS t WHERE n = 0"
    assert database.run(query, interface(results=of(STRUCT))).outputs == {"results": []}


def test_a_column_is_a_list_of_scalars(database: Database) -> None:
    query = "SELECT 1 AS id UNION ALL SELECT 2 ORDER BY id"
    assert database.run(query, interface(ids=of({"simple": "INTEGER"}))).outputs == {"ids": [1, 2]}


@pytest.mark.parametrize("kind", [STRUCT, {"map_value_type": {"simple": "INTEGER"}}])
def test_a_row_is_an_object(database: Database, kind: dict[str, Any]) -> None:
    assert database.run("SELECT 1 AS a, 2 AS b", interface(o0=kind)).outputs == {"o0": {"a": 1, "b": 2}}


def test_several_outputs_are_columns_of_one_row(database: Database) -> None:
    declares = simple(latest="DATETIME", n="INTEGER")
    answer = database.run("SELECT 7 AS n, TIMESTAMP '2026-03-01 12:00:00' AS latest, 1 AS more", declares)
    assert answer.outputs == {"n": 7, "latest": AT}
    with pytest.raises(Refused, match="output n: the statement returns no such column, but latest"):
        database.run("SELECT 1 AS latest", simple(n="INTEGER", latest="INTEGER"))


def test_a_statement_without_rows_counts_those_it_affected(database: Database) -> None:
    database.admin("CREATE TABLE counted (n INT)")
    database.admin(f"GRANT ALL ON counted TO flyte{'' if database.is_postgresql else '@localhost'}")
    insert = "INSERT INTO counted VALUES (1), (2)"
    assert database.run(insert, simple(n="INTEGER")).outputs == {"n": 2}
    assert database.run("UPDATE counted SET n = n", simple(n="INTEGER")).outputs == {"n": 2}
    assert database.run(insert).outputs == {"rows_affected": 2}
    assert database.run(insert, interface()).outputs == {}
    with pytest.raises(Refused, match="returns no rows, but the task declares output n as str; only an int takes"):
        database.run(insert, simple(n="STRING"))
    assert database.admin("SELECT count(*) FROM counted") == [(6,)]


FORMS_OF_POSTGRESQL = [
    ("12345678901234567890.10::numeric", "12345678901234567890.10"),
    ("9007199254740991", 9007199254740991),
    ("1.5::float8", 1.5),
    ("'NaN'::float8", "NaN"),
    ("'-Infinity'::float8", "-Infinity"),
    ("'NaN'::numeric", "NaN"),
    ("true", True),
    ("NULL", None),
    ("DATE '2026-03-01'", "2026-03-01"),
    ("TIME '12:30'", "12:30:00"),
    ("TIMESTAMP '2026-03-01 12:00'", "2026-03-01T12:00:00"),
    ("TIMESTAMPTZ '2026-03-01 14:00+02'", "2026-03-01T12:00:00+00:00"),
    ("INTERVAL '1 day 1 second'", 86401.0),
    ("'6ECD8C99-4036-403D-BF84-CF8400F67836'::uuid", "6ecd8c99-4036-403d-bf84-cf8400f67836"),
    ("""'{"a": [1, null, "x"]}'::jsonb""", {"a": [1, None, "x"]}),
    (r"'\x00ff'::bytea", "AP8="),
    ("ARRAY[1, NULL, 3]", [1, None, 3]),
    ("ARRAY[DATE '2026-03-01']", ["2026-03-01"]),
    ("'10.0.0.1'::inet", "10.0.0.1"),
    ("int4range(1, 5)", "[1, 5)"),
    ("'1.50'::money", "$1.50"),
    ("row(1, 'a')", ["1", "a"]),
]
FORMS_OF_MARIADB = [
    ("CAST('12345678901234567890.10' AS DECIMAL(30, 2))", "12345678901234567890.10"),
    ("1.5e0", 1.5),
    ("TRUE", 1),
    ("NULL", None),
    ("DATE '2026-03-01'", "2026-03-01"),
    ("CAST('-01:30:00' AS TIME)", -5400.0),
    ("TIMESTAMP '2026-03-01 12:00:00'", "2026-03-01T12:00:00"),
    ("CAST('0000-00-00' AS DATE)", "0000-00-00"),
    ("X'00FF'", "AP8="),
    ("b'1'", "AQ=="),
    ("JSON_OBJECT('a', 1)", '{"a": 1}'),
    ("'é😀'", "é😀"),
]


@pytest.mark.parametrize("expression, expected", FORMS_OF_POSTGRESQL)
def test_each_type_of_postgresql_has_a_form_in_json(postgresql: Database, expression: str, expected: Any) -> None:
    (found,) = postgresql.values(f"SELECT {expression} AS x")
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize("expression, expected", FORMS_OF_MARIADB)
def test_each_type_of_mariadb_has_a_form_in_json(mariadb: Database, expression: str, expected: Any) -> None:
    (found,) = mariadb.values(f"SELECT {expression} AS x")
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize("expression", ["'infinity'::timestamptz", "DATE '0044-03-15 BC'"])
def test_times_beyond_pythons_are_refused(postgresql: Database, expression: str) -> None:
    with pytest.raises(Refused) as refused:
        postgresql.run(f"SELECT {expression} AS x")
    assert refused.value.code == "WRONG_VALUE"


@pytest.mark.parametrize("settings, custom", [({"max_rows": 5}, {}), ({}, {"max_rows": 5.0})])
def test_as_many_rows_as_allowed_are_returned_and_no_more(database: Database, settings: Any, custom: Any) -> None:
    six = " UNION ALL ".join(f"SELECT {n} AS n" for n in range(6))
    limited = f"SELECT n FROM ({six}) AS t WHERE n > 0"
    assert len(database.run(limited, settings=settings, custom=custom).outputs["results"]) == 5
    with pytest.raises(Refused, match=r"^the result has more than 5 rows: write it to a table") as refused:
        database.run(six, settings=settings, custom=custom)
    assert refused.value.code == "RESULT_TOO_LARGE"


def test_a_result_without_end_is_refused_as_soon_as_it_is_too_large(database: Database) -> None:
    with pytest.raises(Refused, match="more than 1,000 rows"):
        database.run(database.many_rows)
    with pytest.raises(Refused, match="more than 1 MiB"):
        database.run(database.many_rows, settings={"max_rows": 1_000_000})
    assert database.running() == []


def test_a_value_that_is_too_large_is_refused(database: Database) -> None:
    query = "SELECT repeat('é', 600000)"
    with pytest.raises(Refused, match="more than 1 MiB") as refused:
        database.run(query, simple(o0="STRING"))
    assert refused.value.code == "RESULT_TOO_LARGE"


DIGITS = Decimal("9" * 1000)


@pytest.mark.parametrize(
    "value, size",
    [
        (DIGITS, 1000),
        (Range(DIGITS, DIGITS), 2000),
        (Multirange([Range(DIGITS, DIGITS)]), 2000),
        ("x" * 1000, 1000),
        ([DIGITS, "x"], 1000),
        ({"x" * 1000: None}, 1000),
        (Version("9" * 1000), 1000),
        ("", 8),
        (None, 8),
        ([[], [], {}, ""], 32),
    ],
)
def test_no_more_is_read_than_the_limit_whatever_the_values_are(value: Any, size: int) -> None:
    read = 0

    def rows() -> Iterator[tuple[Any, ...]]:
        nonlocal read
        while True:
            read += 1
            yield (value,)

    with pytest.raises(Refused, match="more than 1 MiB"):
        bounded(rows(), 1_000_000)
    assert read <= MAX_BYTES // size + 1


@pytest.mark.parametrize("expression", ["{}", "numrange(0, {})", "nummultirange(numrange(0, {}))", "ARRAY[{}]"])
@pytest.mark.parametrize("declares", [None, interface(), interface(results=of(STRUCT))])
def test_long_numbers_are_refused_as_soon_as_they_are_too_many(
    postgresql: Database, expression: str, declares: Any
) -> None:
    # The later rows are no numbers: they are not asked for.
    number = expression.format("repeat(CASE WHEN n < 40 THEN '9' ELSE 'x' END, 131000)::numeric")
    query = f"SELECT {number} AS n"
    with pytest.raises(Refused, match="more than 1 MiB") as refused:
        postgresql.run(f"{query} FROM generate_series(1, 900) AS n", declares)
    assert refused.value.code == "RESULT_TOO_LARGE"


def test_names_of_columns_count_in_each_row(database: Database) -> None:
    columns = ", ".join(f"1 AS {'x' * 50}{n}" for n in range(100))
    rows = "generate_series(1, 1000)" if database.is_postgresql else "seq_1_to_1000"
    with pytest.raises(Refused, match="more than 1 MiB"):
        database.run(f"SELECT {columns} FROM {rows}")
    assert len(database.run(f"SELECT {columns} FROM {rows} LIMIT 100").outputs["results"]) == 100


UNREADABLE = [
    ("""('{"a":' || repeat('1', 5000) || '}')::jsonb""", "a value of the result cannot be read: Exceeds the limit"),
    ("(repeat('[', 3000) || repeat(']', 3000))::jsonb", "a value of the result is nested too deeply"),
    ("(repeat('[', 300) || repeat(']', 300))::jsonb", "column x: is nested deeper than 25 levels"),
    ("(repeat('[', 26) || repeat(']', 26))::jsonb", "column x: is nested deeper than 25 levels"),
]


@pytest.mark.parametrize("expression, message", UNREADABLE)
def test_a_value_that_cannot_be_read_is_refused_and_not_tried_again(
    postgresql: Database, expression: str, message: str
) -> None:
    with pytest.raises(Refused) as refused:
        postgresql.run(f"SELECT {expression} AS x FROM generate_series(1, 10)")
    assert refused.value.message.startswith(message)
    assert refused.value.message.endswith("cast it to text; the statement was rolled back")
    assert refused.value.code == "WRONG_RESULT"
    assert postgresql.values(f"SELECT length(({expression})::text) AS x")[0] > 50


def test_a_text_of_nested_values_is_refused_if_it_is_too_deep(postgresql: Database) -> None:
    query = "SELECT (repeat('[', {0}) || repeat(']', {0}))::jsonb"
    assert postgresql.run(query.format(100), simple(o0="STRING")).outputs["o0"] == "[" * 100 + "]" * 100
    for depth in range(200, 1200, 50):
        try:
            postgresql.run(query.format(depth), simple(o0="STRING"))
        except Refused as refused:
            assert refused.code == "WRONG_RESULT"


# MariaDB's JSON is text, MySQL's is read.
@pytest.mark.parametrize("text", ['{"a": ' + "1" * 5000 + "}", "[" * 3000 + "]" * 3000, "{"])
def test_json_of_mysql_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(Refused, match=r"a value of the result .* cast it to text") as refused, translated():
        read_cell(text, is_json=True)
    assert refused.value.code == "WRONG_RESULT"


def test_without_another_connection_a_result_that_is_too_large_is_not_read_to_its_end(mariadb: Database) -> None:
    account = "ALTER USER flyte@localhost WITH MAX_USER_CONNECTIONS"
    mariadb.admin(f"{account} 1")
    try:
        started = time.monotonic()
        with pytest.raises(Refused, match="more than 1,000 rows"):
            mariadb.run(mariadb.many_rows)
        assert time.monotonic() - started < 5
        eventually(lambda: mariadb.running() == [], "the statement has ended")
    finally:
        mariadb.admin(f"{account} 0")


def test_a_statement_that_fails_needs_no_second_connection(mariadb: Database) -> None:
    def connections() -> int:
        ((_, count),) = mariadb.admin("SHOW GLOBAL STATUS LIKE 'Connections'")
        return int(count)

    before = connections()
    with pytest.raises(Refused):
        mariadb.run("SELECT * FROM missing")
    assert connections() - before == 2, "the statement's, and the one that counts"


def test_a_change_whose_result_is_too_large_is_rolled_back(database: Database) -> None:
    owner = f"flyte{'' if database.is_postgresql else '@localhost'}"
    database.admin("CREATE TABLE returned (n INT)")
    database.admin(f"GRANT ALL ON returned TO {owner}")
    insert = "INSERT INTO returned VALUES (1), (2), (3) RETURNING n"
    with pytest.raises(Refused, match="the statement was rolled back"):
        database.run(insert, settings={"max_rows": 2})
    assert database.admin("SELECT count(*) FROM returned") == [(0,)]
    assert len(database.run(insert).outputs["results"]) == 3
    assert database.admin("SELECT count(*) FROM returned") == [(3,)]


def test_a_procedure_with_several_results_is_refused(mariadb: Database) -> None:
    mariadb.admin("CREATE PROCEDURE two() BEGIN SELECT 1 AS n; SELECT 2 AS n; END")
    mariadb.admin("CREATE PROCEDURE one() BEGIN SELECT 1 AS n; END")
    mariadb.admin("CREATE PROCEDURE failing() BEGIN SELECT 1 AS n; SELECT * FROM missing; END")
    assert mariadb.values("CALL one()") == [1]
    with pytest.raises(Refused, match="returns several results"):
        mariadb.run("CALL two()")
    with pytest.raises(Refused) as refused:
        mariadb.run("CALL failing()")
    assert refused.value.code == "42S02"
