"""The plugin on a real socket, as the bridge calls it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
<%- if plugin.mode == "async" %>
from urllib.parse import quote
<%- endif %>

import pytest
import uvicorn

import plugin

ROOT = "/plugins/v1"
PATH = "{}/{}/{}".format(ROOT, *next(iter(plugin.TASK_TYPES.items())))
# The method of requests with a task.
START = "<% if plugin.mode == "async" %>PUT<% else %>POST<% endif %>"
TASK = {"inputs": {"text": "hi"}}
PATIENCE = 10

Call = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def path() -> Iterator[Path]:
    """The path of a socket, which has to be short."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory, "plugin.sock")


@pytest.fixture
def call(path: Path) -> Iterator[Call]:
    """Sends a request to the plugin and returns the status and the body of the answer."""
    server = uvicorn.Server(uvicorn.Config(plugin.app, log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [plugin.listening(path)]})
    thread.start()
    yield lambda *request, **more: send(path, *request, **more)
    server.should_exit = True
    thread.join()


def connected(path: Path) -> http.client.HTTPConnection:
    """A connection to a server that may be about to start."""
    connection = http.client.HTTPConnection("plugin")
    until = time.monotonic() + PATIENCE
    while True:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(PATIENCE)
        try:
            connection.sock.connect(str(path))
            return connection
        except OSError:
            connection.sock.close()
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


def send(path: Path, method: str, target: str, body: Any = "", key: str = "k") -> tuple[int, dict[str, Any]]:
    connection = connected(path)
    headers = {"idempotency-key": key} if key else {}
    connection.request(method, target, body if isinstance(body, str) else json.dumps(body), headers)
    answer = connection.getresponse()
    status, text = answer.status, answer.read()
    connection.close()
    return status, json.loads(text)
<%- if plugin.mode == "async" %>


def about(job: Any) -> str:
    return f"{PATH}?job_id={quote(json.dumps(job))}"


def created(call: Call, key: str) -> Any:
    status, answer = call(START, PATH, TASK, key)
    assert status == 200
    return answer["job_id"]


def test_a_job_runs_and_succeeds(call: Call) -> None:
    job = created(call, "one")
    assert call("GET", about(job))[1]["phase"] == "RUNNING"
    plugin.RUNS["one"] = ("hi", 0)
    answer = call("GET", about(job))[1]
    assert (answer["phase"], answer["outputs"]) == ("SUCCEEDED", {"o0": "HI"})


def test_a_repeated_create_is_the_same_job(call: Call) -> None:
    assert created(call, "a") == created(call, "a") != created(call, "b")


def test_a_job_id_may_be_in_the_body(call: Call) -> None:
    body = {"job_id": created(call, "body")}
    assert [call("POST", PATH + suffix, body)[0] for suffix in ("/poll", "/delete", "/poll")] == [200, 200, 404]


def test_an_unknown_job_is_not_found_and_its_delete_is_fine(call: Call) -> None:
    assert call("GET", about({"id": "?"}))[0] == 404
    assert call("DELETE", about({"id": "?"}))[0] == 200
<%- else %>


def test_a_task_is_answered_at_once(call: Call) -> None:
    answer = call(START, PATH, TASK)[1]
    assert (answer["phase"], answer["outputs"]) == ("SUCCEEDED", {"o0": "HI"})
<%- endif %>


def test_an_exception_shows_its_class_and_last_line(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> None:
        raise TypeError("secret\nno model")

    monkeypatch.setattr(plugin.Example, "<% if plugin.mode == "async" %>create<% else %>execute<% endif %>", fail)
    status, answer = call(START, PATH, TASK)
    assert (status, answer["message"]) == (500, "TypeError: no model")


def test_the_plugin_is_listed(call: Call) -> None:
    sync = START == "POST"
    plugins = [{"task_type": name, "version": version, "sync": sync} for name, version in plugin.TASK_TYPES.items()]
    assert call("GET", ROOT) == (200, {"plugins": plugins})


@pytest.mark.parametrize(
    ("method", "target", "body", "key", "status", "message"),
    [
        (START, PATH, "{", "k", 400, "the body: not JSON"),
        (START, PATH, {"inputs": []}, "k", 400, "inputs: expected a JSON object"),
        (START, PATH, {"inputs": {}}, "k", 422, "inputs.text: expected a string"),
        (START, PATH, TASK, "", 400, "Idempotency-Key: missing"),
        ("PATCH", PATH, "", "k", 405, "expected PUT, GET, DELETE, POST, not PATCH"),
        ("GET", ROOT + "/else/0<% if plugin.mode == "async" %>?job_id=1<% endif %>", "", "k", 404, "no plugin for task type 'else', version 0"),
        ("GET", "/else", "", "k", 404, "no such path: /else"),
    ],
)
def test_wrong_requests_are_answered_with_words(
    call: Call, method: str, target: str, body: Any, key: str, status: int, message: str
) -> None:
    got, answer = call(method, target, body, key)
    assert got == status
    assert answer["message"].startswith(message)


def test_sigterm_finishes_calls_and_exits_with_0(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    program = subprocess.Popen([sys.executable, plugin.__file__], env={**os.environ, "PLUGIN_SOCKET": str(path)})
    try:
        connection, body = connected(path), json.dumps(TASK)
        connection.putrequest(START, PATH)
        for name, value in {"idempotency-key": "k", "expect": "100-continue", "content-length": str(len(body))}.items():
            connection.putheader(name, value)
        connection.endheaders()
        # The call is under way when the plugin asks for the body.
        assert connection.sock.recv(1 << 10).startswith(b"HTTP/1.1 100")
        program.send_signal(signal.SIGTERM)
        while accepts(path):
            time.sleep(0.01)
        connection.send(body.encode())
        assert connection.getresponse().status == 200
        assert program.wait(PATIENCE) == 0
    finally:
        program.kill()


def accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(path)) == 0
