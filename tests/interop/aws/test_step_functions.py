"""Executions of state machines at moto, by a plugin that is a file: services/declarative/examples/step-functions.yaml."""

import json
import time
import urllib.request

import pytest


@pytest.fixture
def executed(moto):
    """moto runs state machines; by default their executions run until they are stopped."""

    def configure(execute):
        body = json.dumps({"stepfunctions": {"execute_state_machine": execute}}).encode()
        urllib.request.urlopen(f"{moto.url}/moto-api/config", body).close()

    configure(True)
    yield
    configure(False)


@pytest.fixture
def declarative(moto, start):
    return start("declarative", moto.administrator)


@pytest.fixture
def machine(moto, request):
    """A state machine of the states that the test has: its ARN."""
    client = moto.client("stepfunctions")
    definition = {"StartAt": "only", "States": {"only": request.param}}
    role = "arn:aws:iam::123456789012:role/machine"
    created = client.create_state_machine(
        name=f"machine-{time.time_ns()}", definition=json.dumps(definition), roleArn=role
    )
    return created["stateMachineArn"]


PASS = {"Type": "Pass", "Result": {"rows": 7}, "End": True}
FAIL = {"Type": "Fail", "Error": "Report.Empty", "Cause": "the report has no rows"}


def task(machine, prefix):
    template = {
        "type": "aws_step_function",
        "custom": {"state_machine_arn": machine},
        "interface": {"outputs": {"variables": {"result": {"type": {"simple": "STRUCT"}}}}},
    }
    return {"template": template, "output_prefix": prefix}


def ended(declarative, job):
    """The answer about the job once it has ended."""
    until = time.monotonic() + 30
    while True:
        answer = declarative.get(job)
        assert answer.status == 200, answer
        if answer.body["job_state"] != "running":
            return answer.body
        assert time.monotonic() < until, answer
        time.sleep(0.1)


def executions(moto, machine):
    return moto.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]


@pytest.mark.usefixtures("executed")
@pytest.mark.parametrize("machine", [PASS], indirect=True)
def test_an_execution_is_started_polled_and_its_output_is_the_tasks(moto, declarative, machine):
    created = declarative.call("PUT", body=task(machine, "s3://flyte/states/1"))
    assert created.status == 200, created
    body = ended(declarative, created.body["job_id"])
    assert body["phase"] == "SUCCEEDED", body
    assert "rows" in json.dumps(body["outputs"]) and "7" in json.dumps(body["outputs"])
    (execution,) = executions(moto, machine)
    (link,) = body["log_links"]
    assert link["uri"].endswith(execution["executionArn"])


@pytest.mark.parametrize("machine", [PASS], indirect=True)
def test_a_repeated_create_starts_no_second_execution(moto, declarative, machine, start):
    for _ in range(2):
        created = declarative.call("PUT", body=task(machine, "s3://flyte/states/2"), key="one")
        assert created.status == 200, created
    # A replica that remembers nothing of the first.
    other = start("declarative", moto.administrator)
    created = other.call("PUT", body=task(machine, "s3://flyte/states/2"), key="one")
    assert created.status == 200, created
    assert len(executions(moto, machine)) == 1
    assert other.get(created.body["job_id"]).body["phase"] == "RUNNING"


@pytest.mark.parametrize("machine", [PASS], indirect=True)
def test_an_execution_is_stopped(moto, declarative, machine):
    job = declarative.call("PUT", body=task(machine, "s3://flyte/states/3")).body["job_id"]
    assert declarative.get(job).body["phase"] == "RUNNING"
    for _ in range(2):
        assert declarative.delete(job).status == 200
    (execution,) = executions(moto, machine)
    assert execution["status"] == "ABORTED"
    assert declarative.get(job).body["job_state"] == "failed"


@pytest.mark.usefixtures("executed")
@pytest.mark.parametrize("machine", [FAIL], indirect=True)
def test_a_failed_execution_is_a_failed_task(declarative, machine):
    job = declarative.call("PUT", body=task(machine, "s3://flyte/states/4")).body["job_id"]
    body = ended(declarative, job)
    assert (body["phase"], body["error_code"]) == ("FAILED", "Report.Empty"), body
    assert "the report has no rows" in body["message"]


def test_a_state_machine_that_is_not_there_is_a_refusal(declarative):
    machine = "arn:aws:states:eu-central-1:123456789012:stateMachine:none"
    answer = declarative.call("PUT", body=task(machine, "s3://flyte/states/5"))
    assert answer.status == 422, answer
    assert "State Machine Does Not Exist" in answer.message, answer
