"""Creates, polls and deletes, as the bridge sends them."""

import contextlib
import json

import pytest

import plugins
from conftest import query, read
from outrigger_plugin import asgi
from outrigger_plugin.cli.offer import SocketConnection
from outrigger_plugin.operations import checked

ECHO = "a/deep.echo/0"


def test_plugins_are_listed(caller):
    answer = caller.send("GET", "")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.body["plugins"][:2] == [
        {"task_type": "shoutout", "version": 0, "sync": False},
        {"task_type": "threaded", "version": 2, "sync": False},
    ]
    assert answer.body["plugins"][-1] == {"task_type": "chat", "version": 0, "sync": True}


def test_job_runs_to_its_end(caller):
    job = caller.create("shoutout/0", {"text": "good night"}, key="ab12").body["job_id"]
    assert job == {"id": "ab12"}
    running, succeeded = caller.poll("shoutout/0", job).body, caller.poll("shoutout/0", job).body
    assert (running["phase"], running["job_state"], running["message"]) == ("RUNNING", "running", "shouting")
    assert (succeeded["phase"], succeeded["job_state"]) == ("SUCCEEDED", "succeed")
    assert succeeded["outputs"] == {"o0": "GOOD NIGHT!"}
    assert caller.delete("shoutout/0", job).body == {}
    assert "ab12" not in plugins.shoutout.jobs


def test_repeated_create_has_the_same_key(caller):
    first, second = (caller.create("shoutout/0", {"text": "once"}, key="again") for _ in range(2))
    assert first == second and list(plugins.shoutout.jobs).count("again") == 1


def test_methods_that_are_not_async_run_in_threads(caller):
    job = caller.create("threaded/2").body["job_id"]
    outputs = caller.poll("threaded/2", job).body["outputs"]
    assert all(name.startswith("outrigger-plugin") for name in outputs.values()) and len(outputs) == 2


def test_stop_iteration_in_a_thread_is_an_error(caller):
    answer = caller.delete("threaded/2", "job")
    assert (answer.status, answer.body["message"]) == (500, "RuntimeError: StopIteration")


@pytest.mark.parametrize("job", [True, 7, -1.5, "größer & + %", ["a", {"b": [1]}], {"a b": "c+d"}, ""])
def test_job_is_any_json(caller, job):
    assert caller.create(ECHO, {"value": job}).body["job_id"] == job
    assert caller.poll(ECHO, job).body["outputs"] == {"value": job}


@pytest.mark.parametrize("space", ["+", "%20"])
def test_spaces_in_a_query_have_either_form(caller, space):
    answer = caller.send("GET", f"/{ECHO}?job_id=%22a{space}b%2Bc%22")
    assert answer.body["outputs"] == {"value": "a b+c"}


def test_long_job_is_in_the_body(caller):
    job = caller.create(ECHO, {"size": 8190}).body["job_id"]
    assert caller.send("POST", f"/{ECHO}/poll", {"job_id": job}).body["outputs"] == {"value": job}
    assert caller.send("POST", f"/{ECHO}/delete", {"job_id": job}).body == {}
    assert plugins.echo.deleted.pop() == job


def test_create_that_returns_nothing_is_an_exception(caller, caplog):
    answer = caller.create(ECHO, {"value": None})
    expected = "TypeError: create returned None: return what finds the job again"
    assert (answer.status, answer.body) == (500, {"error_code": None, "message": expected})
    assert "create of a/deep.echo:0 failed" in caplog.text and expected in caplog.text


def test_job_that_does_not_fit_into_a_handle_is_deleted(caller):
    answer = caller.create(ECHO, {"size": 8191})
    expected = "what create returned: has 8193 bytes as JSON, and 8192 are allowed; the job was deleted"
    assert (answer.status, answer.body) == (422, {"error_code": "UNUSABLE_JOB", "message": expected})
    assert plugins.echo.deleted.pop() == "x" * 8191


def test_job_that_contains_itself_is_refused():
    job = []
    job.append(job)
    with pytest.raises(ValueError, match="what create returned: is nested too deeply"):
        checked(job)


def test_job_with_a_large_integer_is_deleted(caller):
    answer = caller.create(ECHO, {"value": {"id": 2**64}})
    assert answer.body["message"].startswith("what create returned.id: an integer beyond 64 bits")
    assert plugins.echo.deleted.pop() == {"id": 2**64}


@pytest.mark.parametrize(
    "about, phase, state, expected",
    [
        ("queued", "QUEUED", "running", {"message": "in line", "log_links": [vars(plugins.LINK)]}),
        ("initializing", "INITIALIZING", "running", {"custom_info": {"node": 1}}),
        ("waiting", "WAITING_FOR_RESOURCES", "running", {"message": "no machine"}),
        (
            "running",
            "RUNNING",
            "running",
            {
                "message": "60 %",
                "log_links": [{"name": "Log", "uri": "https://log.example.com"}],
                "custom_info": {"done": 0.6},
            },
        ),
        (
            "succeeded",
            "SUCCEEDED",
            "succeed",
            {
                "message": "done",
                "outputs": {"message": "an output", "at": "2026-03-01T10:30:00+00:00", "took": 1.5},
            },
        ),
        ("failed", "FAILED", "failed", {"message": "bad column", "error_code": "BAD_COLUMN"}),
        ("retryable", "RETRYABLE_FAILED", "failed", {"message": "a machine was lost"}),
    ],
)
def test_statuses_are_reported(caller, about, phase, state, expected):
    empty = {"message": "", "error_code": None, "outputs": {}, "log_links": [], "custom_info": {}}
    answer = caller.poll("reporting/0", about)
    assert answer.status == 200
    assert answer.body == {**empty, "phase": phase, "job_state": state, **expected}


def test_poll_without_a_status_is_an_error(caller):
    answer = caller.poll("reporting/0", "nothing")
    assert answer.status == 500
    assert answer.body["message"] == "TypeError: poll returned NoneType: return a status, for example Running()"


@pytest.mark.parametrize("path", ["", "/", "/shoutout", "/shoutout/0/other", "/shoutout/one", "/shoutout/1", "/x/0"])
def test_unknown_paths_and_task_types_are_not_found(caller, path):
    answer = caller.send("GET", path and f"{path}?{query('job')}")
    assert answer.status == (200 if path in ("", "/") else 404)
    if answer.status == 404:
        assert answer.body["error_code"] == "NOT_FOUND"


def test_path_outside_is_not_found(caller):
    assert type(caller)(caller.path, "/other").send("GET", "").status == 404


@pytest.mark.parametrize(
    "method, path, allowed",
    [("POST", "", "GET"), ("PATCH", "/shoutout/0", "PUT, GET, DELETE, POST"), ("GET", "/shoutout/0/poll", "POST")],
)
def test_wrong_method_is_refused(caller, method, path, allowed):
    answer = caller.send(method, path)
    assert (answer.status, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize(
    "method, path, body, expected",
    [
        ("GET", "", None, "job_id: expected exactly one in the query"),
        ("GET", "?job_id=1&job_id=2", None, "job_id: expected exactly one in the query"),
        ("GET", "?job_id=", None, "job_id: not JSON"),
        ("DELETE", "?job_id={", None, "job_id: not JSON"),
        ("POST", "/poll", {}, "job_id: missing"),
        ("PUT", "", b"", "the body: not JSON"),
        ("PUT", "", b"\xff", "the body: not JSON"),
        ("PUT", "", b"[" * 100_000, "the body: not JSON"),
        ("PUT", "", [], "the body: expected a JSON object"),
        ("PUT", "", {"inputs": []}, "inputs: expected a JSON object"),
        ("PUT", "", {"template": {"custom": 1}}, "custom: expected a JSON object"),
    ],
)
def test_malformed_request_is_refused(caller, method, path, body, expected):
    answer = caller.send(method, f"/reporting/0{path}", body, idempotency_key="key")
    assert answer.status == 400
    assert answer.body["error_code"] == "MALFORMED" and answer.body["message"].startswith(expected)


def test_headers_of_a_create_are_checked(caller):
    assert caller.send("PUT", "/shoutout/0", {}).body["message"] == "Idempotency-Key: missing"
    for text in ("soon", "1" * 30):
        answer = caller.send("PUT", "/shoutout/0", {}, idempotency_key="k", outrigger_deadline_ms=text)
        assert answer.status == 400 and answer.body["message"].startswith("Outrigger-Deadline-Ms: expected")


def test_body_that_does_not_arrive_is_not_waited_for(caller, monkeypatch):
    monkeypatch.setattr(asgi, "BODY_TIMEOUT", 0.1)
    connection = SocketConnection(caller.path)
    with contextlib.closing(connection):
        connection.putrequest("PUT", "/plugins/v1/shoutout/0")
        connection.putheader("idempotency-key", "k")
        connection.putheader("content-length", "2")
        connection.endheaders(b"{")
        answer = read(connection)
    expected = {"error_code": "TIMEOUT", "message": "the body did not arrive within 0.1 s"}
    assert (answer.status, answer.body, answer.headers["connection"]) == (408, expected, "close")


def test_body_of_8_mib_is_read_and_no_larger_one(caller):
    empty = len(json.dumps({"inputs": {"value": 0, "pad": ""}}))
    for size, status in ((8 << 20, 200), ((8 << 20) + 1, 413)):
        body = json.dumps({"inputs": {"value": 0, "pad": "x" * (size - empty)}}).encode()
        assert len(body) == size
        assert caller.send("PUT", f"/{ECHO}", body, idempotency_key="key").status == status
