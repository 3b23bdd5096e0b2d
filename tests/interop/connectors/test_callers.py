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


def test_stock_connector_loads_a_pickle_from_anyone(flytekit_bridge, tmp_path):
    file = tmp_path / "touched"
    with pytest.raises(Refused):
        flytekit_bridge.connectors.directly().get("pickled", pickle.dumps(Touch(file)))
    assert file.exists()


def test_pickle_is_not_loaded(flytekit_bridge, kind, tmp_path):
    caller, file = flytekit_bridge.caller(kind), tmp_path / "touched"
    forged = pickle.dumps(Touch(file))
    if kind is Rest:
        forged = base64.urlsafe_b64encode(forged).rstrip(b"=").decode()
        with pytest.raises(Refused) as refused:
            caller.get("pickled", forged)
        assert refused.value.code == "INVALID_ARGUMENT"
        assert "UNREADABLE_HANDLE" in refused.value.sent
    else:
        answer = caller.get("pickled", forged)
        assert answer.phase == "FAILED"
        assert "handle cannot be read" in answer.message
        caller.delete("pickled", forged)
    assert not file.exists()


def test_connector_may_keep_a_pickle(flytekit_bridge, kind, job):
    answers = flytekit_bridge.caller(kind).run_to_end(task("pickled", job, polls=1))
    assert answers[-1].phase == "SUCCEEDED"


def test_handle_contains_nothing_that_can_be_read(flytekit_bridge, job):
    handle = flytekit_bridge.caller(Flyte1).create(task("failing", job, fails="get", token="s3cret"))
    assert b"s3cret" not in handle and job.encode() not in handle
