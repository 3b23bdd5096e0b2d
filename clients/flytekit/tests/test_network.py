"""Network failures between caller and service; token renewal; TLS."""

import os
import signal
import subprocess
import threading
import time

import grpc
import pytest
from conftest import fetch, finish, program, pyflyte_run, start, wait_until
from forwarder import forwarder

ARGUMENTS = {"pyflyte": ("flyte1.py", "report", "--day", "2026-03-01", "--ids", "[1, 2]"),
             "flyte": ("--local", "flyte2.py", "report", "--word", "hello")}  # fmt: skip


UNAVAILABLE, UNAUTHENTICATED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED


@pytest.fixture(params=ARGUMENTS)
def report(request):
    """A run in progress."""
    name = request.param
    return lambda **settings: start(program(name), "run", *ARGUMENTS[name], **settings)


def test_create_with_lost_answer_is_repeated_and_starts_one_job(report, bigquery_service):
    before = bigquery_service.jobs()
    with forwarder(bigquery_service) as (network, port):
        network.lost_answers = 1
        run = finish(report(**bigquery_service.settings(OUTRIGGER_ENDPOINT=f"http://127.0.0.1:{port}")))
    assert run.code == 0, run.words
    first, second = network.requests_to("CreateTask")
    assert first == second
    assert bigquery_service.jobs() == before + 1


def test_run_survives_outage(bigquery_service):
    with forwarder(bigquery_service) as (network, port):
        process = start(
            program("pyflyte"), "run", *ARGUMENTS["pyflyte"],
            **bigquery_service.settings(OUTRIGGER_ENDPOINT=f"http://127.0.0.1:{port}"),
        )  # fmt: skip
        wait_for_line(process, "QUEUED")
        network.outage = 2
        run = finish(process)
    assert run.code == 0, run.words
    assert all(0 < left < 31 for left in network.time_left), "every call has a deadline"
    assert "service unavailable; waiting:" in run.words and "the cable is out" in run.words


def test_token_file_is_read_for_each_call(report, bigquery_service, tmp_path):
    file = tmp_path / "token"
    first, second = bigquery_service.token(n=1), bigquery_service.token(n=2)
    file.write_text(first + "\n")
    with forwarder(bigquery_service) as (network, port):
        endpoint = f"http://127.0.0.1:{port}"
        process = report(OUTRIGGER_ENDPOINT=endpoint, OUTRIGGER_TOKEN_FILE=str(file))
        wait_for_line(process, "QUEUED")
        replace(file, second)
        run = finish(process)
    assert run.code == 0, run.words
    assert network.tokens[0] == f"Bearer {first}" and network.tokens[-1] == f"Bearer {second}"
    assert first not in run.words and second not in run.words


@pytest.mark.parametrize("bad", ["", "truncat", None], ids=["empty", "refused", "missing"])
def test_run_survives_late_token_renewal(report, stuck_bigquery, tmp_path, bad):
    file = tmp_path / "token"
    file.write_text(stuck_bigquery.token())
    process = report(OUTRIGGER_ENDPOINT=stuck_bigquery.url, OUTRIGGER_TOKEN_FILE=str(file))
    wait_for_line(process, "RUNNING")
    file.unlink() if bad is None else file.write_text(bad)
    wait_for_line(process, "waiting:")
    process.send_signal(signal.SIGINT)
    wait_for_line(process, "cancelling the job")
    replace(file, stuck_bigquery.token())
    run = finish(process, timeout=60)
    assert "the service is cancelling the job" in run.words
    assert states(stuck_bigquery) == ["DONE"]


def test_rejected_token_from_environment_ends_run(bigquery_service):
    with forwarder(bigquery_service) as (network, port):
        network.refuse("GetTask", (UNAUTHENTICATED, "it has expired"))
        settings = bigquery_service.settings(OUTRIGGER_ENDPOINT=f"http://127.0.0.1:{port}")
        run = pyflyte_run(*ARGUMENTS["pyflyte"], **settings)
    assert run.code == 1
    assert "requires a valid token (it has expired)" in run.words
    assert "the service is cancelling the job" in run.words


def test_transient_delete_error_is_repeated(report, stuck_bigquery):
    with forwarder(stuck_bigquery) as (network, port):
        network.refuse("DeleteTask", *[(UNAVAILABLE, "the job is not listed yet; repeat the request")] * 3)
        process = report(**stuck_bigquery.settings(OUTRIGGER_ENDPOINT=f"http://127.0.0.1:{port}"))
        wait_for_line(process, "RUNNING")
        process.send_signal(signal.SIGINT)
        run = finish(process, timeout=60)
    assert "the service is cancelling the job" in run.words
    assert len(network.requests_to("DeleteTask")) == 4
    assert all(left < 16 for left in network.time_left_to("DeleteTask")), "less than the wait at program exit"
    assert states(stuck_bigquery) == ["DONE"]


def test_ctrl_c_does_not_wait_for_pending_poll(report, stuck_bigquery):
    with forwarder(stuck_bigquery) as (network, port):
        network.holds_polls = True
        process = report(**stuck_bigquery.settings(OUTRIGGER_ENDPOINT=f"http://127.0.0.1:{port}"))
        wait_until(lambda: network.requests_to("GetTask"))
        process.send_signal(signal.SIGINT)
        run = finish(process, timeout=60)
    assert "the service is cancelling the job" in run.words
    assert states(stuck_bigquery) == ["DONE"]


def test_ctrl_c_cancels_job_at_vendor(report, stuck_bigquery):
    process = report(**stuck_bigquery.settings())
    wait_for_line(process, "RUNNING")
    assert states(stuck_bigquery) == ["RUNNING"]
    process.send_signal(signal.SIGINT)
    run = finish(process, timeout=60)
    assert run.code != 0
    assert "the service is cancelling the job" in run.words
    assert states(stuck_bigquery) == ["DONE"]


def test_ctrl_c_between_polls_cancels_job(report, stuck_bigquery):
    """Then no thread of gRPC runs, and from Python 3.12 on, a program that is about to exit cannot start one."""
    with forwarder(stuck_bigquery) as (network, port):
        process = report(**stuck_bigquery.settings(OUTRIGGER_ENDPOINT=f"http://127.0.0.1:{port}"))
        wait_for_line(process, "RUNNING")
        polls = len(network.requests_to("GetTask"))
        wait_until(lambda: len(network.requests_to("GetTask")) > polls)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        run = finish(process, timeout=15)
    assert "the service is cancelling the job" in run.words
    assert "cannot schedule" not in run.words and "create new thread" not in run.words
    assert states(stuck_bigquery) == ["DONE"]


def test_ctrl_c_cancels_job_of_another_thread(stuck_bigquery):
    """flytekit runs the tasks of an eager workflow outside of the main thread, which alone receives Ctrl-C."""
    workflow = ("flyte1.py", "later", "--day", "2026-03-01", "--ids", "[1, 2]")
    process = start(program("pyflyte"), "run", *workflow, **stuck_bigquery.settings())
    wait_for_line(process, "RUNNING")
    process.send_signal(signal.SIGINT)
    run = finish(process, timeout=60)
    assert run.code != 0
    assert "the service is cancelling the job" in run.words
    assert states(stuck_bigquery) == ["DONE"]


def test_ctrl_c_during_create_cancels_job(report, stuck_bigquery):
    with forwarder(stuck_bigquery) as (network, port):
        network.holds_answers = True
        process = report(**stuck_bigquery.settings(OUTRIGGER_ENDPOINT=f"http://127.0.0.1:{port}"))
        wait_until(lambda: stuck_bigquery.jobs() == 1)
        process.send_signal(signal.SIGINT)
        threading.Timer(1, network.released.set).start()
        run = finish(process, timeout=60)
    assert "the service is cancelling the job" in run.words
    assert states(stuck_bigquery) == ["DONE"]


def replace(file, token):
    """Replaces the file atomically, as token renewal does: a reader sees the old token or the new one."""
    new = file.with_suffix(".new")
    new.write_text(token + "\n")
    os.replace(new, file)


def wait_for_line(process, word):
    """Reads the output of ``process`` until it contains ``word``."""
    seen = ""
    while word not in seen:
        line = process.stderr.readline()
        assert line, f"{seen}{process.stdout.read()}"
        seen += line


def states(service):
    """The states of the vendor's jobs, according to the vendor."""
    metadata = f"{service.upstream}/computeMetadata/v1/instance/service-accounts/default/token"
    token = fetch(metadata, **{"metadata-flavor": "Google"})["access_token"]
    jobs = fetch(f"{service.upstream}/bigquery/v2/projects/acme-analytics/jobs", authorization=f"Bearer {token}")
    return [job["state"] for job in jobs["jobs"]]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for this machine, and its key."""
    files = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
            "-keyout", files / "key.pem", "-out", files / "cert.pem", "-days", "1",
        ],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return files / "cert.pem", files / "key.pem"


def test_tls_trusts_only_the_configured_ca(bigquery_service, certificate):
    cert, key = certificate
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), cert.read_bytes())])
    with forwarder(bigquery_service, credentials) as (network, port):
        settings = bigquery_service.settings(OUTRIGGER_ENDPOINT=f"https://localhost:{port}")
        believed = pyflyte_run(*ARGUMENTS["pyflyte"], **settings, OUTRIGGER_CA_FILE=str(cert))
        assert believed.code == 0, believed.words
        passed = len(network.calls)
        refused = pyflyte_run(*ARGUMENTS["pyflyte"], **settings)
    assert refused.code == 1
    assert f"https://localhost:{port} does not answer" in refused.words
    assert len(network.calls) == passed, "no token was sent"
