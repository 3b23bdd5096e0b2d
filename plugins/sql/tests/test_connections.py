"""The operator's file of connections, and what a task may choose of it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Any

import pytest
from conftest import ROOT, task
from outrigger_plugin import Refused, Unavailable

import connections
from connections import Misconfigured
from execution import Sql, times

MAIN = """
[connections.main]
driver = "postgresql"
host = "db.example.com"
user = "flyte"
"""


def test_a_connection_has_defaults() -> None:
    (found,) = connections.read(MAIN).values()
    expected = ("main", "postgresql", "db.example.com", 5432, "verify", False, 1000, 0)
    assert expected == (
        found.name,
        found.driver,
        found.host,
        found.port,
        found.tls,
        found.read_only,
        found.max_rows,
        found.timeout,
    )


def test_the_ports_are_those_of_the_drivers() -> None:
    assert connections.read(MAIN.replace("postgresql", "mysql"))["main"].port == 3306


def test_a_socket_needs_no_tls() -> None:
    socket = MAIN.replace('host = "db.example.com"', 'socket = "/run/postgresql"')
    assert connections.read(socket)["main"].tls == "off"


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "connections: expected a table for each"),
        ("[connections", "no TOML"),
        ("connection = 1", "the file: unknown key 'connection'; there are connections"),
        ("[connections]\nmain = 1", "connections.main: expected a table"),
        (MAIN + "password = 'x'", "connections.main: unknown key 'password'; there are ca-file, "),
        (MAIN.replace("postgresql", "oracle"), "connections.main.driver: expected postgresql or mysql, not 'oracle'"),
        (MAIN.replace('user = "flyte"', ""), "connections.main.user: missing"),
        (MAIN.replace('host = "db.example.com"', ""), "connections.main: expected either host or socket"),
        (MAIN + "socket = '/run'", "connections.main: expected either host or socket"),
        (MAIN + "port = '5432'", "connections.main.port: expected int, not str"),
        (MAIN + "read-only = 1", "connections.main.read-only: expected bool, not int"),
        (MAIN + "max-rows = 0", "connections.main.max-rows: expected 1 or more, not 0"),
        (MAIN + "tls = 'prefer'", "connections.main.tls: expected verify or off, not 'prefer'"),
        (MAIN + "password-env = 'MISSING'", "connections.main.password-env: MISSING is not set"),
        (MAIN + "password-file = '/none'", "connections.main.password-file: cannot be read"),
        (MAIN + "password-file = '/none'\npassword-env = 'X'", "either password-file or password-env"),
    ],
)
def test_a_wrong_setting_is_named(text: str, message: str) -> None:
    with pytest.raises(Misconfigured) as wrong:
        connections.read(text)
    assert message in str(wrong.value)


@pytest.mark.parametrize("path, message", [(None, "not set"), ("/none", "cannot be read")])
def test_the_file_must_exist(path: str | None, message: str) -> None:
    with pytest.raises(Misconfigured, match=f"^SQL_CONNECTIONS_FILE: .*{message}"):
        connections.from_environment({} if path is None else {"SQL_CONNECTIONS_FILE": path})


def test_a_wrong_file_ends_the_program_with_one_line(tmp_path: Any) -> None:
    file = tmp_path / "connections.toml"
    file.write_text("[connections")
    environment = {**os.environ, "SQL_CONNECTIONS_FILE": str(file)}
    command = [sys.executable, "-c", "import plugin"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.startswith("SQL_CONNECTIONS_FILE: no TOML: ")
    assert ended.stderr.count("\n") == 1


def test_a_password_may_be_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "canary")
    found = connections.read(MAIN + "password-env = 'SHOP_PASSWORD'")["main"]
    assert found.read_password() == "canary"
    assert "canary" not in repr(found)


@pytest.mark.parametrize(
    "custom, message",
    [
        ({}, "custom.connection: missing; there are main, other"),
        ({"connection": "prod"}, "custom.connection: no connection 'prod'; there are main, other"),
        ({"connection": {"host": "evil.example.com"}}, "custom.connection: no connection {'host': "),
        ({"host": "evil.example.com"}, "custom.host: unknown; there are connection and max_rows"),
        *(
            ({"connection": "main", "max_rows": asked}, "custom.max_rows: expected 1 to 1000 for connection 'main'")
            for asked in (0, 1001, "5", True, None.__class__, float("nan"))
        ),
    ],
)
def test_a_task_chooses_among_what_the_operator_allows(custom: dict[str, Any], message: str) -> None:
    plugin = Sql(connections.read(MAIN + MAIN.replace("main", "other")))
    with pytest.raises(Refused) as refused:
        asyncio.run(plugin.execute(task("SELECT 1", custom=custom)))
    assert refused.value.message.startswith(message)
    assert refused.value.code == "WRONG_SETTING"


@pytest.mark.parametrize(
    "left, timeout, expected",
    [(10, 0, (8, 1)), (30, 0, (27, 1.5)), (30, 5, (5, 1.5)), (1, 5, (0.8, 0.1)), (600, 0, (597, 1.5))],
)
def test_a_part_of_the_callers_time_is_for_the_answer(left: float, timeout: int, expected: Any) -> None:
    assert times(left, timeout) == pytest.approx(expected)


def test_without_time_nothing_is_run() -> None:
    with pytest.raises(Unavailable, match="no time left"):
        asyncio.run(Sql(connections.read(MAIN)).execute(task("SELECT 1", seconds=-1)))
