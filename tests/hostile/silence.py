"""Connections that say nothing, or not enough."""

import contextlib
import time

import frames
from frames import SETTINGS, frame

HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(60)

KINDS = {
    "TCP": b"",
    "half a TLS handshake": HELLO,
    "half a preface": frames.PREFACE[:10],
    "a preface": frames.PREFACE,
    "a preface and settings": frames.PREFACE + frame(SETTINGS),
    "half a head": b"GET /plugins/v1 HTTP/1.1\r\nHost: a\r\nX-A: ",
    "half of an HTTP/2 head": frames.PREFACE + frame(SETTINGS) + frame(frames.HEADERS, 0, 1, b"\x82"),
}


@contextlib.contextmanager
def silent(port, data, count):
    connections = [frames.connect(port) for _ in range(count)]
    try:
        for connection in connections:
            frames.sent(connection, data)
        yield connections
    finally:
        for connection in connections:
            connection.close()


def assert_gone(connections, *, within, what="silent"):
    deadline = time.monotonic() + within
    for connection in connections:
        assert frames.read_until_closed(connection, deadline - time.monotonic()) is not None, f"still open: {what}"
