"""What reaches the connectors, and what does not: calls without a token, and handles that the bridge did not make."""

import base64
import pickle

import pytest
from callers import Flyte1, Refused, Rest, task


class Touch:
    """Creates a file when its pickle is loaded."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


def test_no_call_without_a_token_reaches_the_connectors(bridge, kind, job):
    handle = bridge.caller(kind).create(task("sleeping", job, polls=1))
    stranger = kind(bridge.api)
    calls = [
        lambda: stranger.create(task("sleeping", f"{job}-2", polls=1)),
        lambda: stranger.get("sleeping", handle),
        lambda: stranger.delete("sleeping", handle),
        stranger.task_types,
    ]
    for call in calls:
        with pytest.raises(Refused) as refused:
            call()
        assert refused.value.code == "UNAUTHENTICATED"
    assert bridge.connectors.calls(job) == ["create"]
    assert bridge.connectors.calls(f"{job}-2") == []


# Connectors that keep a pickle: ours, and two of Flyte's own.
PICKLED = [("flytekit_bridge", "pickled"), ("pyflyte_bridge", "openai-batch"), ("pyflyte_bridge", "sagemaker-endpoint")]


@pytest.fixture(params=PICKLED, ids=lambda pickled: pickled[1])
def pickled(request):
    """A bridge, and a task type whose connector loads pickles."""
    return request.getfixturevalue(request.param[0]), request.param[1]


def test_stock_connector_loads_a_pickle_from_anyone(pickled, tmp_path):
    (bridge, task_type), file = pickled, tmp_path / "touched"
    with pytest.raises(Refused):
        bridge.connectors.directly().get(task_type, pickle.dumps(Touch(file)))
    assert file.exists()


def test_pickle_is_not_loaded(pickled, kind, tmp_path):
    (bridge, task_type), file = pickled, tmp_path / "touched"
    caller, forged = bridge.caller(kind), pickle.dumps(Touch(file))
    if kind is Rest:
        forged = base64.urlsafe_b64encode(forged).rstrip(b"=").decode()
        with pytest.raises(Refused) as refused:
            caller.get(task_type, forged)
        assert refused.value.code == "INVALID_ARGUMENT"
        assert "UNREADABLE_HANDLE" in refused.value.sent
    else:
        answer = caller.get(task_type, forged)
        assert answer.phase == "FAILED"
        assert "handle cannot be read" in answer.message
        caller.delete(task_type, forged)
    assert not file.exists()


def test_connector_may_keep_a_pickle(flytekit_bridge, kind, job):
    answers = flytekit_bridge.caller(kind).run_to_end(task("pickled", job, polls=1))
    assert answers[-1].phase == "SUCCEEDED"


def test_handle_contains_nothing_that_can_be_read(flytekit_bridge, job):
    handle = flytekit_bridge.caller(Flyte1).create(task("failing", job, fails="get", token="s3cret"))
    assert b"s3cret" not in handle and job.encode() not in handle
