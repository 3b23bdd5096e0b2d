"""Apps on real Unix sockets, served by uvicorn in a thread of the test's process."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import random
import shutil
import socket
import tempfile
import threading
import time
import urllib.parse

import pytest
import uvicorn

from outrigger_plugin.cli.offer import SocketConnection

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent
TIMEOUT = 20


def eventually(condition, what):
    """Waits until ``condition()`` is true, and returns what it gave."""
    until = time.monotonic() + TIMEOUT
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"not in time: {what}")


def free_port():
    # Below the ephemeral ports: the system could assign one of those before a program listens on it.
    for port in random.sample(range(12000, 32000), 100):
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: dict


@dataclasses.dataclass
class Caller:
    """What the bridge sends to an app."""

    path: pathlib.Path
    root: str = ""

    def send(self, method, path, body=None, **headers):
        """Sends a request and reads its answer. Names of headers have underscores."""
        connection = self.start(method, path, body, **headers)
        with contextlib.closing(connection):
            return read(connection)

    def start(self, method, path, body=None, **headers):
        """Sends a request. Returns its connection, to read the answer or to leave."""
        connection = SocketConnection(self.path)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, f"{self.root}/plugins/v1{path}", body, headers)
        return connection

    def create(self, plugin, inputs=None, key="key-1", **fields):
        return self.send("PUT", f"/{plugin}", request(inputs, **fields), idempotency_key=key)

    def execute(self, plugin, inputs=None, key="key-1", **fields):
        return self.send("POST", f"/{plugin}", request(inputs, **fields), idempotency_key=key)

    def poll(self, plugin, job):
        return self.send("GET", f"/{plugin}?{query(job)}")

    def delete(self, plugin, job):
        return self.send("DELETE", f"/{plugin}?{query(job)}")


def request(inputs=None, **fields):
    return {"template": {}, "inputs": inputs or {}, **fields}


def query(job):
    return urllib.parse.urlencode({"job_id": json.dumps(job)})


def read(connection):
    answer = connection.getresponse()
    return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, json.loads(answer.read()))


@contextlib.contextmanager
def served(app, root=""):
    """``app`` on a Unix socket; a caller of it."""
    # Not pytest's directories: their paths are too long for sockets.
    directory = tempfile.mkdtemp()
    path = pathlib.Path(directory) / "app.sock"
    server = uvicorn.Server(uvicorn.Config(app, uds=str(path), log_level="error", timeout_graceful_shutdown=10))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: server.started or not thread.is_alive(), "the app is served")
        yield Caller(path, root)
    finally:
        server.should_exit = True
        thread.join(TIMEOUT)
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
def caller():
    """A caller of the app in plugins.py."""
    import plugins

    with served(plugins.app) as caller:
        yield caller
