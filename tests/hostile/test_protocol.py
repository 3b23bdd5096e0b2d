"""HTTP/1.1, HTTP/2 and gRPC as no client speaks them. A good client is served all the while."""

import concurrent.futures
import gzip
import json
import socket
import threading
import time

import hpack
import pytest
from flyteidl.admin import agent_pb2

import frames
from callers import Grpc, Rest, code
from frames import ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, Client, frame
from issuer import shared_token

LIST, CREATE = "/flyteidl.service.AgentMetadataService/ListAgents", "/flyteidl.service.AsyncAgentService/CreateTask"
TOKEN = shared_token("propeller")


@pytest.fixture
def bystander(shared_service):
    """A good client, which calls all the while; the test fails if one of its calls does, or takes ten seconds."""
    stop, failures = threading.Event(), []

    def call():
        while not stop.is_set():
            client, started = Rest(shared_service, TOKEN, timeout=15), time.monotonic()
            try:
                status = client.request("GET", "/plugins/v1").status
            except OSError as error:
                status = error
            took = time.monotonic() - started
            if status != 200 or took > 10:
                failures.append((status, took))
            stop.wait(0.05)

    thread = threading.Thread(target=call)
    thread.start()
    yield shared_service
    stop.set()
    thread.join()
    assert not failures
    assert shared_service.is_running() and shared_service.memory() < 192 << 20
    assert shared_service.metric("plugin_panics_total") == 0


def exchange(port, data, within=20.0):
    """What a server answers to bytes; the writing end stays open."""
    with frames.connect(port) as connection:
        frames.sent(connection, data)
        return frames.read_until_closed(connection, within)


INNER = f"GET /plugins/v1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"


def post(headers, body="", path="/plugins/v1/bigquery_query_job_task/0"):
    return f"PUT {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n{headers}\r\n\r\n{body}"


SMUGGLED = {
    "length and chunks": post(f"Content-Length: {len(INNER) + 5}\r\nTransfer-Encoding: chunked", "0\r\n\r\n" + INNER),
    "chunks and length": post("Transfer-Encoding: chunked\r\nContent-Length: 4", f"5\r\naaaaa\r\n0\r\n\r\n{INNER}"),
    "two lengths": post("Content-Length: 0\r\nContent-Length: 5", INNER),
    "a list of lengths": post("Content-Length: 0, 5", INNER),
    "a length with a sign": post("Content-Length: +0", INNER),
    "a negative length": post("Content-Length: -1", INNER),
    "a hexadecimal length": post("Content-Length: 0x0", INNER),
    "a length beyond 64 bits": post("Content-Length: 99999999999999999999999", INNER),
    "chunked twice": post("Transfer-Encoding: chunked, chunked", f"0\r\n\r\n{INNER}"),
    "another coding": post("Transfer-Encoding: xchunked", f"0\r\n\r\n{INNER}"),
    "a coding after chunked": post("Transfer-Encoding: chunked, identity", f"0\r\n\r\n{INNER}"),
    "a coding behind a tab": post("Transfer-Encoding:\tidentity", f"0\r\n\r\n{INNER}"),
    "a blank before the colon": post("Transfer-Encoding : chunked", f"0\r\n\r\n{INNER}"),
    "a folded header": post("X-A: b\r\n Transfer-Encoding: chunked", f"0\r\n\r\n{INNER}"),
    "a bare CR": post("X-A: b\rTransfer-Encoding: chunked", f"0\r\n\r\n{INNER}"),
    "a NUL in a header": post("X-A: \0\r\nContent-Length: 0", INNER),
    "a chunk size of text": post("Transfer-Encoding: chunked", f"zz\r\n\r\n{INNER}"),
    "a chunk size beyond 64 bits": post("Transfer-Encoding: chunked", f"fffffffffffffffff\r\n{INNER}"),
    "a chunk without its end": post("Transfer-Encoding: chunked", f"1\r\naX0\r\n\r\n{INNER}"),
    "a chunk size of blanks": post("Transfer-Encoding: chunked", f"0 \x0b\r\n\r\n{INNER}"),
    "HTTP/1.0 and chunks": post("Transfer-Encoding: chunked", f"0\r\n\r\n{INNER}").replace("HTTP/1.1", "HTTP/1.0", 1),
}


@pytest.mark.parametrize("request_text", SMUGGLED.values(), ids=SMUGGLED)
def test_a_request_hides_no_other(bystander, request_text):
    answer = exchange(bystander.port, request_text.encode("latin-1"))
    assert answer is not None, "the connection stays open"
    statuses = [int(line.split()[1]) for line in answer.decode("latin-1").splitlines() if line.startswith("HTTP/1.1 ")]
    assert 200 not in statuses, answer
    assert len(statuses) <= 1, "the rest was answered, too"


MALFORMED = {
    "no HTTP": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/0.9": "GET /plugins/v1\r\n\r\n",
    "HTTP/3.0": "GET /plugins/v1 HTTP/3.0\r\n\r\n",
    "blanks": " " * 100_000,
    "an endless method": "A" * 200_000,
    "an endless target": "GET /" + "a" * 200_000 + " HTTP/1.1\r\n\r\n",
    "an endless header": "GET / HTTP/1.1\r\nHost: a\r\nX-A: " + "a" * 2_000_000,
    "ten thousand headers": "GET / HTTP/1.1\r\nHost: a\r\n" + "X-A: a\r\n" * 10_000 + "\r\n",
    "a target with a NUL": "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
    "half a preface": "PRI * HTTP/2.0\r\n\r\nSM",
    "another preface": "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_request_is_answered_with_an_error_or_closed(bystander, text):
    answer = exchange(bystander.port, text.encode("latin-1"))
    assert answer is not None, "the connection stays open"
    assert not answer or answer.split()[1:2][0][:1] in (b"4", b"5") or b"HTTP/1.1" not in answer


METHODS = {"TRACE": 405, "PATCH": 405, "BOGUS": 405, "CONNECT": 405, "TRACK": 405, "PROPFIND": 405, "get": 405}


@pytest.mark.parametrize("method, status", METHODS.items())
def test_other_methods_are_not_allowed(shared_service, method, status):
    for path in ("/plugins/v1", "/plugins/v1/bigquery_query_job_task/0"):
        reply = Rest(shared_service, TOKEN).request(method, path)
        assert reply.status == status, reply.text
        assert b"TRACE" not in reply.content and TOKEN.encode() not in reply.content
    # Neither is there anything to learn without a token.
    assert Rest(shared_service, "").request(method, "/plugins/v1").status in (401, 405)


WITHOUT_TOKEN = [
    "/plugins/v1", "/plugins/v1/", "/plugins//v1", "//plugins/v1", "/plugins/v1/.", "/plugins/v1/../v1", "/plugins/v1/%2e%2e/v1",
    "/plugins/v1/bigquery_query_job_task/0/", "/plugins/v1/bigquery_query_job_task/0?job_id=x", "/plugins/v1/unknown/0",
    "/plugins/v1/bigquery_query_job_task/0/schema", "/plugins/v1/bigquery_query_job_task/x", "/plugins/v1;x=1", "/plugins/v1?access_token=x",
]  # fmt: skip


@pytest.mark.parametrize("path", WITHOUT_TOKEN)
def test_without_a_token_nothing_is_served(shared_service, path):
    for method in ("GET", "PUT", "POST", "DELETE"):
        reply = Rest(shared_service, "").request(method, path, b"{" if method == "PUT" else None, {"authorization": "Bearer x"})
        assert reply.status in (401, 404), f"{method}: {reply.status}"


TIMEOUTS = ["bogus", "-1s", "1e400s", "99999999999999999999s", "NaN", "1s1s1s1s", "", "0s", "1ns", "∞".encode().decode("latin-1")]


@pytest.mark.parametrize("timeout", TIMEOUTS, ids=ascii)
def test_a_bogus_timeout_is_looked_at_after_the_token(shared_service, timeout):
    assert Rest(shared_service, "bogus").request("GET", "/plugins/v1", headers={"X-Request-Timeout": timeout}).status == 401
    reply = Rest(shared_service, TOKEN).request("GET", "/plugins/v1", headers={"X-Request-Timeout": timeout})
    assert reply.status in (200, 400, 504), reply.text
    if reply.status == 400:
        assert "x-request-timeout" in reply.text.lower(), "the error names the header"


@pytest.mark.parametrize("path", ["/plugins/v1/", "/plugins/v1/bigquery_query_job_task/0/"])
def test_a_slash_at_the_end_is_the_same_or_not_found(shared_service, path):
    assert Rest(shared_service, TOKEN).request("GET", path).status in (200, 400, 404)


BODIES = {
    "no JSON": (b"x", 400),
    "nothing": (b"", 400),
    "a list": (b"[]", 400),
    "twice the same key": (b'{"sql": "SELECT 1", "sql": "DROP"}', 400),
    "another type": (b'{"custom": 1}', 400),
    "an unknown member": (b'{"custom": {"ProjectID": "acme"}, "bogus": 1}', 400),
    "an endless number": (b'{"inputs": {"x": 1' + b"0" * 100_000 + b"}}", 400),
    "a lone surrogate": (b'{"sql": "\\ud800"}', 400),
    "no UTF-8": (b'{"sql": "\xff"}', 400),
    "UTF-16": ('{"sql": "x"}'.encode("utf-16"), 400),
    "nesting": (b'{"custom": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}", 400),
}


@pytest.mark.parametrize("body, status", BODIES.values(), ids=BODIES)
def test_a_body_that_is_no_task_is_refused(bystander, body, status):
    client = Rest(bystander, TOKEN)
    reply = client.request("PUT", client.path, body, {"content-type": "application/json"})
    assert reply.status == status, reply.text
    assert len(reply.content) < 64 << 10


def test_bodies_of_another_type_or_coding_are_refused(bystander):
    client, body = Rest(bystander, TOKEN), json.dumps({"custom": {"ProjectID": "acme"}, "sql": "SELECT 1"}).encode()
    bomb = gzip.compress(b" " * (64 << 20))
    for headers, content in [
        ({"content-type": "text/plain"}, body),
        ({"content-type": "application/x-www-form-urlencoded"}, body),
        ({"content-type": "application/json", "content-encoding": "gzip"}, bomb),
        ({"content-type": "application/json", "content-encoding": "br"}, body),
    ]:
        assert client.request("PUT", client.path, content, headers).status in (200, 400, 415), headers
    assert bystander.memory() < 192 << 20


def test_a_caller_may_wait_for_100_continue(shared_service):
    body = json.dumps({"custom": {"ProjectID": "acme"}, "sql": "SELECT 1", "output_prefix": "s3://flyte/continue"})
    head = post(f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\nConnection: close")
    with frames.connect(shared_service.port) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100")
        connection.sendall(body.encode())
        assert frames.read_until_closed(connection, 15).startswith(b"HTTP/1.1 200")


GOOD_HEADERS = frames.header_block(frames.headers_of("a", LIST, TOKEN, content_type="application/grpc", te="trailers"))
FRAMES = {
    "DATA on stream 0": frame(DATA, 0, 0, b"x"),
    "DATA on an idle stream": frame(DATA, END_STREAM, 1, b"x"),
    "HEADERS on stream 0": frame(HEADERS, END_HEADERS, 0, GOOD_HEADERS),
    "HEADERS on an even stream": frame(HEADERS, END_HEADERS, 2, GOOD_HEADERS),
    "HEADERS of no HPACK": frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\xff" * 100),
    "HEADERS with an endless index": frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\xff" + b"\xff" * 50),
    "HEADERS with a table size beyond the limit": frame(HEADERS, END_HEADERS, 1, b"\x3f\xe1\xff\xff\xff\x0f"),
    "HEADERS padded beyond their length": frame(HEADERS, END_HEADERS | 8, 1, b"\xff" + GOOD_HEADERS),
    "a stream that depends on itself": frame(PRIORITY, 0, 1, b"\x00\x00\x00\x01\x10"),
    "PRIORITY of 4 bytes": frame(PRIORITY, 0, 1, bytes(4)),
    "RST_STREAM of an idle stream": frame(RST_STREAM, 0, 1, bytes(4)),
    "RST_STREAM of 3 bytes": frame(RST_STREAM, 0, 1, bytes(3)),
    "SETTINGS on a stream": frame(SETTINGS, 0, 1, b""),
    "SETTINGS of 5 bytes": frame(SETTINGS, 0, 0, bytes(5)),
    "SETTINGS acknowledged with content": frame(SETTINGS, ACK, 0, bytes(6)),
    "SETTINGS with a window beyond 31 bits": frame(SETTINGS, 0, 0, b"\x00\x04\xff\xff\xff\xff"),
    "SETTINGS with a tiny frame size": frame(SETTINGS, 0, 0, b"\x00\x05\x00\x00\x00\x01"),
    "PUSH_PROMISE from a client": frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2" + GOOD_HEADERS),
    "PING of 7 bytes": frame(PING, 0, 0, bytes(7)),
    "PING on a stream": frame(PING, 0, 1, bytes(8)),
    "GOAWAY of 3 bytes": frame(GOAWAY, 0, 0, bytes(3)),
    "WINDOW_UPDATE of 0": frame(WINDOW_UPDATE, 0, 0, bytes(4)),
    "WINDOW_UPDATE beyond 31 bits": frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"),
    "CONTINUATION of nothing": frame(CONTINUATION, END_HEADERS, 1, GOOD_HEADERS),
    "another frame within HEADERS": frame(HEADERS, 0, 1, GOOD_HEADERS) + frame(PING, 0, 0, bytes(8)),
    "a frame of 16 MiB": frame(DATA, 0, 1, b"x", length=(1 << 24) - 1),
    "frames of an unknown kind": frame(0xEE, 0xFF, 0, b"x" * 100) * 1000,
    "no SETTINGS": b"",
}


@pytest.mark.parametrize("bad", FRAMES.values(), ids=FRAMES)
def test_a_bad_frame_ends_its_connection_alone(bystander, bad):
    settings = frame(SETTINGS) if bad else b""
    assert exchange(bystander.port, frames.PREFACE + settings + bad) is not None, "still open"


def flood(port, data, seconds=40.0, pause=0.02):
    """Sends data over and over; returns whether the other end closed the connection in time."""
    with frames.connect(port) as connection:
        reader = threading.Thread(target=frames.read_until_closed, args=(connection, seconds))
        reader.start()
        deadline, open_ = time.monotonic() + seconds, True
        frames.sent(connection, frames.PREFACE + frame(SETTINGS))
        connection.settimeout(seconds)
        while open_ and time.monotonic() < deadline:
            open_ = frames.sent(connection, data)
            time.sleep(pause)
        connection.close()
        reader.join()
        return not open_


FLOODS = {
    "pings": frame(PING, 0, 0, bytes(8)) * 100,
    "settings": frame(SETTINGS, 0, 0, b"\x00\x03\x00\x00\x00\x64") * 100,
    "acknowledged settings": frame(SETTINGS, ACK) * 100,
    "empty DATA": frame(DATA, 0, 1) * 100,
    "window updates": frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1") * 100,
    "priorities": b"".join(frame(PRIORITY, 0, 2 * n + 1, b"\0\0\0\0\x10") for n in range(100)),
}


@pytest.mark.xdist_group("floods")
def test_floods_without_a_request_end(bystander):
    # A debug build reads slowly; what counts is that they end and that the bystander is served.
    with concurrent.futures.ThreadPoolExecutor(len(FLOODS)) as pool:
        ended = dict(zip(FLOODS, pool.map(lambda data: flood(bystander.port, data), FLOODS.values())))
    assert all(ended.values()), ended


def test_an_endless_header_ends(bystander):
    with frames.connect(bystander.port) as connection:
        connection.sendall(frames.PREFACE + frame(SETTINGS) + frame(HEADERS, 0, 1, GOOD_HEADERS))
        block = frames.header_block([(f"x-{n}", "a" * 100) for n in range(80)])
        sent = 0
        while sent < 64 << 20 and frames.sent(connection, frame(CONTINUATION, 0, 1, block[:16000])):
            sent += len(block)
        assert sent < 64 << 20, "64 MiB of headers were taken"


def test_many_empty_continuations_end(bystander):
    with frames.connect(bystander.port) as connection:
        connection.sendall(frames.PREFACE + frame(SETTINGS) + frame(HEADERS, 0, 1, b""))
        rest = frame(CONTINUATION, 0, 1, b"") * 1000
        ended = time.monotonic() + 14
        while frames.sent(connection, rest):
            assert time.monotonic() < ended, "still open"


def test_rapid_resets_end_their_connection(bystander):
    """CVE-2023-44487."""
    with frames.connect(bystander.port) as connection:
        frames.sent(connection, frames.PREFACE + frame(SETTINGS))
        reader = threading.Thread(target=frames.read_until_closed, args=(connection, 60))
        reader.start()
        opened = 0
        for first in range(1, 2 * 100_000, 2 * 100):
            streams = range(first, first + 200, 2)
            data = b"".join(
                frame(HEADERS, END_HEADERS | END_STREAM, n, GOOD_HEADERS) + frame(RST_STREAM, 0, n, b"\0\0\0\x08") for n in streams
            )
            if not frames.sent(connection, data):
                break
            opened += 100
        connection.close()
        reader.join()
        assert opened < 100_000, "every stream was taken"


def test_resets_that_the_service_is_made_to_send_end_the_connection(bystander):
    """CVE-2025-8671: frames that make the server reset its streams."""
    with frames.connect(bystander.port) as connection:
        frames.sent(connection, frames.PREFACE + frame(SETTINGS))
        reader = threading.Thread(target=frames.read_until_closed, args=(connection, 60))
        reader.start()
        opened = 0
        for first in range(1, 2 * 100_000, 2 * 100):
            streams = range(first, first + 200, 2)
            data = b"".join(frame(HEADERS, END_HEADERS, n, GOOD_HEADERS) + frame(WINDOW_UPDATE, 0, n, bytes(4)) for n in streams)
            if not frames.sent(connection, data):
                break
            opened += 100
        connection.close()
        reader.join()
        assert opened < 100_000, "every stream was taken"


def test_streams_beyond_the_limit_are_refused(bystander):
    with Client(bystander.port) as client:
        client.receive()
        assert 0 < client.h2.remote_settings.max_concurrent_streams <= 1000
        limit = client.h2.remote_settings.max_concurrent_streams
        client.socket.close()
    with frames.connect(bystander.port) as connection:
        opened = b"".join(frame(HEADERS, END_HEADERS, 2 * n + 1, GOOD_HEADERS) for n in range(limit + 50))
        frames.sent(connection, frames.PREFACE + frame(SETTINGS) + opened)
        deadline, read = time.monotonic() + 15, b""
        connection.settimeout(15)
        refused = frame(RST_STREAM, 0, 2 * limit + 1, b"\0\0\0\x07")
        while refused[9:] not in read and time.monotonic() < deadline:
            chunk = connection.recv(65536)
            if not chunk:
                break
            read += chunk
        assert read


def test_a_header_bomb_is_refused(bystander):
    """A large header, indexed once and then named with one byte each."""
    encoder = hpack.Encoder()
    with frames.connect(bystander.port) as connection:
        first = frames.headers_of("a", LIST, TOKEN, content_type="application/grpc") + [("x-bomb", "a" * 4000)]
        block = encoder.encode(first) + b"\xbe" * 16_000
        frames.sent(connection, frames.PREFACE + frame(SETTINGS) + frame(HEADERS, 0, 1, block[:16_000]))
        frames.sent(connection, frame(CONTINUATION, END_HEADERS, 1, block[16_000:]))
        assert frames.read_until_closed(connection, 20) is not None


GRPC = {"content_type": "application/grpc", "te": "trailers"}
TASK = agent_pb2.CreateTaskRequest(output_prefix="s3://flyte/framing").SerializeToString()
FRAMING = {
    "no message": (b"", {}),
    "half a prefix": (b"\0\0\0", {}),
    "a message cut": (frames.message(TASK)[:-3], {}),
    "a message of 4 GiB": (frames.message(TASK, length=0xFFFFFFFF), {}),
    "two messages": (frames.message(TASK) * 2, {}),
    "a flag of 2": (frames.message(TASK, flag=2), {}),
    "compressed without a coding": (frames.message(gzip.compress(TASK), flag=1), {}),
    "compressed with gzip": (frames.message(gzip.compress(TASK), flag=1), {"grpc_encoding": "gzip"}),
    "an unknown coding": (frames.message(TASK, flag=1), {"grpc_encoding": "bogus"}),
    "a bomb": (frames.message(gzip.compress(bytes(512 << 20), 9), flag=1), {"grpc_encoding": "gzip"}),
    "no protobuf": (frames.message(b"\xff" * 100), {}),
    "an endless varint": (frames.message(b"\x0a" + b"\xff" * 20), {}),
    "a group": (frames.message(b"\x0b" * 1000), {}),
    "no UTF-8": (frames.message(b"\x12\x02\xff\xfe"), {}),
    "a bogus timeout": (frames.message(TASK), {"grpc_timeout": "bogus"}),
    "a timeout of nine digits": (frames.message(TASK), {"grpc_timeout": "999999999H"}),
    "gRPC-Web": (frames.message(TASK), {"content_type": "application/grpc-web"}),
    "another subtype": (frames.message(TASK), {"content_type": "application/grpc+json"}),
    "no content type": (frames.message(TASK), {"content_type": ""}),
    "a binary header that is none": (frames.message(TASK), {"x_bin": "*"}),
}


@pytest.mark.parametrize("data, headers", FRAMING.values(), ids=FRAMING)
def test_bad_grpc_is_an_error_of_grpc(bystander, data, headers):
    jobs = len(bystander.vendor.jobs)
    with Client(bystander.port) as client:
        stream = client.call(frames.headers_of(bystander.api, CREATE, TOKEN, **GRPC | headers), data)
    refused = stream.grpc_status not in (None, 0) or stream.status >= 400 or stream.reset is not None
    # An empty request is one of no known task.
    assert refused, (stream.headers, stream.trailers)
    assert stream.grpc_status != 2, f"{stream.headers}{stream.trailers}"
    # An error of a caller is no bug of the service.
    assert '"level":"ERROR"' not in bystander.log()
    assert len(bystander.vendor.jobs) == jobs


PATHS = ["/", "/x", "/flyteidl.service.AsyncAgentService", "/flyteidl.service.AsyncAgentService/", f"{CREATE}/", f"/{CREATE}", "*", "/flyteidl.service.AsyncAgentService/createtask", CREATE.replace("/C", "%2FC")]


@pytest.mark.parametrize("path", PATHS)
def test_an_unknown_method_is_unimplemented_or_unauthenticated(bystander, path):
    for token, expected in ((TOKEN, {12}), (None, {16, 12})):
        with Client(bystander.port) as client:
            stream = client.call(frames.headers_of(bystander.api, path, token, **GRPC), frames.message(TASK))
        assert stream.grpc_status in expected or stream.status in (400, 401, 404, 405) or stream.reset is not None, (stream.headers, stream.trailers)


PSEUDO = {
    "no method": [(":scheme", "http"), (":path", LIST), (":authority", "a")],
    "no path": [(":method", "POST"), (":scheme", "http"), (":authority", "a")],
    "two paths": [(":method", "POST"), (":scheme", "http"), (":path", LIST), (":path", "/"), (":authority", "a")],
    "a path behind a header": [(":method", "POST"), (":scheme", "http"), ("te", "trailers"), (":path", LIST)],
    "a status": [(":method", "POST"), (":scheme", "http"), (":path", LIST), (":status", "200")],
    "a capital letter": [(":method", "POST"), (":scheme", "http"), (":path", LIST), ("X-Upper", "1")],
    "connection": [(":method", "POST"), (":scheme", "http"), (":path", LIST), ("connection", "close")],
    "transfer-encoding": [(":method", "POST"), (":scheme", "http"), (":path", LIST), ("transfer-encoding", "chunked")],
    "a line break": [(":method", "POST"), (":scheme", "http"), (":path", LIST), ("x-a", "b\r\nc: d")],
    "a length that is not the body's": [(":method", "POST"), (":scheme", "http"), (":path", LIST), ("content-length", "99")],
}


@pytest.mark.parametrize("headers", PSEUDO.values(), ids=PSEUDO)
def test_malformed_http2_requests_are_refused(bystander, headers):
    with Client(bystander.port) as client:
        try:
            stream = client.call(headers, frames.message(b""))
        except TimeoutError:
            pytest.fail("no answer")
    assert stream.status != 200 or stream.grpc_status not in (None, 0), (stream.headers, stream.trailers)


def test_a_client_that_reads_nothing_holds_up_no_other(bystander):
    settings = {4: 0}  # SETTINGS_INITIAL_WINDOW_SIZE
    clients = [Client(bystander.port, settings=settings) for _ in range(20)]
    for client in clients:
        for _ in range(20):
            client.send(frames.headers_of(bystander.api, LIST, TOKEN, **GRPC), frames.message(b""))
    flyte = Grpc(bystander)
    answer = flyte.create()
    assert code(answer) == "OK", answer
    for client in clients:
        client.close()


def test_a_body_that_never_ends_is_bounded(bystander):
    """Chunks without an end, and a length that is never reached."""
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    with frames.connect(bystander.port, timeout=40) as connection:
        connection.sendall(post("Content-Type: application/json\r\nTransfer-Encoding: chunked").encode())
        sent = 0
        while sent < 256 and frames.sent(connection, chunk):
            sent += 1
        assert sent < 256, "256 MiB were taken"
    assert bystander.memory() < 192 << 20


def test_a_slow_body_ends_with_the_deadline(bystander):
    with frames.connect(bystander.port, timeout=40) as connection:
        connection.sendall(post("Content-Type: application/json\r\nContent-Length: 1000\r\nX-Request-Timeout: 2s").encode())
        connection.sendall(b"{")
        connection.settimeout(0.2)
        answer, deadline = b"", time.monotonic() + 20
        while b"\r\n\r\n" not in answer:
            assert time.monotonic() < deadline, "no answer"
            frames.sent(connection, b" ")
            try:
                answer += connection.recv(4096) or b"\r\n\r\n"
            except TimeoutError:
                continue
            except OSError:
                break
        assert answer.split()[1][:1] in (b"4", b"5") if answer.strip() else True


def test_half_closed_connections_are_served(shared_service):
    with socket.create_connection(("127.0.0.1", shared_service.port), timeout=10) as connection:
        connection.sendall(INNER.encode())
        connection.shutdown(socket.SHUT_WR)
        answer = frames.read_until_closed(connection, 15)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 200")
