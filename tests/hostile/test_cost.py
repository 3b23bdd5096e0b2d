"""Requests of odd shapes are refused by name, or served; they take no more memory than a pod has, and nobody else's time.

The figures per MiB are those of a release build: `measure.py cost`.
"""

import concurrent.futures
import threading
import time

import pytest

import frames
import shapes
from callers import Rest
from issuer import shared_token

MEMORY = 192 << 20
SIZE = 1 << 20
CREATE = "/flyteidl.service.AsyncAgentService/CreateTask"
TOKEN = shared_token("propeller")
PATH = "/plugins/v1/bigquery_query_job_task/0"


def put(service, body, timeout=60):
    return Rest(service, TOKEN, timeout).request("PUT", PATH, body, {"content-type": "application/json"})


def grpc_create(service, request, timeout=60):
    """The gRPC status of a create, and its message."""
    headers = frames.headers_of(service.api, CREATE, TOKEN, content_type="application/grpc", te="trailers")
    with frames.Client(service.port, timeout) as client:
        stream = client.call(headers, frames.message(request))
    return stream.grpc_status, stream.headers | stream.trailers


@pytest.fixture
def watched(start, vendor):
    """A service with a good caller; both have to fare well."""
    service = start(vendor)
    handle = Rest(service, TOKEN).created()
    stop, slowest = threading.Event(), [0.0]

    def poll():
        while not stop.wait(0.1):
            started = time.monotonic()
            assert Rest(service, TOKEN, timeout=60).get(handle).status == 200
            slowest[0] = max(slowest[0], time.monotonic() - started)

    thread = threading.Thread(target=poll)
    thread.start()
    yield service
    stop.set()
    thread.join()
    # Far above what a debug build takes for work that yields, far below what it took for work that did not.
    assert slowest[0] < 10, f"a poll took {slowest[0]:.1f} s"
    assert service.memory(peak=True) < MEMORY, f"{service.memory(peak=True) >> 20} MiB"
    assert service.metric("plugin_panics_total") == 0


def assert_served_or_refused(reply, shape):
    assert reply.status in (200, 400, 413, 422, 429, 503), f"{shape}: {reply.status} {reply.text[:300]}"
    assert len(reply.content) < 64 << 10
    if reply.status in (400, 413):
        assert reply.message, shape


@pytest.mark.parametrize("shape", shapes.REST)
def test_a_large_task_over_rest(watched, shape):
    assert_served_or_refused(put(watched, shapes.rest_body(shape, SIZE)), shape)


@pytest.mark.parametrize("shape", shapes.GRPC)
def test_a_large_task_over_grpc(watched, shape):
    status, said = grpc_create(watched, shapes.grpc_request(shape, SIZE))
    assert status in (0, 3, 8, 9, 14), f"{shape}: {said}"


@pytest.mark.parametrize("depth", [50, 200, 1_000, 100_000])
def test_nesting_has_a_bound(watched, depth):
    for body in shapes.deep_body(depth):
        reply = put(watched, body)
        assert_served_or_refused(reply, depth)
        assert depth <= 100 or reply.status in (400, 413), f"{depth}: {reply.text[:200]}"
    for request in shapes.deep_requests(min(depth, 10_000)):
        status, said = grpc_create(watched, request)
        assert status in ((0, 3, 9, 13) if depth <= 100 else (3, 8, 13)), f"{depth}: {said}"
    assert watched.is_running()


def test_two_of_the_worst_at_once(watched):
    bodies = [shapes.rest_body("a list of integers", 4 << 20, number) for number in range(2)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for reply in pool.map(lambda body: put(watched, body), bodies):
            assert_served_or_refused(reply, "a list")


def test_many_large_bodies_at_once_are_served_or_shed(watched):
    bodies = [shapes.rest_body("a long text", 4 << 20, number) for number in range(16)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda body: put(watched, body), bodies))
    for reply in replies:
        assert_served_or_refused(reply, "texts")
        assert reply.status not in (429, 503) or "retry-after" in reply.headers


def test_bodies_that_do_not_come_hold_no_memory_and_no_bystander(watched):
    """A head that announces 8 MiB, and then nothing."""
    head = f"PUT {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\nContent-Length: {8 << 20}\r\n\r\n"
    connections = [frames.connect(watched.port) for _ in range(50)]
    for connection in connections:
        frames.sent(connection, head.encode() + b"{")
    time.sleep(2)
    for number in range(5):
        reply = put(watched, shapes.rest_body("many inputs", 1000, number))
        assert reply.status in (200, 503), reply.text
    for connection in connections:
        connection.close()
    # Who is gone holds no permit.
    deadline = time.monotonic() + 10
    while put(watched, shapes.rest_body("many inputs", 1000, 9)).status != 200:
        assert time.monotonic() < deadline


def test_a_body_beyond_the_bound_is_refused_by_name(watched):
    for size in (40 << 20, 64 << 20):
        try:
            reply = put(watched, b'{"sql": "' + b" " * size + b'"}')
        except OSError:
            # It was closed while the caller was still writing.
            continue
        assert reply.status == 413 and "max-body-bytes" in reply.text
