"""The fakes of AWS Batch and EMR Serverless are AWS to AWS's own client, too."""

import time
import uuid

import boto3
import botocore.exceptions
import pytest
from conftest import FAKES_KEYS, ROLE, SCRIPT, fake_upstream
from test_fakes import ONCE, client, code

APPLICATION = "00f1r2v3abcdef09"


@pytest.fixture(scope="module")
def batch():
    with fake_upstream("aws-batch", "--polls=2") as url:
        yield client("batch", url)


@pytest.fixture(scope="module")
def emr():
    with fake_upstream("emr-serverless", "--polls=2") as url:
        yield client("emr-serverless", url)


def define(batch, name):
    container = {
        "image": "registry.example.com/etl:1.4",
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}],
    }
    return batch.register_job_definition(jobDefinitionName=name, type="container", containerProperties=container)


def submit(batch, name, **more):
    define(batch, name)
    return batch.submit_job(jobName=name, jobQueue="etl", jobDefinition=name, **more)["jobId"]


def states(describe, *ends):
    """The states that polls find until the job has ended."""
    found = [describe()]
    while found[-1] not in ends:
        found.append(describe())
    return found


def test_batch_runs_a_job(batch):
    job = submit(batch, "runs", containerOverrides={"command": ["true"]})
    (described,) = batch.describe_jobs(jobs=[job])["jobs"]
    assert (described["jobName"], described["jobQueue"]) == ("runs", "etl")
    found = states(lambda: batch.describe_jobs(jobs=[job])["jobs"][0]["status"], "SUCCEEDED", "FAILED")
    assert found == ["RUNNING", "SUCCEEDED"]
    (described,) = batch.describe_jobs(jobs=[job])["jobs"]
    assert described["container"]["exitCode"] == 0
    assert described["createdAt"] < described["startedAt"] < described["stoppedAt"]


def test_batch_has_no_idempotency_key_and_lists_jobs_by_name(batch):
    jobs = {submit(batch, "Twice") for _ in range(2)}
    assert len(jobs) == 2
    listed = batch.list_jobs(jobQueue="etl", filters=[{"name": "JOB_NAME", "values": ["twice"]}])
    assert {job["jobId"] for job in listed["jobSummaryList"]} == jobs


def test_batch_counts_revisions_of_a_definition(batch):
    assert [define(batch, "revised")["revision"] for _ in range(2)] == [1, 2]
    found = batch.describe_job_definitions(jobDefinitionName="revised", status="ACTIVE")["jobDefinitions"]
    assert sorted(one["revision"] for one in found) == [1, 2]


def test_batch_leaves_out_jobs_that_it_does_not_know(batch):
    job = submit(batch, "known")
    found = batch.describe_jobs(jobs=[job, str(uuid.uuid4())])["jobs"]
    assert [one["jobId"] for one in found] == [job]


def test_batch_terminates_a_job_for_a_reason(batch):
    job = submit(batch, "terminated")
    for reason in ("first", "second"):
        batch.terminate_job(jobId=job, reason=reason)
    (described,) = batch.describe_jobs(jobs=[job])["jobs"]
    assert (described["status"], described["statusReason"], described["isTerminated"]) == ("FAILED", "first", True)
    # Nothing happens, whether there is such a job or not.
    batch.terminate_job(jobId=str(uuid.uuid4()), reason="unknown")


def test_batch_refuses_what_it_does_not_have(batch):
    for call in (
        lambda: batch.submit_job(jobName="x", jobQueue="nobody", jobDefinition="x"),
        lambda: batch.submit_job(jobName="x", jobQueue="etl", jobDefinition="nobody"),
        lambda: batch.list_jobs(jobQueue="nobody", filters=[{"name": "JOB_NAME", "values": ["x"]}]),
        lambda: batch.describe_jobs(jobs=[str(number) for number in range(101)]),
        lambda: define(batch, "no name"),
    ):
        with pytest.raises(batch.exceptions.ClientException):
            call()


def run(emr, script=SCRIPT, **more):
    driver = {"sparkSubmit": {"entryPoint": script}}
    return emr.start_job_run(applicationId=APPLICATION, executionRoleArn=ROLE, jobDriver=driver, name="orders", **more)


def described(emr, started):
    found = emr.get_job_run(applicationId=started["applicationId"], jobRunId=started["jobRunId"])
    return found["jobRun"]


def test_emr_runs_a_script(emr):
    started = run(emr, tags={"team": "orders"})
    listed = emr.list_job_runs(applicationId=APPLICATION, states=["SUBMITTED", "RUNNING"])["jobRuns"]
    assert started["jobRunId"] in [one["id"] for one in listed]
    found = states(lambda: described(emr, started)["state"], "SUCCESS", "FAILED", "CANCELLED")
    assert found == ["SUBMITTED", "RUNNING", "SUCCESS"]
    ended = described(emr, started)
    assert ended["tags"] == {"team": "orders"} and ended["totalResourceUtilization"]["vCPUHour"] > 0
    listed = emr.list_job_runs(applicationId=APPLICATION, states=["SUBMITTED", "RUNNING"])["jobRuns"]
    assert started["jobRunId"] not in [one["id"] for one in listed]


def test_emr_keeps_a_token_to_its_run(emr):
    token = "0" * 64
    assert run(emr, clientToken=token)["jobRunId"] == run(emr, clientToken=token)["jobRunId"]
    with pytest.raises(emr.exceptions.ConflictException):
        run(emr, "s3://acme-etl/other.py", clientToken=token)


def test_emr_cancels_a_run_once(emr):
    started = run(emr)
    about = {"applicationId": started["applicationId"], "jobRunId": started["jobRunId"]}
    emr.cancel_job_run(**about)
    assert described(emr, started)["state"] == "CANCELLED"
    with pytest.raises(emr.exceptions.ValidationException, match="terminal state"):
        emr.cancel_job_run(**about)


def test_emr_has_applications(emr):
    started = emr.list_applications(states=["STARTED"])["applications"]
    assert (APPLICATION, "etl") in [(one["id"], one["name"]) for one in started]
    assert emr.list_applications(states=["STOPPED"])["applications"] == []
    found = emr.get_application(applicationId=APPLICATION)["application"]
    assert (found["state"], found["autoStartConfiguration"]["enabled"]) == ("STARTED", True)
    emr.start_application(applicationId=APPLICATION)
    assert emr.get_application(applicationId=APPLICATION)["application"]["state"] == "STARTED"
    for call in (
        lambda: emr.get_application(applicationId="00f0000000000000"),
        lambda: emr.get_job_run(applicationId=APPLICATION, jobRunId="00f0000000000000"),
        lambda: emr.start_job_run(applicationId="00f0000000000000", executionRoleArn=ROLE),
    ):
        with pytest.raises(emr.exceptions.ResourceNotFoundException):
            call()


def test_emr_refuses_what_its_model_does_not_have(emr):
    for more in ({"clientToken": "1" * 65}, {"clientToken": "a b"}, {"executionTimeoutMinutes": 1_000_001}):
        with pytest.raises(emr.exceptions.ValidationException):
            run(emr, **more)


CALLS = {"batch": lambda aws: aws.describe_jobs(jobs=["x"]), "emr-serverless": lambda aws: aws.list_applications()}


@pytest.fixture(params=sorted(CALLS))
def service(request):
    return request.param


@pytest.fixture
def url(service, batch, emr):
    return {"batch": batch, "emr-serverless": emr}[service].meta.endpoint_url


def refusal(service, aws):
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        CALLS[service](aws)
    return code(raised)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"aws_secret_access_key": "wrong"}, "InvalidSignatureException"),
        ({"aws_access_key_id": "AKIAUNKNOWN000000000"}, "UnrecognizedClientException"),
        ({"aws_session_token": "unknown"}, "UnrecognizedClientException"),
    ],
)
def test_signatures_are_verified(service, url, keys, expected):
    assert refusal(service, client(service, url, **keys)) == expected


def test_a_signature_is_for_a_region_and_a_minute(service, url):
    elsewhere = boto3.client(service, region_name="ap-south-1", endpoint_url=url, config=ONCE, **FAKES_KEYS)
    assert refusal(service, elsewhere) == "IncompleteSignatureException"
    late = client(service, url)

    def hour_ago(request, **_):
        request.headers["X-Amz-Date"] = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() - 3600))

    late.meta.events.register("before-send", hour_ago)
    assert refusal(service, late) == "IncompleteSignatureException"
