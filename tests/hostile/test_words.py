"""What a vendor says is not believed, repeated at length, or waited for without end."""

import asyncio
import time

import pytest
from flyteidl.core import execution_pb2

from callers import Grpc, Rest, code
from conftest import every_vendor
from http_server import Answer, Raw

MIB = "M" * (1 << 20)
# What Flyte keeps of a message is less; a line of the log has 64 KiB.
LONGEST_REPLY, LONGEST_LINE = 64 << 10, 64 << 10


def states(vendor, state, message):
    """An answer to a get with a vendor's words in every field that the service reads."""
    match vendor.program:
        case "bigquery":
            error = {"reason": state, "message": message}
            return lambda request: Answer(200, vendor.job("acme", request.path.rpartition("/")[2], status={"state": state, "errorResult": error}))
        case "databricks":
            details = {"code": state, "type": state, "message": message}
            run = {"state": {"life_cycle_state": state, "result_state": state, "state_message": message}, "run_page_url": f"https://x/{message}"}
            return lambda request: Answer(200, {"run_id": int(request.query["run_id"]), **run, "status": {"state": state, "termination_details": details}})
        case "snowflake":
            return lambda request: Answer(202, {"code": state, "message": message, "statementHandle": "01b2", "sqlState": state})


def failures(vendor, message):
    """An answer that a job has failed."""
    match vendor.program:
        case "bigquery":
            error = {"reason": message, "message": message, "location": message}
            return lambda request: Answer(200, vendor.job("acme", request.path.rpartition("/")[2], status={"state": "DONE", "errorResult": error, "errors": [error] * 3}))
        case "databricks":
            details = {"code": "RUN_EXECUTION_ERROR", "type": "CLIENT_ERROR", "message": message}
            state = {"life_cycle_state": "TERMINATED", "result_state": "FAILED", "state_message": message}
            return lambda request: Answer(200, {"run_id": int(request.query["run_id"]), "state": state, "status": {"state": "TERMINATED", "termination_details": details}})
        case "snowflake":
            return lambda request: Answer(422, {"code": message, "message": message, "sqlState": message, "statementHandle": "01b2"})


def assert_short(service, *replies):
    for reply in replies:
        assert len(reply) <= LONGEST_REPLY, f"{len(reply)} bytes: {reply[:100]!r}…"
    longest = max(map(len, service.log().splitlines()))
    assert longest <= LONGEST_LINE + 4096, f"a line of {longest} bytes"
    assert len(service.metrics()) < 256 << 10


def polled(vendor, answer):
    vendor.on["get"] = answer
    # A list has none of them, so that each job is fetched.
    vendor.on["list"] = lambda _: Answer(200, {})


@every_vendor
def test_a_long_state_is_cut(service, rest, flyte, vendor):
    handle, of_flyte = rest.created(), flyte.create().resource_meta
    polled(vendor, states(vendor, "S" * (1 << 20), MIB))
    reply, answer = rest.get(handle), flyte.get(of_flyte)
    assert reply.status == 200 and code(answer) == "OK", f"{reply.text[:300]} {answer}"
    assert_short(service, reply.content, answer.SerializeToString())


@every_vendor
def test_a_long_failure_is_cut(service, rest, flyte, vendor):
    handle, of_flyte = rest.created(), flyte.create().resource_meta
    polled(vendor, failures(vendor, MIB))
    vendor.on["output"] = lambda _: Answer(200, {"error": MIB, "error_trace": MIB})
    reply, answer = rest.get(handle), flyte.get(of_flyte)
    assert reply.json["job_state"] == "failed" and code(answer) == "OK"
    assert_short(service, reply.content, answer.SerializeToString())


@every_vendor
def test_a_long_refusal_is_cut(service, rest, flyte, vendor):
    vendor.on["create"] = lambda _: vendor.refusal(400, MIB)
    reply, answer = rest.create(), flyte.create()
    assert 400 <= reply.status < 500, reply.text[:300]
    assert len(answer.resource_meta) <= 1024
    vendor.on["delete"] = lambda _: vendor.refusal(400, MIB)
    vendor.on.pop("create")
    assert_short(service, reply.content, rest.delete(rest.created()).content)


@pytest.mark.parametrize("size", [200, 5_000, 1 << 20])
def test_a_long_location_loses_no_job(service, rest, flyte, vendor, size):
    """BigQuery's own words end up in a handle."""

    def create(request):
        answer = vendor._create(request, "acme")
        answer.content["jobReference"]["location"] = "L" * size
        return answer

    vendor.on["create"] = create
    # Without a location of the author, the handle has what BigQuery says.
    reply = rest.create(custom={"ProjectID": "acme"})
    if reply.status != 200:
        assert reply.status in (400, 422, 503), reply.text
        assert vendor.count("delete") == 1, "the job that nobody can find is stopped"
    assert_short(service, reply.content)


@pytest.mark.parametrize("vendor", ["snowflake"], indirect=True)
@pytest.mark.parametrize("handle", ["h" * 5_000, "h" * (1 << 20), "../../x", "", None, 5, ["x"], "a\r\nb"], ids=lambda value: repr(value)[:12])
def test_an_odd_statement_handle_loses_no_job(service, rest, vendor, handle):
    vendor.on["create"] = lambda _: Answer(202, {"code": "333334", "message": "", "statementHandle": handle})
    reply = rest.create()
    assert reply.status != 200 or rest.get(reply.json["job_id"]).status == 200
    assert reply.status != 500, reply.text
    assert_short(service, reply.content)
    assert vendor.count("unknown") == 0


@pytest.mark.parametrize("vendor", ["databricks"], indirect=True)
@pytest.mark.parametrize("run_id", [-1, 0, 1.5, "1", None, 1 << 70, [1], {}], ids=repr)
def test_an_odd_run_id_is_no_outcome(service, rest, vendor, run_id):
    vendor.on["create"] = lambda _: Answer(200, {"run_id": run_id})
    reply = rest.create()
    assert reply.status in (200, 503), reply.text


def service_token(vendor):
    return {"bigquery": "ya29.", "databricks": "dapi-of-the-service", "snowflake": "pat-of-the-service"}[vendor.program]


@every_vendor
def test_a_vendor_that_echoes_a_token_is_masked(service, rest, flyte, vendor):
    """A vendor, or a proxy before it, that repeats the request's headers in its error."""
    handle, of_flyte = rest.created(), flyte.create().resource_meta

    def echo(request):
        return vendor.refusal(400, f"bad request: authorization: {request.headers['authorization']}")

    vendor.on = dict.fromkeys(["create", "get", "list", "delete"], echo)
    texts = [rest.create().text, rest.get(handle).text, rest.delete(handle).text]
    refused = flyte.create()
    texts += [str(refused), str(flyte.get(of_flyte)), str(flyte.delete(of_flyte))]
    if code(refused) == "OK":
        texts.append(str(flyte.get(refused.resource_meta)))
    secret = service_token(vendor)
    for text in (*texts, service.log(), service.metrics()):
        assert secret not in text
    vendor.on = {"get": lambda request: failures(vendor, request.headers["authorization"])(request), "list": lambda _: Answer(200, {})}
    assert secret not in rest.get(handle).text and secret not in service.log()


GARBAGE = {
    "nothing": b"",
    "HTML": b"<html><body>502</body></html>",
    "a list": b"[]",
    "null": b"null",
    "a number": b"1",
    "no UTF-8": b"\xff\xfe\xfd",
    "half": b'{"status": {"state": "RUN',
    "nested": b"[" * 200_000,
    "a NUL": b'{"a": "\\u0000"}',
    "an empty object": b"{}",
    "an endless number": b'{"run_id": 1' + b"0" * 100_000 + b"}",
    "1 MiB of blanks": b" " * (1 << 20),
}


@every_vendor
def test_an_answer_that_is_not_the_vendors_is_no_verdict(service, rest, flyte, vendor):
    handle = rest.created()
    of_flyte = flyte.create().resource_meta
    for name, content in GARBAGE.items():
        vendor.on = {kind: lambda _, content=content: Answer(200, content) for kind in ("create", "get", "list")}
        assert rest.get(handle).json["phase"] in ("QUEUED", "RUNNING", "INITIALIZING"), name
        answer = flyte.get(of_flyte)
        assert code(answer) == "OK" and answer.resource.phase not in (0, 3, 5), f"{name}: {answer}"
    assert service.is_running() and service.metric("plugin_panics_total") == 0


@every_vendor
@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
def test_a_create_answered_with_garbage_is_repeated(shared_vendors, vendor, content):
    """Its outcome is unknown: never a verdict, and the same key the next time."""
    service = shared_vendors(vendor)
    vendor, rest = service.vendor, Rest(service)
    vendor.reset()
    vendor.on["create"] = lambda _: Answer(200, content)
    reply = rest.create(output_prefix=f"s3://flyte/garbage/{hash(content)}", headers={"X-Request-Timeout": "3s"})
    assert reply.status >= 500 or reply.status == 429, reply.text
    keys = {str(request.query) + request.body.decode() for request in vendor.of("create")}
    assert len({key.replace("retry=true", "") for key in keys}) <= 2


async def cut(writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
    await writer.drain()


async def endless(writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(4096):
        writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        await writer.drain()


async def dripping(writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(200):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.2)


async def a_dripping_head(writer):
    for byte in b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + b"X: y\r\n" * 100:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.1)


async def only_100_continue(writer):
    for _ in range(1000):
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def huge_head(writer):
    writer.write(b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"a" * (8 << 20) + b"\r\n\r\n{}")
    await writer.drain()


async def more_than_its_length(writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n{}}}}}HTTP/1.1 200 OK\r\n\r\n")
    await writer.drain()


async def two_lengths(writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\n{}{}")
    await writer.drain()


async def nothing(writer):
    pass


async def no_http(writer):
    writer.write(b"\x16\x03\x03 SSH-2.0-OpenSSH\r\n\r\n")
    await writer.drain()


async def silence(writer):
    await asyncio.sleep(30)


BROKEN = [cut, endless, dripping, a_dripping_head, only_100_continue, huge_head, more_than_its_length, two_lengths, nothing, no_http, silence]


@pytest.mark.parametrize("write", BROKEN, ids=lambda write: write.__name__)
def test_a_broken_answer_ends_in_time_and_is_no_verdict(shared_vendors, write):
    service = shared_vendors("databricks")
    vendor, rest, flyte = service.vendor, Rest(service), Grpc(service, timeout=5)
    vendor.reset()
    handle, of_flyte = rest.created(), flyte.create().resource_meta
    vendor.on = {kind: lambda _: Raw(write) for kind in ("create", "get", "list")}
    started = time.monotonic()
    # What is too large would be too large again.
    phases = {"FAILED"} if write is endless else {"QUEUED", "RUNNING", "INITIALIZING"}
    assert rest.get(handle, headers={"X-Request-Timeout": "5s"}).json["phase"] in phases
    answer = flyte.get(of_flyte)
    assert code(answer) == "OK" and execution_pb2.TaskExecution.Phase.Name(answer.resource.phase) in phases
    assert rest.create(headers={"X-Request-Timeout": "3s"}).status >= (400 if write is endless else 429)
    assert time.monotonic() - started < 30
    assert service.memory() < 192 << 20
    vendor.reset()


@every_vendor
def test_numbers_and_types_of_another_kind_are_no_verdict(service, rest, vendor):
    handle = rest.created()
    odd = [None, 1, "x", [], {}, True, 1e308, -1]
    for value in odd:
        members = dict.fromkeys(["status", "state", "code", "message", "run_id", "statistics", "tasks", "jobReference"], value)
        vendor.on = {"get": lambda _: Answer(200, members), "list": lambda _: Answer(200, {"jobs": [members], "runs": [members]})}
        reply = rest.get(handle)
        assert reply.status == 200 and reply.json["job_state"] == "running", f"{value!r}: {reply.text}"
    assert service.metric("plugin_panics_total") == 0


def test_an_author_gets_short_words_back(service, rest):
    """A refusal does not repeat a value of any length."""
    for custom in ({"ProjectID": "x" * 500_000}, {"x" * 500_000: 1, "ProjectID": 5}, {"ProjectID": ["x" * 500_000]}):
        reply = rest.create(custom=custom)
        assert reply.status in (400, 413, 422)
        assert_short(service, reply.content)
