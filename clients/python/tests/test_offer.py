"""What a server in any language may answer when it is asked for its plugins."""

from __future__ import annotations

import contextlib
import http.server
import json
import pathlib
import socketserver
import threading

import pytest

from outrigger_plugin.cli.errors import Failure
from outrigger_plugin.cli.offer import Offer, of_app


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@contextlib.contextmanager
def answering(path: pathlib.Path, body: bytes):
    """A server on a socket whose every answer has this body."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

        def address_string(self):
            return ""

    with Server(str(path), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield path
        server.shutdown()


def test_version_and_sync_may_be_missing(tmp_path):
    plugins = [{"task_type": "shout"}, {"task_type": "ask", "sync": True}, {"task_type": "spark", "version": 1}]
    with answering(tmp_path / "s", json.dumps({"plugins": plugins}).encode()) as path:
        assert of_app("it", path) == Offer(("shout", "spark:1"), ("ask",))


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b'{"plugins": [{}]}', b'{"plugins": ["shout"]}', b'{"plugins": 1}', b"\xff"]
)
def test_answer_of_another_form_is_shown_the_right_one(tmp_path, body):
    with answering(tmp_path / "s", body) as path, pytest.raises(Failure) as failure:
        of_app("it", path)
    wanted = '{"plugins": [{"task_type": "NAME", "version": 0, "sync": false}]}'
    assert str(failure.value) == f"it serves no plugins: it answered GET /plugins/v1 with 200, and not with {wanted}"


@pytest.mark.parametrize(
    "plugins, expected",
    [
        ([], "has none"),
        ([{"task_type": "a,b"}], "has the task type 'a,b': use letters, digits and . _ - /"),
        ([{"task_type": 7}], "has the task type 7: use letters, digits and . _ - /"),
        ([{"task_type": "a", "version": -1}], "has the version -1 of a: expected an integer from 0"),
        ([{"task_type": "a", "version": "1"}], "has the version '1' of a: expected an integer from 0"),
    ],
)
def test_plugins_that_the_bridge_cannot_serve_are_named(tmp_path, plugins, expected):
    with (
        answering(tmp_path / "s", json.dumps({"plugins": plugins}).encode()) as path,
        pytest.raises(Failure) as failure,
    ):
        of_app("it", path)
    assert str(failure.value) == f"it serves no plugins: its answer to GET /plugins/v1 {expected}"
