"""Callers and replicas that try the sidecar."""

import concurrent.futures
import contextlib
import shutil
import socket
import subprocess
import threading
import time

import grpc
import pytest

import frames
from callers import Grpc, code
from frames import GOAWAY, HEADERS, SETTINGS, Client, frame
from issuer import shared_token
from programs import Proxy, eventually

GET, CHECK = "/flyteidl.service.AsyncAgentService/GetTask", "/grpc.health.v1.Health/Check"
OPTIONS = [("grpc.max_metadata_size", 1 << 20), ("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)]
GRPC = {"content_type": "application/grpc", "te": "trailers"}


class Replica(grpc.GenericRpcHandler):
    """A gRPC server that answers every call with what `answer(context)` returns."""

    def __init__(self, answer, address="127.0.0.1:0"):
        self.answer, self.calls = answer, []
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(64), [self], options=OPTIONS)
        self.port = self.server.add_insecure_port(address)
        self.server.start()

    def service(self, details):
        def call(_, context):
            self.calls.append({name: value for name, value in details.invocation_metadata})
            return self.answer(context)

        return grpc.unary_unary_rpc_method_handler(call)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.stop(0)


@pytest.fixture
def proxied(tmp_path):
    """Starts a sidecar in front of a target."""
    with contextlib.ExitStack() as stack:

        def start(target, *flags, **options):
            return stack.enter_context(Proxy(tmp_path / "proxy", target, "token-of-propeller", *flags, **options))

        yield start


def test_answers_that_nobody_reads_hold_up_nobody(proxied):
    with Replica(lambda context: b"x" * (6 << 20) if "large" in dict(context.invocation_metadata()) else b"ok") as replica:
        proxy = proxied(f"http://127.0.0.1:{replica.port}")
        # One connection for each, and one for all, with windows that no one opens.
        clients = [Client(proxy.port) for _ in range(8)] + [Client(proxy.port)] * 8
        for client in clients:
            client.send(frames.headers_of(proxy.api, GET, large="1", **GRPC), frames.message(b""))
        eventually(lambda: len(replica.calls) == len(clients), what="the replica was asked")
        with grpc.insecure_channel(proxy.api, OPTIONS) as channel:
            call = channel.unary_unary(GET)
            for _ in range(50):
                assert call(b"", timeout=5) == b"ok"
            assert len(call(b"", timeout=20, metadata=[("large", "1")])) == 6 << 20
        assert proxy.memory() < 64 << 20
        for client in clients:
            client.close()


def test_an_unread_answer_ends(proxied):
    with Replica(lambda _: b"x" * (6 << 20)) as replica:
        proxy = proxied(f"http://127.0.0.1:{replica.port}")
        with Client(proxy.port) as client:
            client.send(frames.headers_of(proxy.api, GET, **GRPC), frames.message(b""))
            eventually(lambda: proxy.metric("propeller_proxy_unread_responses_total") == 1, within=45, what="it was ended")


NOT_GRPC = {
    "PUT with gRPC's type": ("PUT", "/plugins/v1/bigquery_query_job_task/0", GRPC, 405),
    "POST to a REST path with gRPC's type": ("POST", "/plugins/v1/bigquery_query_job_task/0", GRPC, 12),
    "PUT to a method of gRPC": ("PUT", GET, GRPC, 405),
    "GET of a method of gRPC": ("GET", GET, GRPC, 405),
    "DELETE": ("DELETE", "/plugins/v1/bigquery_query_job_task/0", GRPC, 405),
    "TRACE": ("TRACE", GET, GRPC, 405),
    "CONNECT": ("CONNECT", GET, GRPC, 405),
    "JSON": ("POST", GET, {"content_type": "application/json"}, 415),
    "no type": ("POST", GET, {}, 415),
    "gRPC-Web": ("POST", GET, {"content_type": "application/grpc-web"}, 415),
    "a type that begins alike": ("POST", GET, {"content_type": "application/grpcx"}, 415),
    "reflection": ("POST", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", GRPC, 12),
    "the admin service": ("POST", "/flyteidl.service.AdminService/CreateExecution", GRPC, 12),
    "a path with dots": ("POST", f"/x/..{GET}", GRPC, 12),
    "a path with a query": ("POST", f"{GET}?x=1", GRPC, 12),
    "a path with a slash at the end": ("POST", f"{GET}/", GRPC, 12),
    "an encoded path": ("POST", GET.replace("/G", "%2FG"), GRPC, 12),
    "an absolute path": ("POST", f"http://evil.example.com{GET}", GRPC, 12),
}


@pytest.mark.parametrize("method, path, headers, expected", NOT_GRPC.values(), ids=NOT_GRPC)
def test_only_what_flyte_calls_is_forwarded(proxied, method, path, headers, expected):
    with Replica(lambda _: b"") as replica:
        proxy = proxied(f"http://127.0.0.1:{replica.port}")
        with Client(proxy.port) as client:
            stream = client.call(frames.headers_of(proxy.api, path, method=method, **headers), b'{"sql": "SELECT 1"}')
        assert expected in (stream.status, stream.grpc_status) or stream.status == 400 or stream.reset is not None, stream.headers
        assert not replica.calls, "the token was lent"


def test_http1_is_not_forwarded(proxied):
    with Replica(lambda _: b"") as replica:
        proxy = proxied(f"http://127.0.0.1:{replica.port}")
        for method in ("PUT", "POST", "GET"):
            with frames.connect(proxy.port) as connection:
                head = f"{method} {GET} HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                connection.sendall(head.encode())
                answer = frames.read_until_closed(connection, 12)
                assert answer is not None and b" 200 " not in answer[:20]
        assert not replica.calls


@pytest.mark.parametrize("size", [1_000, 15_900, 40_000, 60_000])
def test_metadata_of_up_to_64_kib_gets_through(proxied, size):
    with Replica(lambda _: b"ok") as replica:
        proxy = proxied(f"http://127.0.0.1:{replica.port}")
        with grpc.insecure_channel(proxy.api, OPTIONS) as channel:
            assert channel.unary_unary(GET)(b"", timeout=10, metadata=[("x-of-flyte", "a" * size)]) == b"ok"
        (call,) = replica.calls
        assert call["x-of-flyte"] == "a" * size
        assert call["authorization"] == "Bearer token-of-propeller"


def test_more_metadata_gets_a_status_of_grpc(proxied):
    with Replica(lambda _: b"ok") as replica:
        proxy = proxied(f"http://127.0.0.1:{replica.port}")
        with grpc.insecure_channel(proxy.api, OPTIONS) as channel:
            with pytest.raises(grpc.RpcError) as refused:
                channel.unary_unary(GET)(b"", timeout=10, metadata=[("x-of-flyte", "a" * 200_000)])
        assert refused.value.code() != grpc.StatusCode.DEADLINE_EXCEEDED
        assert not replica.calls and proxy.is_running()


@pytest.mark.parametrize("size", [1_000, 15_900, 40_000, 60_000])
def test_metadata_gets_through_to_a_service(start, vendor, tmp_path, size):
    service = start(vendor)
    with Proxy(tmp_path / "proxy", f"http://{service.api}", shared_token("propeller")) as proxy:
        flyte = Grpc(service, token="", api=proxy.api)
        assert code(flyte.create(metadata=[("x-of-flyte", "a" * size)])) == "OK"


STOLEN = {"authorization": "Bearer of-the-caller", "flyte-authorization": "Bearer of-the-caller"}


@pytest.mark.parametrize("name", STOLEN)
def test_a_callers_own_token_is_replaced(proxied, name):
    with Replica(lambda _: b"ok") as replica:
        proxy = proxied(f"http://127.0.0.1:{replica.port}")
        with grpc.insecure_channel(proxy.api, OPTIONS) as channel:
            assert channel.unary_unary(GET)(b"", timeout=10, metadata=[(name, STOLEN[name])]) == b"ok"
        (call,) = replica.calls
        assert call["authorization"] == "Bearer token-of-propeller" and "flyte-authorization" not in call


@pytest.fixture
def two_addresses(tmp_path):
    """A command that runs another where `replicas.test` has two addresses: with a file of hosts of its own."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost replicas.test\n127.0.0.2 replicas.test\n")
    mount = f'mount --bind {hosts} /etc/hosts && exec "$@"'
    before = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    if not shutil.which("unshare") or subprocess.run([*before, "true"], capture_output=True).returncode:
        pytest.skip("this machine allows no namespaces")
    return before


def test_the_less_busy_replica_is_chosen(proxied, two_addresses):
    """The choice is of two random replicas: with two, it is always the less busy one."""
    hold = {"busy": threading.Event(), "free": threading.Event()}

    def answer(name):
        return lambda _: hold[name].wait(20) and name.encode()

    with Replica(answer("busy")) as busy, Replica(answer("free"), f"127.0.0.2:{busy.port}") as free:
        proxy = proxied(f"dns:///replicas.test:{busy.port}", before=two_addresses)
        eventually(lambda: proxy.metric("propeller_proxy_replicas") == 2, what="both are connected")
        with grpc.insecure_channel(proxy.api, OPTIONS) as channel:
            call = channel.unary_unary(GET)
            held = [call.future(b"", timeout=30) for _ in range(10)]
            eventually(lambda: len(busy.calls) + len(free.calls) == 10, what="the calls arrived")
            assert abs(len(busy.calls) - len(free.calls)) <= 2
            hold["free"].set()
            eventually(lambda: sum(one.done() for one in held) == len(free.calls), what="one of them is free")
            assert [call(b"", timeout=5) for _ in range(100)] == [b"free"] * 100
            hold["busy"].set()
            for one in held:
                one.result()


def test_a_dead_replica_gets_no_calls(proxied, two_addresses):
    with Replica(lambda _: b"ok") as alive:
        silent = socket.create_server(("127.0.0.2", alive.port))
        proxy = proxied(f"dns:///replicas.test:{alive.port}", before=two_addresses)
        with grpc.insecure_channel(proxy.api, OPTIONS) as channel:
            call = channel.unary_unary(GET)
            assert [call(b"", timeout=5) for _ in range(100)] == [b"ok"] * 100
        silent.close()


class Refusing:
    """A replica that takes no call: it sends GOAWAY as soon as one arrives, or closes the connection."""

    def __init__(self, respond):
        self.respond, self.calls, self.connections = respond, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError), connection:
            connection.sendall(frame(SETTINGS))
            data = b""
            while chunk := connection.recv(65536):
                data += chunk
                if self._has_call(data.removeprefix(frames.PREFACE)):
                    self.calls += 1
                    connection.sendall(self.respond)
                    time.sleep(0.05)
                    return

    def _has_call(self, data):
        at = 0
        while at + 9 <= len(data):
            if data[at + 3] == HEADERS:
                return True
            at += 9 + int.from_bytes(data[at : at + 3], "big")
        return False


REFUSALS = {
    "GOAWAY before the call": frame(GOAWAY, 0, 0, bytes(8)),
    "GOAWAY after it": frame(GOAWAY, 0, 0, b"\0\0\0\x7f\0\0\0\0"),
    "a refused stream": frame(frames.RST_STREAM, 0, 1, b"\0\0\0\x07"),
    "nothing": b"",
    "no HTTP/2": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


@pytest.mark.parametrize("respond", REFUSALS.values(), ids=REFUSALS)
def test_a_call_is_sent_again_a_few_times_at_most(proxied, respond):
    replica = Refusing(respond)
    proxy = proxied(f"http://127.0.0.1:{replica.port}", "--wait=2s")
    with grpc.insecure_channel(proxy.api, [("grpc.enable_retries", 0)]) as channel:
        with pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary(GET)(b"", timeout=20)
    # gRPC's core repeats a call by itself, once, if the peer says that it was not processed.
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    assert 1 <= replica.calls <= 22
    # Neither does it connect in a circle.
    connections = replica.connections
    time.sleep(2)
    assert replica.connections - connections <= 10
    assert proxy.is_running()
    replica.listener.close()


def test_a_replica_that_hangs_delays_no_other_call(proxied):
    hang = threading.Event()

    def answer(context):
        if "hang" in dict(context.invocation_metadata()):
            hang.wait(20)
        return b"ok"

    with Replica(answer) as replica:
        proxy = proxied(f"http://127.0.0.1:{replica.port}")
        with grpc.insecure_channel(proxy.api, OPTIONS) as channel:
            call = channel.unary_unary(GET)
            stuck = [call.future(b"", timeout=30, metadata=[("hang", "1")]) for _ in range(40)]
            eventually(lambda: len(replica.calls) == 40, what="they hang")
            assert [call(b"", timeout=5) for _ in range(20)] == [b"ok"] * 20
            hang.set()
            assert {one.result() for one in stuck} == {b"ok"}


def test_the_proxys_token_is_in_no_log(proxied):
    with Replica(lambda context: context.abort(grpc.StatusCode.UNAUTHENTICATED, str(context.invocation_metadata()))) as replica:
        proxy = proxied(f"http://127.0.0.1:{replica.port}", "--log-level=debug")
        with grpc.insecure_channel(proxy.api, OPTIONS) as channel, pytest.raises(grpc.RpcError):
            channel.unary_unary(GET)(b"", timeout=10)
        assert "token-of-propeller" not in proxy.log()
