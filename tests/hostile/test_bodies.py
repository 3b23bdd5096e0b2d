"""Bodies that are not what their heads say, and requests that are not what their content type says."""

import json
import threading

import pytest

import frames
from callers import Grpc, Rest, code
from issuer import shared_token

SERVICE = "/flyteidl.service.AsyncAgentService/"
LIST, CHECK = "/flyteidl.service.AgentMetadataService/ListAgents", "/grpc.health.v1.Health/Check"
PATH = "/plugins/v1/bigquery_query_job_task/0"
INVALID_ARGUMENT, OUT_OF_RANGE, UNAVAILABLE = 3, 11, 14
USER = shared_token("alice")
GRPC = {"content_type": "application/grpc", "te": "trailers"}


@pytest.fixture
def service(shared_service):
    """It has to survive every test with little memory."""
    yield shared_service
    assert shared_service.is_running() and shared_service.metric("plugin_panics_total") == 0
    assert shared_service.memory(peak=True) < 192 << 20, f"{shared_service.memory(peak=True) >> 20} MiB"
    assert Rest(shared_service).create().status == 200


LENGTHS = [1 << 24, 1 << 34, 1 << 36, 1 << 45, (1 << 63) - 1, 1 << 63]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("path, user", [(SERVICE + "CreateTask", "alice"), (SERVICE + "GetTask", "alice"), (LIST, "alice"), (CHECK, None)])
def test_a_claimed_length_takes_no_room_over_grpc(service, length, path, user):
    headers = frames.headers_of(service.api, path, user and shared_token(user), **GRPC, content_length=str(length))
    with frames.Client(service.port, 3) as client:
        number = client.send(headers, frames.message(b""), end=False)
        try:
            client.finish(number)
        except TimeoutError:
            pass  # It waits for the rest.
    assert service.is_running()


@pytest.mark.parametrize("content_type", ["application/json", "application/grpc", "application/grpc+proto", ""])
@pytest.mark.parametrize("length", LENGTHS)
def test_a_claimed_length_takes_no_room_over_rest(service, length, content_type):
    head = f"PUT {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {USER}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    with frames.connect(service.port) as connection:
        connection.sendall(head.encode() + b"{")
        answer = connection.recv(65536)
    assert answer.split()[1] in (b"413", b"400"), answer


@pytest.mark.parametrize("method", ["CreateTask", "GetTask", "DeleteTask"])
def test_what_follows_the_message_of_a_call_is_refused(service, method):
    with frames.Client(service.port) as client:
        number = client.send(frames.headers_of(service.api, SERVICE + method, USER, **GRPC), frames.message(b""), end=False)
        sent = 0
        while not client.streams[number].ended and not client.closed and sent < 64:
            client.upload(number, b"\0" * (1 << 20), end=False)
            sent += 1
        stream = client.streams[number]
    assert sent < 16
    assert stream.grpc_status == INVALID_ARGUMENT, stream.headers


@pytest.mark.parametrize("path", [SERVICE + "CreateTask", SERVICE + "GetTask", LIST, CHECK])
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "", None])
def test_a_grpc_method_takes_no_other_content_type(service, path, content_type):
    more = {} if content_type is None else {"content_type": content_type}
    with frames.Client(service.port) as client:
        stream = client.call(frames.headers_of(service.api, path, USER, **more), frames.message(b""))
    assert (stream.status, stream.grpc_status) == (415, None)
    assert json.loads(stream.data)["error_code"] == "UNSUPPORTED_MEDIA_TYPE"


@pytest.mark.parametrize("path", [SERVICE + "GetTask", LIST, CHECK, "/grpc.health.v1.Health/Watch"])
def test_a_grpc_method_takes_no_http_1(service, path):
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {USER}\r\nContent-Type: application/grpc\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
    with frames.connect(service.port) as connection:
        connection.sendall(head.encode() + b"\0" * 5)
        answer = frames.read_until_closed(connection, 10)
    assert answer.split()[1] == b"505", answer


@pytest.mark.parametrize("content_type", ["application/grpc", "application/grpc+proto", "application/grpc-web"])
def test_a_rest_operation_stays_one_whatever_its_content_type(service, content_type):
    rest = Rest(service, USER)
    body = json.dumps({"custom": service.vendor.custom, "sql": "SELECT 1", "inputs": {f"k{n}": n for n in range(11_000)}}).encode()
    reply = rest.request("PUT", PATH, body, {"content-type": content_type})
    assert reply.status == 400 and "max-inputs" in reply.message, reply.text
    reply = rest.request("GET", f"{PATH}?job_id=none", headers={"content-type": content_type})
    assert (reply.status, reply.headers["content-type"]) == (400, "application/problem+json")


@pytest.mark.parametrize("path, user", [(CHECK, None), ("/grpc.health.v1.Health/Watch", None), (LIST, "alice")])
def test_what_takes_a_name_takes_no_long_message(service, path, user):
    size = (4 << 20) - 1
    before, clients = service.memory(), []
    for _ in range(20):
        client = frames.Client(service.port)
        clients.append(client)
        number = client.send(frames.headers_of(service.api, path, user and shared_token(user), **GRPC), frames.message(b"", length=size), end=False)
        client.upload(number, b"\x0a\xff\xff\xff\x01" + b"x" * (1 << 20), end=False)
    assert service.memory() - before < 20 << 20
    assert path != CHECK or client.finish(number).grpc_status == OUT_OF_RANGE
    for client in clients:
        client.close()


def test_a_probe_that_does_not_come_ends_soon(service):
    """Its caller needs no token, and must not hold anything for as long as a call may take."""
    with frames.Client(service.port, 10) as client:
        stream = client.call(frames.headers_of(service.api, CHECK, **GRPC), b"\0\0", end=False)
    assert stream.grpc_status == 4, stream.headers


def test_probes_in_progress_are_limited(service):
    with frames.Client(service.port) as client:
        headers = frames.headers_of(service.api, CHECK, **GRPC)
        numbers = [client.send(headers, b"\0\0", end=False) for _ in range(500)]
        statuses = [client.finish(number).grpc_status for number in numbers]
    assert statuses.count(UNAVAILABLE) >= 250 and set(statuses) == {4, UNAVAILABLE}
    assert frames.Client(service.port).call(frames.headers_of(service.api, CHECK, **GRPC), frames.message(b"")).grpc_status == 0


def test_users_slow_bodies_leave_room_for_flyte(start, vendor):
    service = start(vendor)
    size, connections = (8 << 20) - 10, []
    head = f"PUT {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {USER}\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"

    def send(connection):
        frames.sent(connection, head.encode() + b'{"sql": "' + b"x" * (size - 100))

    for _ in range(3):
        connection = frames.connect(service.port, timeout=60)
        connections.append(connection)
        threading.Thread(target=send, args=(connection,)).start()
    flyte = Grpc(service)
    for _ in range(20):
        assert code(flyte.create()) == "OK"
    flyte.close()
    # And what stands still ends.
    for connection in connections:
        assert frames.read_until_closed(connection, 40)
        connection.close()


def test_two_idempotency_keys_are_none(service):
    head = f"PUT {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {USER}\r\nIdempotency-Key: a\r\nIdempotency-Key: b\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
    with frames.connect(service.port) as connection:
        connection.sendall(head.encode())
        answer = frames.read_until_closed(connection, 10)
    assert answer.split()[1] == b"400" and b"Idempotency-Key" in answer
