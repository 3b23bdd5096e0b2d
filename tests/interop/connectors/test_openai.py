"""flytekit's connectors for OpenAI, at a fake of OpenAI's API."""

import pytest
from callers import Flyte1, Refused, Rest
from sdk_requests import everything, read_output
from vendor_requests import chat, openai_batch

BATCH = "openai-batch"


@pytest.fixture
def file(job):
    """The input file of this test's batch."""
    return f"file-{job}"


@pytest.fixture
def batch_request(job, file):
    return openai_batch(job, file)


def test_batch_runs_to_its_end(pyflyte_bridge, openai, kind, batch_request, file):
    openai.statuses[file] = ["validating", "in_progress", "finalizing", "completed"]
    answers = pyflyte_bridge.caller(kind).run_to_end(batch_request)
    assert [answer.phase for answer in answers] == ["RUNNING"] * 3 + ["SUCCEEDED"]
    assert openai.asked(file) == ["create"] + ["retrieve"] * 4
    result = read_output(answers[-1], "result", dict)
    (batch,) = [batch for batch in openai.batches.values() if batch.input_file_id == file]
    assert result == batch.model_dump()
    assert result["output_file_id"] == "file-output"
    # The defaults of the connector, and what the task says.
    assert (result["endpoint"], result["completion_window"]) == ("/v1/chat/completions", "24h")
    assert result["metadata"] == {"team": "interop"}


def test_batch_that_fails_says_why(pyflyte_bridge, openai, kind, batch_request, file):
    openai.statuses[file] = ["validating", "failed"]
    answers = pyflyte_bridge.caller(kind).run_to_end(batch_request)
    assert [answer.phase for answer in answers] == ["RUNNING", "FAILED"]
    assert answers[-1].message == "This line is not parseable as valid JSON."


@pytest.mark.parametrize("status", ["expired", "cancelling", "cancelled"])
def test_batch_without_an_end_of_its_own_fails(pyflyte_bridge, openai, kind, batch_request, file, status):
    openai.statuses[file] = ["in_progress", status]
    answers = pyflyte_bridge.caller(kind).run_to_end(batch_request)
    assert [answer.phase for answer in answers] == ["RUNNING", "FAILED"]


def test_unknown_status_leaves_the_last_known_phase(pyflyte_bridge, openai, kind, batch_request, file):
    openai.statuses[file] = ["in_progress", "paused", "completed"]
    caller = pyflyte_bridge.caller(kind)
    handle = caller.create(batch_request)
    known, unknown, ended = (caller.get(BATCH, handle) for _ in range(3))
    assert [known.phase, unknown.phase, ended.phase] == ["RUNNING", "RUNNING", "SUCCEEDED"]
    # The connector has no word for it.
    assert "AttributeError: 'NoneType' object has no attribute 'lower'" in unknown.message
    assert openai.asked(file) == ["create", "retrieve", "retrieve", "retrieve"]


def test_batch_is_cancelled(pyflyte_bridge, openai, kind, batch_request, file):
    openai.statuses[file] = ["in_progress"]
    caller = pyflyte_bridge.caller(kind)
    handle = caller.create(batch_request)
    assert caller.get(BATCH, handle).phase == "RUNNING"
    caller.delete(BATCH, handle)
    assert openai.asked(file).count("cancel") == 1
    assert caller.get(BATCH, handle).phase == "FAILED"


def test_batch_that_has_ended_is_deleted(pyflyte_bridge, openai, kind, batch_request, file):
    """Flyte 2 deletes every job, and repeats what fails: OpenAI cancels no batch that has expired."""
    openai.statuses[file] = ["expired"]
    caller = pyflyte_bridge.caller(kind)
    handle = caller.create(batch_request)
    assert caller.get(BATCH, handle).phase == "FAILED"
    caller.delete(BATCH, handle)
    assert openai.asked(file).count("cancel") == 1
    directly = pyflyte_bridge.connectors.directly()
    handle = directly.create(batch_request)
    openai.statuses[file] = ["expired"]
    directly.get(BATCH, handle)
    with pytest.raises(Refused) as without_bridge:
        directly.delete(BATCH, handle)
    assert "Cannot cancel a batch with status 'expired'" in without_bridge.value.message


def test_repeated_create_is_one_batch(pyflyte_bridge, openai, kind, batch_request, file):
    caller = pyflyte_bridge.caller(kind)
    handles = [caller.create(batch_request) for _ in range(3)]
    assert openai.asked(file) == ["create"]
    openai.statuses[file] = ["completed"]
    ids = {read_output(caller.get(BATCH, handle), "result", dict)["id"] for handle in handles}
    assert len(ids) == 1 and ids < openai.batches.keys()


def test_key_stays_in_the_connectors(pyflyte_bridge, openai, kind, batch_request, file):
    caller = pyflyte_bridge.caller(kind)
    handle = caller.create(batch_request)
    openai.statuses[file] = ["in_progress", "paused", "completed"]
    sent = everything(handle, caller.poll_to_end(BATCH, handle))
    # OpenAI answered, so that the connector had it.
    assert openai.asked(file)[0] == "create"
    assert openai.key not in sent + pyflyte_bridge.log


@pytest.fixture(params=[Flyte1, Rest], ids=lambda kind: kind.__name__)
def sync_kind(request):
    """Flyte 2 has no call for it."""
    return request.param


def test_chat_is_answered_within_the_call(pyflyte_bridge, openai, sync_kind, job):
    answer = pyflyte_bridge.caller(sync_kind).execute(chat(job))
    assert answer.phase == "SUCCEEDED", answer
    assert read_output(answer, "o0", str) == job.upper()
    assert openai.asked(job) == ["complete"]


ERRORS = {
    401: (1, "AuthenticationError: Error code: 401 - Incorrect API key provided:"),
    429: (3, "RateLimitError: Error code: 429 - Rate limit reached for gpt-5-mini"),
    500: (3, "InternalServerError: Error code: 500 - The server had an error while"),
}


@pytest.mark.parametrize("status", ERRORS)
def test_error_of_openai_is_a_failure_that_may_be_retried(pyflyte_bridge, openai, sync_kind, job, status):
    """Whatever the error: the connector raises each as an exception."""
    openai.refusals[job] = status
    attempts, message = ERRORS[status]
    answer = pyflyte_bridge.caller(sync_kind).execute(chat(job))
    assert answer.phase == "RETRYABLE_FAILED"
    assert message in answer.message and "Traceback" not in answer.message
    # OpenAI's client repeats what may pass. The bridge adds nothing.
    assert openai.asked(job) == ["complete"] * attempts
    assert openai.key not in everything(answer) + pyflyte_bridge.log
    with pytest.raises(Refused) as without_bridge:
        pyflyte_bridge.connectors.directly().execute(chat(job))
    assert without_bridge.value.code == "INTERNAL" and "Traceback" in without_bridge.value.message
