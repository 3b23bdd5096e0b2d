"""Inputs arrive at the server with their types and unchanged."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Database, interface
from outrigger_plugin import Refused

HOSTILE = [
    "it's",
    "\\",
    "\\'; DROP TABLE t; --",
    "%s %(x)s %%",
    "{{ .inputs.y }}",
    "$1",
    'a"b`c',
    "\x1a\r\n\t",
    "é😀",
    "",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_bound_and_never_part_of_the_statement(database: Database, text: str) -> None:
    assert database.values("SELECT {{ .inputs.x }} AS x, '100%' AS y", inputs={"x": text}) == [text, "100%"]


@pytest.mark.parametrize("value", [0, -1, 2**63 - 1, 1.5, -1e300, True, None])
def test_scalars_are_bound(database: Database, value: Any) -> None:
    null = "WHEN CAST({{ .inputs.x }} AS CHAR(9)) IS NULL THEN 'null'"
    query = f"SELECT CASE {null} WHEN {{{{ .inputs.x }}}} = {{{{ .inputs.x }}}} THEN 'same' END AS x"
    (found,) = database.values(query, inputs={"x": value})
    assert found == ("null" if value is None else "same")


def test_a_negative_number_after_a_minus_sign_is_no_comment(database: Database) -> None:
    assert database.values("SELECT 1 -{{ .inputs.x }} AS x", inputs={"x": -5}) == [6]


@pytest.mark.parametrize("sent", ["2026-03-01T12:00:00.5Z", "2026-03-01T14:00:00.500000000+02:00"])
def test_a_datetime_is_an_instant(database: Database, sent: str) -> None:
    declares = interface({"at": {"simple": "DATETIME"}}, o0={"simple": "BOOLEAN"})
    same = "TIMESTAMPTZ '2026-03-01 12:00:00.5+00'" if database.is_postgresql else "TIMESTAMP '2026-03-01 12:00:00.5'"
    answer = database.run(f"SELECT {{{{ .inputs.at }}}} = {same}", declares, inputs={"at": sent})
    assert answer.outputs == {"o0": True}


@pytest.mark.parametrize("sent, seconds", [("PT1H30M", 5400), ("-PT0.5S", -0.5), ("P1DT1S", 86401), ("PT0S", 0)])
def test_a_duration_is_an_interval(database: Database, sent: str, seconds: float) -> None:
    declares = interface({"span": {"simple": "DURATION"}}, o0={"simple": "FLOAT"})
    if database.is_postgresql:
        query = "SELECT extract(epoch FROM {{ .inputs.span }})"
    else:
        query = "SELECT TIME_TO_SEC({{ .inputs.span }}) + 0.0"
    assert database.run(query, declares, inputs={"span": sent}).outputs == {"o0": seconds}


def test_bytes_are_bytes(database: Database) -> None:
    declares = interface({"x": {"simple": "BINARY"}}, o0={"simple": "INTEGER"})
    answer = database.run("SELECT length({{ .inputs.x }})", declares, inputs={"x": "AP8n"})
    assert answer.outputs == {"o0": 3}


def test_an_object_is_json(database: Database) -> None:
    inputs = {"x": {"a": {"b": "it's"}}}
    query = "SELECT {{ .inputs.x }} -> 'a' ->> 'b' AS x"
    if not database.is_postgresql:
        query = "SELECT JSON_VALUE({{ .inputs.x }}, '$.a.b') AS x"
    assert database.values(query, inputs=inputs) == ["it's"]


@pytest.mark.parametrize("ids, expected", [([1, 2], True), ([], False)])
def test_a_list_can_be_searched(database: Database, ids: list[int], expected: bool) -> None:
    query = "SELECT 2 = ANY({{ .inputs.ids }}::int[])"
    if not database.is_postgresql:
        query = "SELECT JSON_CONTAINS({{ .inputs.ids }}, 2)"
    answer = database.run(query, interface(o0={"simple": "BOOLEAN"}), inputs={"ids": ids})
    assert answer.outputs == {"o0": expected}


def test_a_list_of_datetimes_is_an_array(postgresql: Database) -> None:
    declares = interface({"ats": {"collection_type": {"simple": "DATETIME"}}}, o0={"simple": "STRING"})
    answer = postgresql.run("SELECT pg_typeof({{ .inputs.ats }})", declares, inputs={"ats": ["2026-03-01T12:00:00Z"]})
    assert answer.outputs == {"o0": "timestamp with time zone[]"}


def test_the_key_of_the_task_is_a_value(database: Database) -> None:
    assert database.values("SELECT {{ .perRetryUniqueKey }} AS k", key="c0ffee") == ["c0ffee"]


def test_an_unknown_input_is_refused_by_name(database: Database) -> None:
    with pytest.raises(Refused) as refused:
        database.run("SELECT {{ .inputs.y }}", inputs={"x": 1, "a": 2})
    assert refused.value.message == "{{ .inputs.y }}: no such input; the task has a, x"
    assert refused.value.code == "UNKNOWN_INPUT"


@pytest.mark.parametrize("kind, sent", [("DATETIME", "soon"), ("DURATION", "P1M"), ("BINARY", "?")])
def test_an_input_of_another_form_is_refused_by_name(database: Database, kind: str, sent: str) -> None:
    with pytest.raises(Refused, match=r"^inputs\.x: no \w+: "):
        database.run("SELECT {{ .inputs.x }}", interface({"x": {"simple": kind}}), inputs={"x": sent})


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_text_that_postgresql_cannot_hold_is_refused(postgresql: Database, text: str) -> None:
    with pytest.raises(Refused) as refused:
        postgresql.run("SELECT {{ .inputs.x }}", inputs={"x": text})
    assert refused.value.code == "WRONG_VALUE"


@pytest.mark.parametrize("mode", ["NO_BACKSLASH_ESCAPES", "ANSI_QUOTES", "ANSI", "ORACLE"])
@pytest.mark.parametrize("text", HOSTILE)
def test_modes_of_the_server_make_no_difference(mariadb: Database, mode: str, text: str) -> None:
    (before,) = mariadb.admin("SELECT @@global.sql_mode")
    mariadb.admin(f"SET GLOBAL sql_mode = '{mode}'")
    try:
        assert mariadb.values("SELECT {{ .inputs.x }} AS x", inputs={"x": text}) == [text]
    finally:
        mariadb.admin(f"SET GLOBAL sql_mode = '{before[0]}'")
