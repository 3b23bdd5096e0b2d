"""Sync connectors of flytekit answer within the call."""

import secrets

import pytest
from callers import Flyte1, Refused, Rest, task


@pytest.fixture(params=["flytekit_bridge", "pyflyte_bridge"])
def bridge(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(params=[Flyte1, Rest], ids=lambda kind: kind.__name__)
def kind(request):
    """Flyte 2 has no call for it."""
    return request.param


def test_task_is_answered_within_the_call(bridge, kind, job):
    request = task("greeting", job, inputs={"text": "Ada"})
    answer = bridge.caller(kind).execute(request)
    assert (answer.phase, answer.message) == ("SUCCEEDED", "greeted")
    assert answer == bridge.connectors.directly().execute(request)
    assert bridge.connectors.calls(job) == ["do", "do"]


def test_exception_is_a_failure_that_may_be_retried(bridge, kind, job):
    token = secrets.token_hex(16)
    request = task("greeting", job, token=token)
    answer = bridge.caller(kind).execute(request)
    assert answer.phase == "RETRYABLE_FAILED"
    assert answer.message.endswith("the connector failed: ConnectionError: the vendor does not answer.")
    assert bridge.connectors.calls(job) == ["do"]
    with pytest.raises(Refused) as without_bridge:
        bridge.connectors.directly().execute(request)
    assert token in without_bridge.value.sent
    assert token not in answer.message + bridge.log


def test_sync_task_type_has_no_jobs(bridge, kind, job):
    with pytest.raises(Refused) as refused:
        bridge.caller(kind).create(task("greeting", job))
    assert refused.value.code == "NOT_FOUND"
    assert bridge.connectors.calls(job) == []
