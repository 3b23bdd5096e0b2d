"""A vendor that fails every call is not asked several times as often, and is found again when it recovers."""

import asyncio
import concurrent.futures
import time

import pytest

from callers import Grpc, Rest
from conftest import every_vendor
from http_server import Answer, Raw
from programs import eventually

RATE, SECONDS = 20, 6


async def hang_up(writer):
    writer.transport.abort()


async def reset(writer):
    writer.write(b"HTTP/1.1 200")
    await writer.drain()
    writer.transport.abort()


TROUBLE = {
    "503": lambda vendor: lambda _: vendor.refusal(503, "on fire"),
    "500": lambda vendor: lambda _: vendor.refusal(500, "on fire"),
    "502 of a load balancer": lambda _: lambda _: Answer(502, b"<html>Bad Gateway</html>", {"content-type": "text/html"}),
    "no answer": lambda _: lambda _: Raw(hang_up),
    "half an answer": lambda _: lambda _: Raw(reset),
}


def at_a_rate(call, arguments):
    """Calls at a steady rate; the results in order."""
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        started, calls = time.monotonic(), []
        for number, argument in enumerate(arguments):
            time.sleep(max(0, started + number / RATE - time.monotonic()))
            calls.append(pool.submit(call, argument))
        return [call.result() for call in calls]


def fail(vendor, trouble):
    vendor.server.clear()
    vendor.on = dict.fromkeys(["create", "get", "list", "delete"], TROUBLE[trouble](vendor))


def requests(vendor):
    return vendor.count("create", "get", "list", "delete")


@pytest.mark.parametrize(
    "verb, trouble",
    [*(("get", trouble) for trouble in TROUBLE), *((verb, trouble) for verb in ("create", "delete") for trouble in ("503", "no answer"))],
)
def test_total_failure_costs_a_fifth_more_requests(start, vendor, verb, trouble):
    service = start(vendor)
    rest = Rest(service)
    calls = RATE * SECONDS
    handles = [] if verb == "create" else [rest.created() for _ in range(calls)]
    fail(vendor, trouble)
    short = {"X-Request-Timeout": "5s"}
    if verb == "create":
        replies = at_a_rate(lambda _: rest.create(headers=short), range(calls))
        assert {reply.status for reply in replies} <= {429, 500, 502, 503, 504}
    elif verb == "get":
        replies = at_a_rate(lambda handle: rest.get(handle, short), handles)
        assert {reply.status for reply in replies} == {200}
        assert {reply.json["job_state"] for reply in replies} == {"running"}
    else:
        replies = at_a_rate(lambda handle: rest.delete(handle, short), handles)
        assert {reply.status for reply in replies} <= {429, 500, 502, 503, 504}
    assert 1 <= requests(vendor) <= 1.2 * calls, f"{requests(vendor) / calls:.2f} requests a call"


@every_vendor
def test_a_vendor_that_recovered_is_asked_again(service, vendor):
    rest = Rest(service)
    handles = [rest.created() for _ in range(60)]
    fail(vendor, "503")
    at_a_rate(rest.get, handles)
    vendor.on = {}
    recovered = time.monotonic()
    eventually(lambda: rest.get(handles[0]) and vendor.count("get", "list", since=recovered), what="asked again")
    eventually(lambda: rest.create().status == 200, what="a create succeeds")


def test_a_repeated_create_starts_one_job(service, vendor, rest):
    """Every answer to a create is lost, until one is not."""
    lost = []

    def lose(request):
        vendor._create(request, "acme")
        lost.append(request)
        return Answer(503, {}) if len(lost) < 4 else None

    vendor.on["create"] = lose
    eventually(lambda: rest.create(output_prefix="s3://flyte/once").status == 200, within=30, what="created")
    assert len(vendor.jobs) == 1 and len(lost) >= 4


def test_a_vendor_that_hangs_takes_no_more_than_its_share(start, vendor):
    """Every call to one project hangs; calls to others are served."""
    service = start(vendor)
    rest, flyte = Rest(service), Grpc(service)
    hanging = {**vendor.custom, "ProjectID": "hanging"}

    async def wait(_):
        await asyncio.sleep(20)
        return Answer(503)

    vendor.on["create"] = lambda request: wait(request) if "/hanging/" in request.path else None
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        stuck = [pool.submit(rest.create, custom=hanging, headers={"X-Request-Timeout": "9s"}) for _ in range(60)]
        eventually(lambda: vendor.server.under_way.get("create", 0) >= 20, what="they hang")
        replies = [rest.create(headers={"X-Request-Timeout": "8s"}).status for _ in range(10)]
        assert set(replies) <= {200, 503, 504} and replies.count(200) >= 8, replies
        assert all(call.result().status >= 429 for call in stuck)
    flyte.close()
