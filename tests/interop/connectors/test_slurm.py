"""Flyte 2's connector for Slurm, at a login node of a fake cluster."""

import flyte
import pytest
from callers import Flyte2, Refused
from flyte.io import File
from flyteidl.core import literals_pb2
from flyteplugins.slurm import Slurm, SlurmScriptTask
from sdk_requests import everything, of_flyte2

NATIVE, SCRIPT = "slurm", "slurm_script"
MAIN = Slurm(partition="main", cpus_per_task=2, time_limit="0:10:00", env={"LANG": "C"})


def script(job, body, output_prefix="s3://bucket", **outputs):
    """A request for a script as a task, with one input."""
    task = SlurmScriptTask(job, f"#!/bin/bash\n#SBATCH --comment=interop\n{body}\n", MAIN, {"epochs": int}, outputs)
    flyte.TaskEnvironment.from_task("slurm", task)
    return of_flyte2(task, f"{output_prefix}/{job}", epochs=3)


def container(job):
    """A request for a function that runs in its container."""
    tasks = flyte.TaskEnvironment("slurm", plugin_config=MAIN, image=flyte.Image.from_base("example.com/tasks:1"))

    @tasks.task(short_name=job)
    async def square(x: int) -> int:
        return x * x

    square.name = f"slurm.{job}"
    return of_flyte2(square, f"s3://bucket/{job}", x=3)


@pytest.fixture
def started(flyte2_bridge, slurm, kind, job):
    """A caller, its handle, and the job at Slurm that it asked for."""
    caller = flyte2_bridge.caller(kind)
    handle = caller.create(container(job))
    (submitted,) = slurm.submitted(job)
    return caller, handle, submitted


def test_script_runs_to_its_end(flyte2_bridge, slurm, kind, job, tmp_path):
    """It writes a file, which the connector takes from the cluster to the outputs of the task."""
    caller = flyte2_bridge.caller(kind)
    # A directory of this machine in place of a bucket.
    (tmp_path / job).mkdir()
    request = script(job, 'echo "$FLYTE_INPUT_EPOCHS epochs" > "$FLYTE_OUTPUT_MODEL"', tmp_path, model=File)
    handle = caller.create(request)
    (submitted,) = slurm.submitted(job)
    assert {"partition": "main", "cpus-per-task": "2", "time": "0:10:00"}.items() < submitted.directives.items()
    waiting = caller.get(SCRIPT, handle)
    assert waiting.phase == "QUEUED"
    assert f"Slurm job {submitted.id} is PENDING, reason: Priority" in waiting.message
    submitted.state, submitted.reason = "RUNNING", "None"
    assert caller.get(SCRIPT, handle).phase == "RUNNING"
    slurm.run(submitted)
    answer = caller.poll_to_end(SCRIPT, handle)[-1]
    assert answer.phase == "SUCCEEDED", answer
    model = literals_pb2.Literal.FromString(answer.outputs["model"]).scalar.blob
    assert model.uri == f"{tmp_path}/{job}/model"
    assert (tmp_path / job / "model").read_text() == "3 epochs\n"


def test_script_that_fails_says_what_it_wrote(flyte2_bridge, slurm, kind, job):
    caller = flyte2_bridge.caller(kind)
    handle = caller.create(script(job, "echo no space left >&2; exit 3"))
    (submitted,) = slurm.submitted(job)
    # The connector loses the options of a script that declares outputs.
    assert submitted.directives["comment"] == "interop"
    slurm.run(submitted)
    answer = caller.get(SCRIPT, handle)
    assert answer.phase == "FAILED"
    assert f"Slurm job {submitted.id} is FAILED, exit code 3:0" in answer.message
    assert answer.message.endswith("no space left")


def test_script_without_its_output_fails(flyte2_bridge, slurm, kind, job, tmp_path):
    caller = flyte2_bridge.caller(kind)
    handle = caller.create(script(job, "true", tmp_path, model=File))
    slurm.run(*slurm.submitted(job))
    answer = caller.poll_to_end(SCRIPT, handle)[-1]
    assert answer.phase == "FAILED"
    assert "succeeded but did not write every declared output: model at" in answer.message


def test_container_is_run_by_srun(slurm, started):
    caller, handle, submitted = started
    assert submitted.key == "operator"
    assert "export LANG=C\n" in submitted.script
    srun = next(line for line in submitted.script.splitlines() if line.startswith("srun "))
    assert "--container-image=example.com#tasks:1" in srun and " a0 --inputs " in srun
    submitted.state = "COMPLETED"
    assert caller.get(NATIVE, handle).phase == "SUCCEEDED"


STATES = {
    "CONFIGURING": "QUEUED",
    "COMPLETING": "RUNNING",
    "COMPLETED": "SUCCEEDED",
    "FAILED": "FAILED",
    "TIMEOUT": "FAILED",
    "OUT_OF_MEMORY": "FAILED",
    # Flyte ends an aborted task without a reason, so that the bridge makes it a failure.
    "CANCELLED by 1000": "FAILED",
    "PREEMPTED": "RETRYABLE_FAILED",
}


@pytest.mark.parametrize("state", STATES)
def test_state_of_slurm_is_a_phase(started, state):
    caller, handle, submitted = started
    submitted.state, submitted.reason = state, "None"
    answer = caller.get(NATIVE, handle)
    assert answer.phase == STATES[state]
    assert f"Slurm job {submitted.id} is {state}" in answer.message


def test_unknown_state_leaves_the_last_known_phase(started):
    caller, handle, submitted = started
    submitted.state = "RUNNING"
    assert caller.get(NATIVE, handle).phase == "RUNNING"
    submitted.state = "NAPPING"
    answer = caller.get(NATIVE, handle)
    assert answer.phase == "RUNNING"
    assert "Unrecognized Slurm job state 'NAPPING'" in answer.message
    submitted.state = "COMPLETED"
    assert caller.get(NATIVE, handle).phase == "SUCCEEDED"


def test_cluster_without_accounting(started):
    """scontrol knows a job that has ended for some minutes; afterwards nothing does."""
    caller, handle, submitted = started
    submitted.state, submitted.is_accounted = "TIMEOUT", False
    answer = caller.get(NATIVE, handle)
    assert answer.phase == "FAILED" and f"Slurm job {submitted.id} is TIMEOUT" in answer.message


def test_job_that_slurm_has_forgotten_keeps_its_phase(slurm, started):
    caller, handle, submitted = started
    submitted.state = "RUNNING"
    assert caller.get(NATIVE, handle).phase == "RUNNING"
    slurm.jobs.pop(submitted.id)
    answer = caller.get(NATIVE, handle)
    assert answer.phase == "RUNNING"
    assert "is not known to squeue or sacct" in answer.message


def test_job_is_cancelled(slurm, started):
    caller, handle, submitted = started
    submitted.state = "RUNNING"
    assert caller.get(NATIVE, handle).phase == "RUNNING"
    caller.delete(NATIVE, handle)
    assert slurm.cancelled.count(submitted) == 1
    assert caller.get(NATIVE, handle).phase == "FAILED"
    # Flyte 2 repeats it until it succeeds.
    caller.delete(NATIVE, handle)


def test_job_that_succeeded_is_not_cancelled(slurm, started):
    caller, handle, submitted = started
    submitted.state = "COMPLETED"
    caller.delete(NATIVE, handle)
    assert submitted not in slurm.cancelled


def test_repeated_create_is_one_job(flyte2_bridge, slurm, kind, job):
    caller, request = flyte2_bridge.caller(kind), container(job)
    handles = [caller.create(request) for _ in range(3)]
    (submitted,) = slurm.submitted(job)
    submitted.state = "COMPLETED"
    assert {caller.get(NATIVE, handle).phase for handle in handles} == {"SUCCEEDED"}


def test_key_of_the_author_submits_the_job(flyte2_bridge, slurm, job):
    """Flyte 2 sends the secrets that a task names with each call."""
    key = slurm.private_key("author")
    caller = flyte2_bridge.caller(Flyte2, secrets={"ssh_private_key": key})
    handle = caller.create(container(job))
    (submitted,) = slurm.submitted(job)
    assert submitted.key == "author"
    answer = caller.get(NATIVE, handle)
    assert answer.phase == "QUEUED"
    secret = key.splitlines()[3]
    assert secret in key and secret not in everything(handle, answer) + flyte2_bridge.log


def test_refusal_of_slurm_is_told(flyte2_bridge, slurm, kind, job):
    request = script(job, "true")
    request.template.custom["sbatch_options"]["partitions"] = "main"
    with pytest.raises(Refused) as refused:
        flyte2_bridge.caller(kind).create(request)
    assert refused.value.code == "UNAVAILABLE"
    assert "sbatch: unrecognized option '--partitions'" in refused.value.message
    assert slurm.submitted(job) == []
