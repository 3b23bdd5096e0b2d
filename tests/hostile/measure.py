#!/usr/bin/env python3
"""Prints the figures that the service is held to, of release binaries on this machine.

    cargo build --release --bins
    target/hostile/venv/bin/python tests/hostile/measure.py --bin target/release cost
"""

import argparse
import collections
import concurrent.futures
import contextlib
import pathlib
import resource
import selectors
import ssl
import tempfile
import threading
import time

from flyteidl.admin import agent_pb2

import frames
import programs
import shapes
from burst import burst
from callers import Grpc, Rest, prefix
from http_server import Answer
from issuer import certificate, shared_token
from silence import KINDS
from vendors import BigQuery, Databricks, Snowflake

MIB = 1 << 20
TOKEN = shared_token("propeller")
GET, CREATE = "/flyteidl.service.AsyncAgentService/GetTask", "/flyteidl.service.AsyncAgentService/CreateTask"
IMAGES = {"MALLOC_TRIM_THRESHOLD_": "131072"}
"""What the images set."""
CLIENT = {"_FSEC_DATABRICKS_CLIENT_SECRET": "secret-of-the-service"}
OAUTH = ("--auth-type=oauth_m2m", "--client-id=flyte")


@contextlib.contextmanager
def running(vendor, *flags, files=None, environment=None, **options):
    """A service in front of a fake vendor."""
    environment = {**IMAGES, **(environment or {})}
    with contextlib.ExitStack() as stack:
        files = files or pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        yield stack.enter_context(programs.Service(files, vendor, *flags, environment=environment, **options)).wait_until_ready()


def row(*cells, widths=(30, 6, 9, 8, 14, 12)):
    print("".join(f"{cell!s:<{width}}" for cell, width in zip(cells, widths)), flush=True)


def percentile(values, share):
    """In milliseconds."""
    ordered = sorted(values)
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def summary(values):
    return f"p50 {percentile(values, 0.5):.1f} ms, p99 {percentile(values, 0.99):.1f} ms, max {percentile(values, 1):.1f} ms of {len(values)}"


class Pace:
    """Calls at a steady rate from threads of its own, until it is stopped."""

    def __init__(self, call, rate, threads=50):
        self.call, self.rate, self.stopped = call, rate, threading.Event()
        self.results = []
        """Of each call: when it began, how long it took, and what it returned."""
        self._next, self._lock, self._started = 0, threading.Lock(), time.monotonic()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self):
        while not self.stopped.is_set():
            with self._lock:
                number, self._next = self._next, self._next + 1
            if self.stopped.wait(max(0, self._started + number / self.rate - time.monotonic())):
                return
            began = time.monotonic()
            result = self.call(number)
            self.results.append((began, time.monotonic() - began, result))


def send_rest(service, body):
    return Rest(service, TOKEN, timeout=180).request("PUT", "/plugins/v1/bigquery_query_job_task/0", body, {"content-type": "application/json"}).status


def send_grpc(service, body):
    headers = frames.headers_of(service.api, CREATE, TOKEN, content_type="application/grpc", te="trailers")
    with frames.Client(service.port, 180) as client:
        return client.call(headers, frames.message(body)).grpc_status


PROTOCOLS = {"REST": (shapes.REST, shapes.rest_body, send_rest), "gRPC": (shapes.GRPC, shapes.grpc_request, send_grpc)}


def cost(args):
    """CPU per MiB and peak memory of one request, for each shape and size, each with a service that has had one small request. Bound: 100 ms, 192 MiB."""
    row("shape", "", "MiB", "status", "CPU ms per MiB", "peak MiB")
    for protocol, (table, encode, send) in PROTOCOLS.items():
        for shape in table:
            if args.shape and args.shape not in shape:
                continue
            for size in args.mib:
                body = encode(shape, int(size * MIB * 0.98))
                vendor = BigQuery()
                with running(vendor) as service:
                    send(service, encode("a long statement", 1000))
                    service.forget_peak()
                    before = service.cpu()
                    try:
                        status = send(service, body)
                    except (OSError, TimeoutError) as error:
                        status = type(error).__name__
                    time.sleep(0.2)
                    peak = f"{service.memory(peak=True) / MIB:.0f}" if service.is_running() else "died"
                    used = (service.cpu() - before) * 1000 / (len(body) / MIB) if service.is_running() else float("nan")
                    row(shape, protocol, f"{len(body) / MIB:.1f}", status, f"{used:.0f}", peak)
                vendor.close()


def bystanders(args):
    """Latency of other callers' polls while two of the worst requests run over and over. Bound: p99 below 200 ms."""
    for protocol, (table, encode, send) in PROTOCOLS.items():
        for shape in args.shape or ["many inputs", "a list of integers", "a long text"]:
            if shape not in table:
                continue
            vendor = BigQuery()
            # Without the time that polls wait for each other.
            with running(vendor, "--poll-freshness=0s") as service:
                rest = Rest(service, TOKEN)
                handle = rest.created()
                with Pace(lambda _: rest.get(handle).status, args.rate) as calm:
                    time.sleep(args.seconds / 2)
                bodies = [encode(shape, int(args.mib * MIB * 0.98), number) for number in range(2)]
                statuses, stop = collections.Counter(), threading.Event()

                def attack(body):
                    while not stop.is_set():
                        try:
                            statuses[send(service, body)] += 1
                        except (OSError, TimeoutError) as error:
                            statuses[type(error).__name__] += 1

                attackers = [threading.Thread(target=attack, args=(body,)) for body in bodies]
                with Pace(lambda _: rest.get(handle).status, args.rate) as polls:
                    for attacker in attackers:
                        attacker.start()
                    time.sleep(args.seconds)
                    stop.set()
                for attacker in attackers:
                    attacker.join()
                print(f"{shape}, {protocol}, 2 × {args.mib} MiB: {summary([took for _, took, _ in polls.results])}")
                print(f"    before: {summary([took for _, took, _ in calm.results])}")
                print(f"    polls {dict(collections.Counter(r for *_, r in polls.results))}, requests {dict(statuses)}, peak {service.memory(peak=True) / MIB:.0f} MiB")
            vendor.close()


def wait_until_gone(connections, within):
    """How long until the other end has closed all connections, and how many it has not closed."""
    selector, started = selectors.DefaultSelector(), time.monotonic()
    for connection in connections:
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ)
    while selector.get_map() and time.monotonic() - started < within:
        for key, _ in selector.select(timeout=0.5):
            try:
                if key.fileobj.recv(65536):
                    continue
            except BlockingIOError:
                continue
            except OSError:
                pass
            selector.unregister(key.fileobj)
    return time.monotonic() - started, len(selector.get_map())


def silent(args):
    """When silent connections are gone, and how a good client fares. Bound: 12 s; SIGTERM ends within its delay and 2 s."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as directory:
        crt, key = certificate(pathlib.Path(directory))
        for kind, data in KINDS.items():
            tls = (f"--tls-certificate={crt}", f"--tls-key={key}") if "TLS" in kind else ()
            vendor = BigQuery()
            with running(vendor, *tls) as service:
                _silent(args, service, kind, data, bool(tls), crt)
            vendor.close()
            with running(vendor := BigQuery(), *tls, "--drain-delay=5s") as service:
                held = [frames.connect(service.port) for _ in range(args.drained)]
                for connection in held:
                    frames.sent(connection, data)
                time.sleep(1)
                took, code = service.terminate()
                print(f"    SIGTERM with {args.drained}: {took:.1f} s with a drain delay of 5 s, exit code {code}")
                for connection in held:
                    connection.close()
            vendor.close()


def _silent(args, service, kind, data, tls, crt):
    if tls:
        context = ssl.create_default_context(cafile=str(crt))
        context.check_hostname = False

        def call(_):
            with context.wrap_socket(frames.connect(service.port)) as connection:
                connection.sendall(b"GET /plugins/v1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                return connection.recv(100)[9:12] == b"401"

    else:

        def call(_):
            return Rest(service, TOKEN, timeout=60).request("GET", "/plugins/v1", headers={"connection": "close"}).status == 200

    with Pace(call, 20, threads=20) as good:
        opened = time.monotonic()
        connections = [frames.connect(service.port) for _ in range(args.count)]
        for connection in connections:
            frames.sent(connection, data)
        took, left = wait_until_gone(connections, 60)
        took = time.monotonic() - opened
    for connection in connections:
        connection.close()
    served = sum(ok for *_, ok in good.results)
    print(f"{args.count} × {kind}: gone after {took:.1f} s, {left} left; good client {served} of {len(good.results)} served, {summary([t for _, t, _ in good.results])}")


def failure(args):
    """Requests per call while the vendor fails every call. Bound: 1.2."""
    for vendor_type in (BigQuery, Databricks, Snowflake):
        for verb in ("get", "create", "delete"):
            vendor = vendor_type()
            with running(vendor) as service:
                rest = Rest(service, TOKEN)
                calls = args.rate * args.seconds
                handles = [] if verb == "create" else [rest.created() for _ in range(calls)]
                vendor.server.clear()
                vendor.on = dict.fromkeys(["create", "get", "list", "delete"], lambda _: vendor.refusal(503, "on fire"))
                limit = {"X-Request-Timeout": "9s"}
                call = {
                    "create": lambda _: rest.create(headers=limit).status,
                    "get": lambda n: rest.get(handles[n % calls], limit).status,
                    "delete": lambda n: rest.delete(handles[n % calls], limit).status,
                }[verb]
                with Pace(call, args.rate, threads=250) as pace:
                    time.sleep(args.seconds)
                made = vendor.count("create", "get", "list", "delete")
                statuses = dict(collections.Counter(result for *_, result in pace.results))
                print(
                    f"{vendor.program} {verb}: {made / len(pace.results):.2f} requests a call ({made} of {len(pace.results)}), "
                    f"{statuses}, {summary([took for _, took, _ in pace.results])}"
                )
            vendor.close()


def token_hang(args):
    """How soon polls are signed after a token endpoint that hung has recovered. Bound: 2 s, two token requests under way."""
    for vendor_type, flags, environment in ((Databricks, OAUTH, CLIENT), (BigQuery, (), {})):
        for rate in args.rate:
            for latency in args.latency:
                with tempfile.TemporaryDirectory() as directory:
                    options = {"files": pathlib.Path(directory), "environment": environment}
                    measure_token_hang(args, vendor_type(), rate, latency, *flags, **options)


def measure_token_hang(args, vendor, rate, latency, *flags, **options):
    with running(vendor, *flags, **options) as service:
        handles = [Rest(service, TOKEN).created() for _ in range(50)]
    vendor.reset()
    recovered = threading.Event()

    def token(request):
        answer = vendor._token(request)
        answer.delay = latency / 1000 if recovered.is_set() else 60
        return answer

    vendor.on["token"] = token
    with running(vendor, *flags, **options) as service:
        rest = Rest(service, TOKEN)
        poll = lambda n: rest.get(handles[n % 50], {"X-Request-Timeout": "9s"}).status  # noqa: E731
        with Pace(poll, rate, threads=max(20, rate * 5)) as pace:
            time.sleep(args.hang)
            recovered.set()
            at = time.monotonic()
            time.sleep(15)
        signed = [request.at - at for request in vendor.server.requests if request.kind in ("get", "list")]
        first = f"{min(signed):.2f} s" if signed else "never"
        statuses = dict(collections.Counter(result for *_, result in pace.results))
        print(
            f"{vendor.program}, {rate} calls/s, {latency} ms: first signed {first} after the recovery; {vendor.count('token')} token requests, "
            f"at most {vendor.most_under_way('token')} under way; {statuses}"
        )
    vendor.close()


def rotation(args):
    """Creates while the vendor takes the next token alone, and the Secret's file has the old one. Bound: none fails for good."""
    for vendor_type, name in ((Databricks, "databricks_token"), (Snowflake, "snowflake_pat")):
        vendor = vendor_type()
        with running(vendor) as service:
            rest = Rest(service, TOKEN)
            assert rest.create().status == 200
            vendor.tokens = {"rotated"}
            open_, created, lock = collections.deque(), [], threading.Lock()

            def create(_):
                with lock:
                    output_prefix = open_.popleft() if len(open_) > args.rate else prefix()
                status = rest.create(output_prefix=output_prefix, headers={"X-Request-Timeout": "9s"}).status
                if status == 200:
                    created.append(time.monotonic())
                elif status >= 500 or status == 429:
                    open_.append(output_prefix)
                return status

            with Pace(create, args.rate) as pace:
                time.sleep(args.seconds)
                (service.secrets / name).write_text("rotated")
                at = time.monotonic()
                time.sleep(30)
            statuses = collections.Counter(result for *_, result in pace.results)
            final = sum(count for status, count in statuses.items() if 400 <= status < 500 and status != 429)
            first = f"{created[0] - at:.1f} s" if created else "never"
            print(f"{vendor.program}: {final} creates failed for good, {dict(statuses)}; first created {first} after the file")
        vendor.close()


def quiet(args):
    """A vendor that asks for quiet with 60 turns booked. Bound: no request meanwhile, polls below 50 ms, another tenant unaffected."""
    vendor = BigQuery()
    with running(vendor) as service:
        rest = Rest(service, TOKEN)
        handles = [rest.created() for _ in range(60)]
        other = rest.created(custom={"ProjectID": "other", "Location": "EU"})
        assert {rest.get(handle).status for handle in handles} == {200}
        refused = []

        def refuse(request):
            if "/acme/" in request.path:
                refused.append(request.at)
                return Answer(429, vendor.refusal(429, "slow down").content, {"retry-after": str(args.pause)})

        vendor.server.clear()
        vendor.on = dict.fromkeys(["create", "get", "list", "delete"], refuse)
        limit = {"X-Request-Timeout": "9s"}
        with concurrent.futures.ThreadPoolExecutor(120) as pool:
            booked = [pool.submit(rest.create, headers=limit) for _ in range(60)]
            while not refused:
                time.sleep(0.01)
            time.sleep(0.5)
            vendor.on = dict.fromkeys(["create", "get", "list", "delete"], lambda request: refused.append(request.at) if "/acme/" in request.path else None)
            with Pace(lambda n: rest.get(handles[n % 60]).status, 20) as polls, Pace(lambda _: rest.get(other).status, 5) as others:
                time.sleep(args.pause - 2)
            statuses = collections.Counter(call.result().status for call in booked)
        late = [at - refused[0] for at in refused if 0.5 < at - refused[0] < args.pause]
        print(f"Retry-After: {args.pause}, 60 creates booked {dict(statuses)}: {len(refused) - len(late)} requests until it was heard, {len(late)} in the pause {late[:5]}")
        print(f"    polls meanwhile: {summary([took for _, took, _ in polls.results])}, {dict(collections.Counter(r for *_, r in polls.results))}")
        asked = sum("/other/" in request.path for request in vendor.server.requests)
        print(f"    another project: {len(others.results)} polls, {asked} requests, {summary([took for _, took, _ in others.results])}")
    vendor.close()


def polls(args):
    """Many polls at once. Bound: each is answered within 10 s, or refused as UNAVAILABLE."""
    for latency in args.latency:
        vendor = BigQuery()
        with running(vendor) as service:
            flyte = Grpc(service)
            category = agent_pb2.TaskCategory(name=vendor.task_type, version=0)
            handles = [flyte.create().resource_meta for _ in range(args.jobs)]
            requests = [agent_pb2.GetTaskRequest(task_category=category, task_type=vendor.task_type, resource_meta=h).SerializeToString() for h in handles]

            def slow(request):
                answer = getattr(vendor, f"_{request.kind}")(request, *vendor._kind(request)[1])
                answer.delay = latency / 1000
                return answer

            vendor.on = dict.fromkeys(["get", "list"], slow)
            outcomes = burst(service.port, GET, TOKEN, [requests[n % args.jobs] for n in range(args.count)], within=120)
            statuses = dict(collections.Counter(status for _, status in outcomes))
            answered = [seconds for seconds, _ in outcomes]
            late = sum(seconds > 10 for seconds in answered) + args.count - len(outcomes)
            print(
                f"{args.count} polls of {args.jobs} jobs, {latency} ms at the vendor: {statuses}, {late} later than 10 s or never, {summary(answered)}; "
                f"{vendor.count('get', 'list')} requests, peak {service.memory(peak=True) / MIB:.0f} MiB"
            )
            flyte.close()
        vendor.close()


def views(args):
    """Polls of running jobs that one call can list. Bound: p50 2 ms, p99 one call and 10 ms, 0.05 calls a poll."""
    for callers in args.callers:
        vendor = BigQuery()
        with running(vendor) as service:
            rest = Rest(service, TOKEN)
            with concurrent.futures.ThreadPoolExecutor(20) as pool:
                handles = list(pool.map(lambda _: rest.created(), range(args.jobs)))

            def slow(request):
                answer = getattr(vendor, f"_{request.kind}")(request, *vendor._kind(request)[1])
                answer.delay = args.latency / 1000
                return answer

            vendor.on = dict.fromkeys(["get", "list"], slow)
            with concurrent.futures.ThreadPoolExecutor(20) as pool:
                began = time.monotonic()
                assert set(pool.map(lambda handle: rest.get(handle).status, handles)) == {200}
            first, before = time.monotonic() - began, vendor.count("get", "list")
            with Pace(lambda n: rest.get(handles[n % args.jobs]).status, args.rate, threads=callers) as polls:
                time.sleep(args.seconds)
            calls = vendor.count("get", "list") - before
            statuses = dict(collections.Counter(status for *_, status in polls.results))
            print(
                f"{args.jobs} jobs, {callers} callers, {args.rate} polls/s, {args.latency} ms at the vendor: "
                f"{summary([took for _, took, _ in polls.results])}, {statuses}; {calls} calls, {calls / len(polls.results):.3f} a poll; "
                f"before, the first poll of each: {first:.1f} s, {before} calls"
            )
        vendor.close()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=programs.ROOT / "target" / "release", help="directory of the programs")
    commands = parser.add_subparsers(required=True, metavar="FIGURES")

    def command(run, *options):
        sub = commands.add_parser(run.__name__.replace("_", "-"), help=run.__doc__, description=run.__doc__)
        sub.set_defaults(run=run)
        for name, settings in options:
            sub.add_argument(name, **settings)

    number = lambda default, what: {"type": int, "default": default, "help": f"{what} ({default})"}  # noqa: E731
    numbers = lambda default, what: {"type": float, "nargs": "+", "default": default, "help": f"{what} ({default})"}  # noqa: E731
    command(cost, ("--mib", numbers([1, 8], "sizes of the request")), ("--shape", {"help": "only shapes with this in their name"}))
    command(
        bystanders,
        ("--shape", {"nargs": "+", "help": "which shapes"}),
        ("--mib", {"type": float, "default": 8, "help": "size of the request (8)"}),
        ("--seconds", number(20, "how long")),
        ("--rate", number(50, "polls per second")),
    )
    command(silent, ("--count", number(5000, "connections of each kind")), ("--drained", number(1000, "connections at SIGTERM")))
    command(failure, ("--rate", number(20, "calls per second")), ("--seconds", number(30, "how long")))
    command(
        token_hang,
        ("--rate", {"type": int, "nargs": "+", "default": [10, 50, 200], "help": "calls per second (10 50 200)"}),
        ("--latency", numbers([50, 200, 500], "milliseconds that the endpoint takes once it has recovered")),
        ("--hang", number(20, "seconds")),
    )
    command(rotation, ("--rate", number(5, "creates per second")), ("--seconds", number(60, "until the file comes")))
    command(quiet, ("--pause", number(20, "seconds of Retry-After")))
    command(polls, ("--count", number(10_000, "polls")), ("--jobs", number(1000, "jobs")), ("--latency", numbers([0, 200, 1000], "milliseconds at the vendor")))
    command(
        views,
        ("--callers", {"type": int, "nargs": "+", "default": [10, 100, 1000], "help": "callers at once (10 100 1000)"}),
        ("--jobs", number(1000, "running jobs")),
        ("--rate", number(200, "polls per second")),
        ("--latency", number(100, "milliseconds at the vendor")),
        ("--seconds", number(20, "how long")),
    )
    return parser.parse_args()


def main():
    args = arguments()
    programs.PROGRAMS = args.bin.resolve()
    args.run(args)


if __name__ == "__main__":
    main()
