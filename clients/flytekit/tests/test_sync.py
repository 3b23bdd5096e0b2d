"""Tasks that a service answers within the call: those of flytekit's sync connectors."""

import signal

import grpc
import pytest
from conftest import HERE, finish, free_port, plugins, program, pyflyte_run, start, wait_until
from forwarder import forwarder

Code = grpc.StatusCode


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """The settings of a caller of app/answers.py."""
    with plugins(tmp_path_factory.mktemp("answers"), HERE / "app/answers.py") as service:
        yield service.settings()


@pytest.fixture
def over_network(echo_service):
    """Runs a task over a network that is set up like this."""

    def run(**network_like):
        with forwarder(echo_service) as (network, port):
            for name, value in network_like.items():
                setattr(network, name, value)
            settings = echo_service.settings(OUTRIGGER_ENDPOINT=f"http://127.0.0.1:{port}")
            return pyflyte_run("sync1.py", "echo", **settings), network

    return run


def test_outputs_have_their_types(answers):
    run = pyflyte_run("sync1.py", "report", "--text", "good night", **answers)
    assert run.code == 0, run.words
    assert "11 letters, good first, in 2026" in run.out


def test_answer_and_link_are_shown(answers):
    run = pyflyte_run("sync1.py", "measure", "--text", "good night", **answers)
    assert run.code == 0, run.words
    assert "measure: Log: https://log.example.com/1 (" in run.err
    assert "measure: SUCCEEDED measured (" in run.err


@pytest.mark.parametrize(("text", "message"), [("unknown", "no such text"), ("busy", "too many texts")])
def test_failure_has_the_plugins_message(answers, text, message):
    run = pyflyte_run("sync1.py", "report", "--text", text, **answers)
    assert run.code == 1
    assert f"measure failed on {answers['OUTRIGGER_ENDPOINT']}: {message}" in run.words


def test_refusal_has_the_services_message(echo_service):
    run = pyflyte_run("sync1.py", "refused", **echo_service.settings())
    assert run.code == 1
    assert f"refused failed on {echo_service.url}: REFUSED: not today" in run.words


def test_missing_output_is_named(echo_service):
    run = pyflyte_run("sync1.py", "unanswered", **echo_service.settings())
    assert run.code == 1
    assert "returned no value for the outputs rows" in run.words


def test_missing_token_error_says_none_is_set(echo_service):
    run = pyflyte_run("sync1.py", "echo", **echo_service.settings(OUTRIGGER_TOKEN=""))
    assert run.code == 1
    assert "no token is set; set one in OUTRIGGER_TOKEN or OUTRIGGER_TOKEN_FILE" in run.words


def test_forbidden_call_error_names_authentication_file(echo_service):
    run = pyflyte_run("sync1.py", "echo", **echo_service.settings(OUTRIGGER_TOKEN=echo_service.token("eve")))
    assert run.code == 1
    assert "your token does not allow execute" in run.words and "authentication file" in run.words


def test_unserved_task_type_error_lists_served_types(echo_service):
    run = pyflyte_run("sync1.py", "elsewhere", **echo_service.settings())
    assert run.code == 1
    assert "does not run tasks of this type: it runs echo" in run.words


def test_unreachable_service_is_named():
    url = f"http://127.0.0.1:{free_port()}"
    run = pyflyte_run("sync1.py", "echo", OUTRIGGER_ENDPOINT=url)
    assert run.code == 1
    assert f"{url} does not answer" in run.words and "check that the service is running" in run.words


def test_traceback_with_locals_contains_no_token(echo_service, python):
    token = echo_service.token(iss="https://elsewhere.example.com")
    run = python("locals_sync.py", **echo_service.settings(OUTRIGGER_TOKEN=token))
    assert run.code == 1
    assert "requires a valid token" in run.words
    assert "locals" in run.words, "local variables are shown"
    assert token[:20] not in run.words.replace(" ", "")


def test_transient_error_is_repeated_when_the_service_allows(over_network):
    pushback = ("grpc-retry-pushback-ms", "1500")
    run, network = over_network(refusals={"ExecuteTaskSync": [(Code.RESOURCE_EXHAUSTED, "too many", pushback)]})
    assert run.code == 0, run.words
    first, second = network.requests_to("ExecuteTaskSync")
    assert first == second
    times = network.times_of("ExecuteTaskSync")
    assert times[1] - times[0] >= 1.5
    assert all(0 < left < 31 for left in network.time_left), "every call has a deadline"


def test_call_with_lost_answer_is_not_repeated(over_network):
    run, network = over_network(lost_answers=1)
    assert run.code == 1
    assert "does not answer (the answer got lost)" in run.words
    assert len(network.requests_to("ExecuteTaskSync")) == 1


def test_call_that_took_too_long_is_not_repeated(over_network):
    run, network = over_network(refusals={"ExecuteTaskSync": [(Code.DEADLINE_EXCEEDED, "the vendor is slow")]})
    assert run.code == 1
    assert "answered DEADLINE_EXCEEDED: the vendor is slow" in run.words
    assert len(network.requests_to("ExecuteTaskSync")) == 1


@pytest.mark.parametrize("workflow", ["echo", "later"])
def test_ctrl_c_does_not_wait_for_the_answer(echo_service, workflow):
    """In the main thread, and in another, where flytekit runs the tasks of an eager workflow."""
    with forwarder(echo_service) as (network, port):
        network.holds_answers = True
        settings = echo_service.settings(OUTRIGGER_ENDPOINT=f"http://127.0.0.1:{port}")
        process = start(program("pyflyte"), "run", "sync1.py", workflow, **settings)
        wait_until(lambda: network.requests_to("ExecuteTaskSync"))
        process.send_signal(signal.SIGINT)
        run = finish(process, timeout=15)
    assert run.code != 0
    assert "echo: no longer waiting; the service may still finish the task" in run.words
