"""Which calls are repeated, when, and how a service's errors read."""

import grpc
import pytest
from conftest import bigquery, flyte_run, pyflyte_run
from forwarder import forwarder

Code = grpc.StatusCode
REPORT = ("flyte1.py", "report", "--day", "2026-03-01", "--ids", "[1, 2]")


@pytest.fixture
def run(bigquery_service):
    """Runs a query over a network that answers a call in this way."""

    def refused(call, *answers):
        with forwarder(bigquery_service) as (network, port):
            network.refuse(call, *answers)
            settings = bigquery_service.settings(OUTRIGGER_ENDPOINT=f"http://127.0.0.1:{port}")
            return pyflyte_run(*REPORT, **settings), network

    return refused


def test_answer_of_service_is_not_reported_as_unreachable(run):
    ended, network = run("CreateTask", *[(Code.UNAVAILABLE, "the vendor is down")] * 4)
    assert ended.code == 1
    assert "answered UNAVAILABLE: the vendor is down" in ended.words
    assert "check that the service is running" not in ended.words
    assert len(network.requests_to("CreateTask")) == 4


def test_transient_poll_error_is_shown_while_waiting(run):
    ended, _ = run("GetTask", (Code.DEADLINE_EXCEEDED, "the vendor is slow"))
    assert ended.code == 0, ended.words
    assert "waiting: http://127.0.0.1:" in ended.words
    assert "answered DEADLINE_EXCEEDED: the vendor is slow" in ended.words


def test_pushback_of_service_is_respected(run):
    pushback = ("grpc-retry-pushback-ms", "1500")
    ended, network = run("CreateTask", (Code.RESOURCE_EXHAUSTED, "too many", pushback))
    assert ended.code == 0, ended.words
    first, second = network.times_of("CreateTask")
    assert second - first >= 1.5


@pytest.mark.parametrize("words", ["payload too large", "Received message larger than max (9 vs. 4)"])
def test_too_large_request_is_sent_once(run, words):
    ended, network = run("CreateTask", *[(Code.RESOURCE_EXHAUSTED, words)] * 4)
    assert ended.code == 1
    assert f"answered RESOURCE_EXHAUSTED: {words}" in ended.words
    assert len(network.requests_to("CreateTask")) == 1


def add_five_mebibytes(resource):
    resource.custom_info["unused"] = "x" * (5 << 20)


def test_large_answers_are_accepted(bigquery_service):
    with forwarder(bigquery_service) as (network, port):
        network.edit_polls(add_five_mebibytes)
        settings = bigquery_service.settings(OUTRIGGER_ENDPOINT=f"http://127.0.0.1:{port}")
        run = pyflyte_run(*REPORT, **settings)
    assert run.code == 0, run.words[:1000]


@pytest.mark.parametrize("name", ["http_proxy", "grpc_proxy"])
def test_loopback_bypasses_proxy(bigquery_service, name):
    unreachable = {name: "http://127.0.0.1:1", "no_proxy": ""}
    run = pyflyte_run(*REPORT, **bigquery_service.settings(**unreachable))
    assert run.code == 0, run.words


@pytest.mark.parametrize(("ending", "jobs"), [("invalidQuery", 1), ("backendError", 3)])
def test_flyte_2_retries_only_retryable_failures(tmp_path, ending, jobs):
    with bigquery(tmp_path, f"--ending={ending}") as failing:
        run = flyte_run("flyte2.py", "insistent", "--word", "hello", **failing.settings())
        assert run.code == 1
        assert "as scripted" in run.words
        assert failing.jobs() == jobs


def test_flyte_2_does_not_retry_refusals(bigquery_service):
    with forwarder(bigquery_service) as (network, port):
        network.refuse("CreateTask", *[(Code.INVALID_ARGUMENT, "no such column")] * 3)
        settings = bigquery_service.settings(OUTRIGGER_ENDPOINT=f"http://127.0.0.1:{port}")
        run = flyte_run("flyte2.py", "insistent", "--word", "hello", **settings)
    assert run.code == 1
    assert "answered INVALID_ARGUMENT: no such column" in run.words
    assert len(network.requests_to("CreateTask")) == 1
