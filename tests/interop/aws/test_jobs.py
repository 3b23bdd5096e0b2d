"""The happy paths of AWS Batch and EMR Serverless at moto, whose jobs succeed at once."""

import json

import pytest
from conftest import IMAGE, ROLE, SCRIPT

CONSOLE = "https://eu-central-1.console.aws.amazon.com/"


@pytest.fixture
def batch(moto, start):
    return start("aws-batch", moto.administrator)


@pytest.fixture
def emr(moto, start):
    return start("emr-serverless", moto.administrator)


def at_the_end(service, job):
    for _ in range(20):
        answer = service.get(job)
        if answer.body["job_state"] != "running":
            return answer
    raise AssertionError(answer)


def job_id(answer):
    """The last part of the link to the job."""
    link = answer.body["log_links"][0]["uri"]
    assert link.startswith(CONSOLE)
    return link.rsplit("/", 1)[-1]


def test_a_container_is_a_job_of_its_own_definition(moto, batch):
    container = {
        "image": IMAGE,
        "args": ["pyflyte-execute", "--output-prefix", "s3://flyte/interop/batch/0"],
    }
    template = {"type": "aws-batch", "custom": {"tags": {"team": "orders"}}, "container": container}
    # The key takes the place of the output prefix, but not in the command.
    body = {"template": template, "output_prefix": "s3://flyte/interop/batch"}
    created = batch.call("PUT", body=body)
    assert created.status == 200, created
    answer = at_the_end(batch, created.body["job_id"])
    assert answer.body["phase"] == "SUCCEEDED", answer
    aws = moto.client("batch")
    (job,) = aws.describe_jobs(jobs=[job_id(answer)])["jobs"]
    name = job["jobDefinition"].rsplit("/", 1)[-1].split(":")[0]
    (definition,) = aws.describe_job_definitions(jobDefinitionName=name)["jobDefinitions"]
    assert name.startswith("flyte-etl-") and definition["containerProperties"]["image"] == IMAGE
    assert job["container"]["command"] == ["pyflyte-execute", "--output-prefix", "s3://flyte/interop/batch"]


def test_a_repeated_create_is_one_job_of_one_definition(moto, batch):
    body = {
        "template": {"type": "aws-batch", "custom": {}, "container": {"image": f"{IMAGE}-twice", "args": ["true"]}},
    }
    # The job's name is the only thing that tells AWS Batch that they are the same.
    jobs = {job_id(batch.get(batch.call("PUT", body=body, key="twice").body["job_id"])) for _ in range(2)}
    assert len(jobs) == 1
    names = [one["jobDefinitionName"] for one in moto.client("batch").describe_job_definitions()["jobDefinitions"]]
    assert len(names) == len(set(names)), "no definition has a second revision"


@pytest.mark.parametrize("by", ["application_id", "application_name"])
def test_a_script_is_a_run_of_the_application(moto, emr, by):
    application = {"application_id": moto.emr_application, "application_name": "etl"}[by]
    driver = {"entryPoint": SCRIPT, "entryPointArguments": ["--day", "{{ .inputs.day }}"]}
    custom = {by: application, "execution_role_arn": ROLE, "spark_job_driver": driver, "tags": {"team": "orders"}}
    body = {"custom": custom, "inputs": {"day": "2026-03-01"}}
    created = emr.call("PUT", body=body)
    assert created.status == 200, created
    answer = at_the_end(emr, created.body["job_id"])
    assert answer.body["phase"] == "SUCCEEDED", answer
    assert "dashboard" not in json.dumps(answer.body["log_links"]).lower()
    aws = moto.client("emr-serverless")
    run = aws.get_job_run(applicationId=moto.emr_application, jobRunId=job_id(answer))["jobRun"]
    spark = run["jobDriver"]["sparkSubmit"]
    assert (spark["entryPoint"], spark["entryPointArguments"]) == (SCRIPT, ["--day", "2026-03-01"])
    assert (run["executionRole"], run["tags"]["team"]) == (ROLE, "orders")


def test_an_application_that_is_not_there_is_named(emr):
    answer = emr.create(application_name="nobody")
    assert answer.status == 400, answer
    assert 'no application in eu-central-1 is called "nobody"' in answer.message
