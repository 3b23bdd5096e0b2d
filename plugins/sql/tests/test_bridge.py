"""``outrigger serve`` with the real bridge, called over REST with what flytekit makes of a task."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import CANARY, ROOT, TIMEOUT, Database, eventually, interface

from cells import MAX_DEPTH

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT.parent.parent / "target"))
BRIDGE = TARGET / "debug" / "bridge"
# As flytekit 1.16 serializes outputs={"results": list[dict]}.
MSGPACK = {"annotations": {"cache-key-metadata": {"serialization-format": "msgpack"}}}
RESULTS = {"collection_type": {"simple": "STRUCT", "annotation": MSGPACK}}
MAP = {"map_value_type": {"simple": "STRUCT"}}
OPTIONAL = {"variants": [{"simple": "INTEGER", "structure": {"tag": "int"}}, {"simple": "NONE"}]}
PATH = "/plugins/v1/sql/0"


def free_port() -> int:
    # Below the ephemeral ports: the system could assign one of those before a program listens on it.
    for port in random.sample(range(12000, 32000), 100):
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


@pytest.fixture(scope="module")
def served(postgresql: Database, mariadb: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Call]:
    if not BRIDGE.exists():
        reason = f"{BRIDGE} is not built"
        pytest.fail(reason) if "CI" in os.environ else pytest.skip(reason)
    files = tmp_path_factory.mktemp("served")
    (files / "connections.toml").write_text(postgresql.toml("postgresql") + mariadb.toml("mariadb"))
    port = free_port()
    command = [sys.executable, "-m", "outrigger_plugin", "serve", "plugin:app", "--insecure-no-auth"]
    command += ["--bridge", str(BRIDGE), "--port", str(port), "--admin-port", str(free_port())]
    command += ["--", "--request-timeout", "3s"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("BRIDGE_", "PLUGIN_"))}
    environment["SQL_CONNECTIONS_FILE"] = str(files / "connections.toml")
    with open(files / "log", "w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    try:
        assert "serving sql" in process.stdout.readline(), (files / "log").read_text()
        yield Call(port)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(TIMEOUT)
        process.stdout.close()
    assert CANARY[:6] not in (files / "log").read_text()


@dataclasses.dataclass
class Call:
    """Calls the bridge."""

    port: int

    def __call__(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        with contextlib.closing(connection):
            connection.request("POST", PATH, json.dumps(body), {"idempotency-key": "k"})
            answer = connection.getresponse()
            return answer.status, json.load(answer)


def request(statement: str, declares: dict[str, Any], connection: str, inputs: dict[str, Any]) -> dict[str, Any]:
    template = {
        "id": {"resource_type": "TASK", "project": "p", "domain": "d", "name": "orders", "version": "v"},
        "type": "sql",
        "metadata": {"runtime": {"type": "FLYTE_SDK", "version": "1.16.31", "flavor": "python"}, "retries": {}},
        "interface": declares,
        "custom": {"connection": connection},
        "sql": {"statement": statement},
    }
    literals = {name: {"scalar": {"primitive": value}} for name, value in inputs.items()}
    return {"template": template, "inputs": {"literals": literals}}


@pytest.mark.parametrize("connection", ["postgresql", "mariadb"])
def test_outputs_have_the_types_that_the_task_declares(served: Call, connection: str) -> None:
    declares = interface(
        {"since": {"simple": "DATETIME"}, "name": {"simple": "STRING"}},
        n={"simple": "INTEGER"},
        share={"simple": "FLOAT"},
        at={"simple": "DATETIME"},
        name={"simple": "STRING"},
        open={"simple": "BOOLEAN"},
        none={"union_type": OPTIONAL},
    )
    since = "{{ .inputs.since }}" if connection == "postgresql" else "CAST({{ .inputs.since }} AS DATETIME)"
    values = f"SELECT 7 AS n, 0.5 AS share, {since} AS at, {{{{ .inputs.name }}}} AS name"
    statement = f"{values}, 1 = 1 AS open, NULL AS none"
    inputs = {"since": {"datetime": "2026-03-01T12:00:00Z"}, "name": {"string_value": "it's"}}
    status, answer = served(request(statement, declares, connection, inputs))
    assert (status, answer["phase"], answer["message"]) == (200, "SUCCEEDED", "1 row")
    found = answer["outputs"]["literals"]
    scalars = {name: it["scalar"].get("primitive") for name, it in found.items()}
    none = scalars.pop("none")
    assert (none is None and "union" in found["none"]["scalar"]) or "none_type" in found["none"]["scalar"]
    assert scalars == {
        "n": {"integer": "7"},
        "share": {"float_value": 0.5},
        "at": {"datetime": "2026-03-01T12:00:00Z"},
        "name": {"string_value": "it's"},
        "open": {"boolean": True},
    }


@pytest.mark.parametrize("connection", ["postgresql", "mariadb"])
def test_rows_are_a_collection_of_structs(served: Call, connection: str) -> None:
    statement = "SELECT 1 AS id, 'a' AS name UNION ALL SELECT 2, NULL ORDER BY id"
    _, answer = served(request(statement, interface(results=RESULTS), connection, {}))
    rows = answer["outputs"]["literals"]["results"]["collection"]["literals"]
    assert [row["scalar"]["generic"] for row in rows] == [{"id": 1, "name": "a"}, {"id": 2, "name": None}]


@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_a_value_as_deep_as_allowed_reaches_flyte(served: Call, opening: str, closing: str) -> None:
    times = MAX_DEPTH // len(closing)
    query = f"SELECT (repeat('{opening}', {times}) || 'null' || repeat('{closing}', {times}))::jsonb AS a"
    kinds = [RESULTS, {"simple": "STRUCT"}, *([MAP] if opening == '{"a":' else [])]
    for declares in (interface(a=kind) for kind in kinds):
        status, answer = served(request(query, declares, "postgresql", {}))
        assert (status, answer.get("phase")) == (200, "SUCCEEDED"), answer


def test_a_refusal_has_the_servers_words(served: Call) -> None:
    status, answer = served(request("SELECT * FROM missing", interface(), "postgresql", {}))
    assert (status, answer["error_code"]) == (422, "42P01")
    assert answer["message"] == 'relation "missing" does not exist'


def test_the_short_form_of_a_request_needs_no_interface(served: Call) -> None:
    custom = {"connection": "mariadb"}
    _, answer = served({"sql": "SELECT {{ .inputs.n }} + 1 AS m", "inputs": {"n": 2}, "custom": custom})
    (row,) = answer["outputs"]["literals"]["results"]["collection"]["literals"]
    assert row["scalar"]["generic"] == {"m": 3}


def test_a_statement_ends_before_the_bridge_gives_up(served: Call, database: Database) -> None:
    name = "postgresql" if database.is_postgresql else "mariadb"
    status, answer = served(request(database.sleep, interface(), name, {}))
    assert (status, answer["phase"], answer["error_code"]) == (200, "FAILED", "STATEMENT_TIMEOUT")
    eventually(lambda: database.running() == [], "the statement has ended")
