"""The happy paths of AWS Batch, EMR Serverless and SageMaker at moto, whose jobs succeed at once."""

import json

import pytest
from conftest import IMAGE, ML_ROLE, ROLE, SCRIPT

CONSOLE = "https://eu-central-1.console.aws.amazon.com/"


@pytest.fixture
def batch(moto, start):
    return start("aws-batch", moto.administrator)


@pytest.fixture
def emr(moto, start):
    return start("emr-serverless", moto.administrator)


@pytest.fixture
def sagemaker(moto, start):
    return start("sagemaker", moto.administrator)


def at_the_end(service, job, task_type=None):
    for _ in range(20):
        answer = service.get(job, task_type)
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


RESOURCES = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
BUCKET = "s3://acme-ml"
# Each task type: what its operations and members are called, and the rest of its request.
SAGEMAKER = {
    "sagemaker-training-job": (
        "training_job",
        "TrainingJob",
        {
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "HyperParameters": {"epochs": "{inputs.epochs}"},
            "OutputDataConfig": {"S3OutputPath": f"{BUCKET}/models/"},
            "ResourceConfig": RESOURCES,
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        },
    ),
    "sagemaker-processing-job": (
        "processing_job",
        "ProcessingJob",
        {
            "AppSpecification": {"ImageUri": IMAGE, "ContainerArguments": ["--epochs", "{inputs.epochs}"]},
            "ProcessingResources": {"ClusterConfig": RESOURCES},
        },
    ),
    "sagemaker-transform-job": (
        "transform_job",
        "TransformJob",
        {
            "ModelName": "orders",
            "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"{BUCKET}/in/"}}},
            "TransformOutput": {"S3OutputPath": f"{BUCKET}/out/"},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        },
    ),
}


def result(answer):
    """The output of SageMaker's tasks."""
    return answer.body["outputs"]["literals"]["result"]["scalar"]["generic"]


@pytest.mark.parametrize("task_type", SAGEMAKER)
def test_a_request_is_a_job_of_sagemaker(moto, sagemaker, task_type):
    operation, member, config = SAGEMAKER[task_type]
    body = {"custom": {"config": {f"{member}Name": "orders-{idempotence_token}", **config}}, "inputs": {"epochs": 3}}
    created = sagemaker.call("PUT", body=body, task_type=task_type)
    assert created.status == 200, created
    answer = at_the_end(sagemaker, created.body["job_id"], task_type)
    assert answer.body["phase"] == "SUCCEEDED", answer
    name = job_id(answer)
    aws = moto.client("sagemaker")
    described = getattr(aws, f"describe_{operation}")(**{f"{member}Name": name})
    assert result(answer)[f"{member}Arn"] == described[f"{member}Arn"]
    assert name.startswith("orders-") and len(name) == len("orders-") + 20
    # Its tags tell a repeat that it is its own.
    keys = {tag["Key"] for tag in aws.list_tags(ResourceArn=described[f"{member}Arn"])["Tags"]}
    assert {"outrigger-key", "outrigger-request"} <= keys
    if member == "TrainingJob":
        assert (described["HyperParameters"], described["RoleArn"]) == ({"epochs": "3"}, ML_ROLE)


def boto(sagemaker, method, **config):
    body = {"custom": {"service": "sagemaker", "method": method, "config": config}}
    answer = sagemaker.call("POST", body=body, task_type="boto")
    assert answer.body.get("phase") == "SUCCEEDED", answer
    return result(answer)


def test_a_model_is_deployed_and_its_endpoint_outlives_its_task(moto, sagemaker):
    """moto's endpoints are in service at once."""
    container = {"Image": IMAGE, "ModelDataUrl": f"{BUCKET}/models/orders.tar.gz"}
    assert "ModelArn" in boto(sagemaker, "create_model", ModelName="orders", PrimaryContainer=container)
    variant = {"VariantName": "all", "ModelName": "orders", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    config = boto(sagemaker, "create_endpoint_config", EndpointConfigName="orders", ProductionVariants=[variant])
    assert "EndpointConfigArn" in config
    body = {"custom": {"config": {"EndpointName": "orders-{idempotence_token}", "EndpointConfigName": "orders"}}}
    created = sagemaker.call("PUT", body=body, task_type="sagemaker-endpoint")
    assert created.status == 200, created
    answer = at_the_end(sagemaker, created.body["job_id"], "sagemaker-endpoint")
    assert answer.body["phase"] == "SUCCEEDED", answer
    assert sagemaker.delete(created.body["job_id"], "sagemaker-endpoint").status == 200
    endpoint = result(answer)["EndpointArn"].rsplit("/", 1)[-1]
    aws = moto.client("sagemaker")
    assert aws.describe_endpoint(EndpointName=endpoint)["EndpointStatus"] == "InService"
    # The tasks that delete do.
    for method, named in [
        ("delete_endpoint", {"EndpointName": endpoint}),
        ("delete_endpoint_config", {"EndpointConfigName": "orders"}),
        ("delete_model", {"ModelName": "orders"}),
    ]:
        # The second one finds nothing.
        for _ in range(2):
            assert boto(sagemaker, method, **named) == {"result": None}
    assert not aws.list_endpoints()["Endpoints"] and not aws.list_models()["Models"]
