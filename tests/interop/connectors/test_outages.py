"""Connectors that are not there, or not yet, or not any more."""

import pytest
from callers import Refused, task
from conftest import bridge_before, eventually, on_socket


def test_bridge_is_not_ready_without_a_task_type(processes, flytekit_bridge, tmp_path):
    flags = ["--task-types=sleeping,absent:2", "--sync-task-types=greeting,failing"]
    # It asks connectors that are there already: the other bridge is ready.
    with bridge_before(processes["flytekit"], tmp_path, *flags, wait=False) as bridge:
        reason = "the connectors do not have every task type"
        eventually(lambda: reason in bridge.readiness[1], reason)
        assert bridge.readiness[0] == 503
        # `failing` is there, but not as a sync task type.
        assert '"missing":"absent:2, failing:0"' in bridge.log


def test_bridge_is_not_ready_before_the_connectors_are(processes, tmp_path, job):
    absent = type(processes["flytekit"])(f"unix:{tmp_path}/nobody.sock", [], tmp_path)
    with bridge_before(absent, tmp_path, "--task-types=sleeping", wait=False) as bridge:
        reason = "the process behind the bridge has not answered yet"
        eventually(lambda: reason in bridge.readiness[1], reason)
        assert bridge.readiness[0] == 503
        with pytest.raises(Refused) as refused:
            bridge.caller().create(task("sleeping", job, polls=1))
        assert refused.value.code == "UNAVAILABLE"


def test_jobs_survive_their_connector(processes, tmp_path, kind, job):
    connectors = processes["mortal"]
    with bridge_before(connectors, tmp_path, "--task-types=sleeping") as bridge:
        caller = bridge.caller(kind)
        handle = caller.create(task("sleeping", job, polls=1))
        assert caller.get("sleeping", handle).phase == "INITIALIZING"
        connectors.kill()
        for _ in range(3):
            answer = caller.get("sleeping", handle)
            assert answer.phase == "INITIALIZING"
        with pytest.raises(Refused) as refused:
            caller.create(task("sleeping", f"{job}-2", polls=1))
        assert refused.value.code == "UNAVAILABLE"
        assert bridge.readiness[0] == 200
        connectors.start()
        assert caller.poll_to_end("sleeping", handle)[-1].phase == "SUCCEEDED"
    assert connectors.calls(job) == ["create", "get", "get"]


def test_jobs_survive_connectors_without_their_task_type(processes, tmp_path, job):
    connectors = processes["mortal"]
    others = on_socket(connectors.files, "failing")
    with bridge_before(connectors, tmp_path, "--task-types=sleeping") as bridge:
        caller = bridge.caller()
        handle = caller.create(task("sleeping", job, polls=1))
        assert caller.get("sleeping", handle).phase == "INITIALIZING"
        connectors.kill()
        try:
            others.start()
            eventually(lambda: "failing" in others.directly().task_types(), "other connectors answer")
            assert caller.get("sleeping", handle).phase == "INITIALIZING"
        finally:
            others.kill()
            connectors.start()
