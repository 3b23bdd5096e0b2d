"""Jobs of unmodified connectors run to their end, whichever Flyte calls and whichever serves them."""

import secrets

import pytest
from callers import Flyte1, Flyte2, Refused, task
from conftest import bridge_before


def test_job_runs_to_its_end(bridge, kind, job):
    request = task("sleeping", job, polls=2)
    answers = bridge.caller(kind).run_to_end(request)
    assert [answer.phase for answer in answers] == ["INITIALIZING"] * 2 + ["SUCCEEDED"]
    assert [answer.message for answer in answers] == ["asleep"] * 2 + ["awake"]
    assert answers[0].links == [("Console", f"https://vendor.example.com/jobs/{job}")]
    assert answers[-1].outputs.keys() == {"results", "seconds", "text", "details"}
    directly = bridge.connectors.directly()
    assert answers[-1] == directly.get("sleeping", directly.create(request))


def test_repeated_create_starts_one_job(bridge, kind, job):
    caller, request = bridge.caller(kind), task("sleeping", job, polls=1)
    handles = [caller.create(request) for _ in range(3)]
    assert bridge.connectors.calls(job) == ["create"]
    for handle in handles:
        assert caller.poll_to_end("sleeping", handle)[-1].phase == "SUCCEEDED"


def test_repeat_by_the_other_flyte_starts_no_job(bridge, job):
    request = task("sleeping", job, polls=1)
    handle = bridge.caller(Flyte1).create(request)
    bridge.caller(Flyte2).create(request)
    assert bridge.connectors.calls(job) == ["create"]
    assert bridge.caller(Flyte2).poll_to_end("sleeping", handle)[-1].phase == "SUCCEEDED"


def test_another_attempt_starts_another_job(bridge, job):
    for attempt in range(2):
        bridge.caller().create(task("sleeping", job, polls=1, output_prefix=f"s3://bucket/{job}/{attempt}"))
    assert bridge.connectors.calls(job) == ["create", "create"]


def test_running_job_is_deleted(bridge, kind, job):
    caller = bridge.caller(kind)
    handle = caller.create(task("sleeping", job, polls=1000))
    assert caller.get("sleeping", handle).phase == "INITIALIZING"
    caller.delete("sleeping", handle)
    assert bridge.connectors.calls(job).count("delete") == 1
    answer = caller.get("sleeping", handle)
    # Flyte ends an aborted task without a reason.
    assert (answer.phase, answer.message) == ("FAILED", "the job was aborted")


@pytest.mark.parametrize("is_polled", [True, False], ids=["polled", "not polled"])
def test_succeeded_job_is_not_deleted(bridge, job, is_polled):
    caller = bridge.caller()
    handle = caller.create(task("sleeping", job, polls=0))
    if is_polled:
        assert caller.get("sleeping", handle).phase == "SUCCEEDED"
    caller.delete("sleeping", handle)
    assert "delete" not in bridge.connectors.calls(job)


def test_succeeded_job_is_deleted_if_the_operator_says_so(processes, tmp_path, job):
    flags = ["--task-types=sleeping", "--delete-succeeded"]
    with bridge_before(processes["flytekit"], tmp_path, *flags) as bridge:
        caller = bridge.caller()
        handle = caller.create(task("sleeping", job, polls=0))
        assert caller.get("sleeping", handle).phase == "SUCCEEDED"
        caller.delete("sleeping", handle)
    assert bridge.connectors.calls(job).count("delete") == 1


def connections(bridge, job, **connection):
    """Makes each call with `connection`. Returns what the connector noted of it."""
    caller = bridge.caller(Flyte2, **connection)
    handle = caller.create(task("connected", job))
    caller.get("connected", handle)
    caller.delete("connected", handle)
    noted = [call.split(" ", 1) for call in bridge.connectors.calls(job)]
    assert {verb for verb, _ in noted} == {"create", "get", "delete"}
    return {connection for _, connection in noted}


def test_secrets_of_the_caller_reach_the_connector(flyte2_bridge, job):
    token = secrets.token_hex(16)
    assert connections(flyte2_bridge, job, secrets={"token": token}) == {f"as {token} in None"}
    assert token not in flyte2_bridge.log


def test_configs_of_the_caller_reach_the_connector(flyte2_bridge, job):
    assert connections(flyte2_bridge, job, configs={"region": "eu"}) == {"as None in eu"}


def test_other_task_types_are_not_served(processes, tmp_path, kind, job):
    with bridge_before(processes["flytekit"], tmp_path, "--task-types=sleeping") as bridge:
        assert {"failing", "sensor"} < bridge.connectors.directly().task_types()
        caller = bridge.caller(kind)
        assert caller.task_types() == {"sleeping"}
        with pytest.raises(Refused) as refused:
            caller.create(task("failing", job, fails="create", token="x"))
    assert refused.value.code == "NOT_FOUND"
    assert "unknown task type failing" in refused.value.message
    assert bridge.connectors.calls(job) == []
