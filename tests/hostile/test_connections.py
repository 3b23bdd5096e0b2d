"""Connections that carry no request: silent ones, half ones, and those that a drain meets."""

import contextlib
import ssl
import threading
import time

import pytest

import frames
from callers import Rest
from frames import SETTINGS, frame
from http_server import Answer
from issuer import certificate, shared_token
from programs import Proxy, eventually
from silence import HELLO, KINDS, assert_gone, silent
from vendors import BigQuery

EACH = 60
"""How many connections of a kind."""
WATCH = "/grpc.health.v1.Health/Watch"


@contextlib.contextmanager
def silent_of_every_kind(port, count=EACH):
    with contextlib.ExitStack() as stack:
        yield {kind: stack.enter_context(silent(port, data, count)) for kind, data in KINDS.items()}


def test_silent_connections_are_gone_within_twelve_seconds(shared_service):
    opened = time.monotonic()
    with silent_of_every_kind(shared_service.port) as kinds:
        for _ in range(50):
            assert Rest(shared_service, timeout=8).request("GET", "/plugins/v1").status == 200
        for kind, connections in kinds.items():
            assert_gone(connections, within=opened + 12 - time.monotonic(), what=kind)


def test_drops_of_a_head_keep_no_connection(shared_service):
    """One byte a second is no request, either."""
    opened = time.monotonic()
    with silent(shared_service.port, b"GET / HTTP/1.1\r\n", 20) as connections:
        stop = threading.Event()

        def drip():
            while not stop.wait(1):
                for connection in connections:
                    frames.sent(connection, b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert_gone(connections, within=opened + 12 - time.monotonic())
        finally:
            stop.set()
            thread.join()


def test_silence_behind_tls_is_gone_within_twelve_seconds(start, vendor, tmp_path):
    crt, key = certificate(tmp_path)
    service = start(vendor, f"--tls-certificate={crt}", f"--tls-key={key}")
    context = ssl.create_default_context(cafile=str(crt))
    context.check_hostname = False
    opened = time.monotonic()
    with silent(service.port, b"", 20) as plain, silent(service.port, HELLO, 20) as half:
        secured = [context.wrap_socket(frames.connect(service.port)) for _ in range(20)]
        for connection in secured[:10]:
            connection.sendall(frames.PREFACE + frame(SETTINGS))
        assert_gone([*plain, *half, *secured], within=opened + 12 - time.monotonic())


def test_readiness_fails_while_every_slot_is_taken(start, vendor):
    service = start(vendor, "--max-connections=10")
    with silent(service.port, frames.PREFACE + frame(SETTINGS), 10) as connections:
        eventually(lambda: service.probe("/readyz")[0] == 503, within=9, what="not ready")
        assert service.probe("/livez")[0] == 200
        assert "max-connections" in service.probe("/readyz")[1]
        # The next client gets its turn with the first slot that is given back.
        assert Rest(service, timeout=20).request("GET", "/plugins/v1").status == 200
        assert_gone(connections, within=12)
    eventually(lambda: service.probe("/readyz")[0] == 200, what="ready again")


@pytest.mark.parametrize("delay", [0, 2])
def test_a_drain_waits_for_no_silent_connection(start, vendor, delay):
    service = start(vendor, f"--drain-delay={delay}s")
    with silent_of_every_kind(service.port, 20):
        eventually(lambda: service.metric("plugin_connections_total") >= 20 * len(KINDS), what="accepted")
        took, exit_code = service.terminate()
    # Ten seconds is what a connection has for its first request.
    assert delay <= took < delay + 8 and exit_code == 0


def watch(service, path, body):
    client = frames.Client(service.port)
    token = shared_token("propeller")
    headers = frames.headers_of(service.api, path, token, content_type="application/grpc", te="trailers")
    number = client.send(headers, frames.message(body), end=path == WATCH)
    while not client.streams[number].data:
        client.receive()
    return client


STREAMS = {
    "watches": (WATCH, b""),
    "watches of an unknown service": (WATCH, b"\x0a\x04acme"),
    "reflection": ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", b"\x3a\x00"),
}


@pytest.mark.parametrize("path, body", STREAMS.values(), ids=STREAMS)
def test_a_drain_ends_endless_streams(start, vendor, path, body):
    service = start(vendor, "--drain-delay=1s")
    clients = [watch(service, path, body) for _ in range(10)]
    took, exit_code = service.terminate()
    assert took < 10 and exit_code == 0
    for client in clients:
        client.close()


def test_endless_streams_are_limited(start, vendor):
    service = start(vendor)
    clients, refused = [], 0
    for _ in range(6):
        client = frames.Client(service.port)
        clients.append(client)
        headers = frames.headers_of(service.api, WATCH, content_type="application/grpc", te="trailers")
        numbers = [client.send(headers, frames.message(b"")) for _ in range(200)]
        while not all(s.data or s.ended for s in map(client.streams.get, numbers)):
            client.receive()
        refused += sum(client.streams[number].grpc_status == 8 for number in numbers)
    assert refused == 200
    assert Rest(service).request("GET", "/plugins/v1").status == 200


def test_a_drain_lets_a_call_finish(start, vendor):
    """Only what has no request in progress is closed at once."""
    service = start(vendor)
    vendor.on["create"] = lambda request: Answer(200, vendor.job("acme", request.json()["jobReference"]["jobId"]), delay=2)
    replies = []
    caller = threading.Thread(target=lambda: replies.append(Rest(service).create()))
    with silent(service.port, frames.PREFACE + frame(SETTINGS), EACH):
        caller.start()
        eventually(lambda: vendor.count("create"), what="the vendor is asked")
        took, _ = service.terminate()
    caller.join()
    assert replies[0].status == 200 and took < 10


def test_the_sidecar_closes_silent_connections_too(start, vendor, tmp_path):
    service = start(vendor)
    with Proxy(tmp_path / "proxy", f"http://{service.api}", shared_token("propeller")) as proxy:
        opened = time.monotonic()
        with silent_of_every_kind(proxy.port, 20) as kinds:
            for kind, connections in kinds.items():
                assert_gone(connections, within=opened + 12 - time.monotonic(), what=kind)
        with silent_of_every_kind(proxy.port, 20):
            # Half a handshake is no HTTP, and ends at once.
            eventually(lambda: proxy.metric("propeller_proxy_open_connections") >= 20 * (len(KINDS) - 1), what="accepted")
            took, exit_code = proxy.terminate()
            assert took < 8 and exit_code == 0


def test_an_idle_http1_connection_outlives_the_time_for_a_request(start):
    """A client that polls every ten seconds keeps its connection."""
    vendor = BigQuery()
    service = start(vendor)
    with frames.connect(service.port, timeout=20) as connection:
        request = f"GET /plugins/v1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {shared_token()}\r\n\r\n".encode()
        for pause in (0, 11):
            time.sleep(pause)
            connection.sendall(request)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    vendor.close()


def test_nobody_keeps_probes_from_the_admin_port(shared_service):
    port = int(shared_service.admin.rpartition(":")[2])
    asking = {"an idle connection": b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n", "half a body": b"PUT /log-level HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"}
    for kind, data in {**KINDS, **asking}.items():
        with silent(port, data, 120):
            assert shared_service.probe("/livez")[0] == 200, kind
