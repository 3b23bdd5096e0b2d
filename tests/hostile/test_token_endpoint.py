"""A token endpoint that hangs, fails or lies."""

import concurrent.futures
import threading
import time

import pytest

from callers import Rest
from conftest import every_vendor
from http_server import Answer
from programs import eventually
from vendors import Databricks

HANG, RATE = 8, 40
CLIENT = {"_FSEC_DATABRICKS_CLIENT_SECRET": "dose-of-the-service"}


def start_service(start, vendor, **options):
    """A service whose access tokens come from an endpoint."""
    if isinstance(vendor, Databricks):
        return start(vendor, "--auth-type=oauth_m2m", "--client-id=flyte", environment=CLIENT, **options)
    return start(vendor, **options)


class Hanging:
    """Holds the answers of a token endpoint back until it recovers; those that hang then hang on."""

    def __init__(self, vendor, latency):
        self.vendor, self.latency, self.recovered_at = vendor, latency, None
        vendor.on["token"] = self._answer

    def _answer(self, request):
        answer = self.vendor._token(request)
        answer.delay = self.latency if self.recovered_at else 20
        return answer

    def recover(self):
        self.recovered_at = time.monotonic()


def started_with_a_hung_endpoint(start, vendor, latency):
    """A service that never had a token, and handles of jobs."""
    first = start_service(start, vendor)
    handles = [Rest(first).created() for _ in range(20)]
    first.terminate()
    vendor.reset()
    endpoint = Hanging(vendor, latency)
    return start_service(start, vendor), handles, endpoint


def left_without_a_token(start, vendor, latency):
    """A service whose token expired while the endpoint hung, and handles of jobs."""
    vendor.on["token"] = lambda request: Answer(200, {**vendor._token(request).content, "expires_in": 3}, {"metadata-flavor": "Google"})
    service = start_service(start, vendor)
    handles = [Rest(service).created() for _ in range(20)]
    vendor.reset()
    endpoint = Hanging(vendor, latency)
    # The token expires.
    time.sleep(3)
    return service, handles, endpoint


ROWS = [(vendor, latency) for vendor in ("databricks", "bigquery") for latency in (0.05, 0.5)]


@pytest.mark.parametrize("prepare", [started_with_a_hung_endpoint, left_without_a_token])
@pytest.mark.parametrize("vendor, latency", ROWS, indirect=["vendor"])
def test_calls_are_signed_soon_after_the_endpoint_recovers(start, vendor, latency, prepare):
    service, handles, endpoint = prepare(start, vendor, latency)
    rest, stop, began = Rest(service), threading.Event(), time.monotonic()

    def poll(number):
        while not stop.wait(len(handles) / RATE):
            reply = rest.get(handles[number], {"X-Request-Timeout": "9s"})
            assert reply.status == 200 and reply.json["job_state"] == "running", reply.text
            assert "dose-of-the-service" not in reply.text

    with concurrent.futures.ThreadPoolExecutor(len(handles)) as pool:
        polls = [pool.submit(poll, number) for number in range(len(handles))]
        time.sleep(HANG)
        assert vendor.count("token") >= 1 and vendor.count("get", "list", since=began) == 0
        endpoint.recover()
        try:
            asked = lambda: [r.at for r in vendor.server.requests if r.kind in ("get", "list") and r.at > began]  # noqa: E731
            eventually(asked, within=15, what="polls are signed")
        finally:
            stop.set()
        for call in polls:
            call.result()
    assert asked()[0] - endpoint.recovered_at < 2.5
    # Two, and one that has ended, which the fake notices late on a busy machine.
    assert vendor.most_under_way("token") <= 3
    # A failure is remembered for a moment: not a request for each poll.
    assert vendor.count("token") < HANG * 3


@pytest.mark.parametrize("vendor", ["databricks", "bigquery"], indirect=True)
def test_a_failing_endpoint_is_not_asked_for_each_call(start, vendor):
    vendor.on["token"] = lambda _: Answer(503, {})
    service = start_service(start, vendor)
    rest = Rest(service)
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        started = time.monotonic()
        replies = list(pool.map(lambda _: rest.create(headers={"X-Request-Timeout": "3s"}), range(200)))
        took = time.monotonic() - started
    assert {reply.status for reply in replies} <= {429, 503, 504}, "an outage is no verdict"
    assert vendor.count("token") <= 20 + 5 * took and vendor.count("create") == 0
    vendor.on = {}
    eventually(lambda: rest.create().status == 200, within=15, what="signed again")


TOKENS = {
    "no token": {},
    "a number": {"access_token": 5, "expires_in": 3600},
    "an empty token": {"access_token": "", "expires_in": 3600},
    "a line break": {"access_token": "a\r\nx-evil: 1", "expires_in": 3600},
    "1 MiB": {"access_token": "a" * (1 << 20), "expires_in": 3600},
    "not ASCII": {"access_token": "ä", "expires_in": 3600},
    "an error": {"error": "invalid_client", "error_description": "E" * (1 << 20)},
    "a list": [],
    "no JSON": b"<html>",
}


@pytest.mark.parametrize("content", TOKENS.values(), ids=TOKENS)
def test_a_token_that_is_none_is_an_outage(start, content):
    vendor = Databricks()
    service = start_service(start, vendor)
    vendor.on["token"] = lambda _: Answer(200, content)
    reply = Rest(service).create(headers={"X-Request-Timeout": "3s"})
    assert reply.status in (429, 503, 504), reply.text[:300]
    assert len(reply.content) < 64 << 10 and vendor.count("create") == 0
    assert service.is_running() and service.metric("plugin_panics_total") == 0


@pytest.mark.parametrize("life", [0, -1, 1, "3600", 1e300, None, "x", 10**30], ids=repr)
def test_an_odd_life_of_a_token_is_no_outage_and_no_flood(start, life):
    vendor = Databricks()
    service = start_service(start, vendor)
    vendor.on["token"] = lambda request: Answer(200, {**vendor._token(request).content, "expires_in": life})
    rest = Rest(service)
    started = time.monotonic()
    statuses = {rest.create(headers={"X-Request-Timeout": "1s"}).status for _ in range(10)}
    assert statuses <= {200, 503, 504}
    # A token that is about to expire is renewed, but not for each call.
    assert vendor.count("token") <= 22, f"{vendor.count('token')} in {time.monotonic() - started:.1f} s"


@every_vendor
def test_a_secret_reaches_no_answer_and_no_log(start, vendor):
    service = start_service(start, vendor)
    vendor.on = {kind: lambda request: vendor.refusal(400, str(request.headers) + request.body.decode()) for kind in ("create", "token")}
    texts = [Rest(service).create(headers={"X-Request-Timeout": "3s"}).text for _ in range(3)]
    for text in (*texts, service.log()):
        for secret in ("dose-of-the-service", "dapi-of-the-service", "pat-of-the-service", "ya29."):
            assert secret not in text


def test_tokens_of_one_workspace_go_to_no_other(start):
    vendor = Databricks()
    service = start_service(start, vendor)
    rest = Rest(service)
    for host in ("acme", "other"):
        assert rest.create(custom={**vendor.custom, "databricksInstance": f"{host}.cloud.databricks.com"}).status == 200
    tokens = {request.headers["authorization"] for request in vendor.of("create")}
    assert len(tokens) == 2 and vendor.count("token") == 2
