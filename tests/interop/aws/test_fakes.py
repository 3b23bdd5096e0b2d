"""The fakes that the services are tested with are AWS to AWS's own client: it signs, sends and reads as they expect."""

import time
import uuid

import boto3
import botocore.config
import botocore.exceptions
import pytest
from conftest import FAKES_KEYS, REGION, fake_upstream

# One attempt: an error is what the fake answered.
ONCE = botocore.config.Config(retries={"total_max_attempts": 1})


def client(service, url, **keys):
    return boto3.client(service, region_name=REGION, endpoint_url=url, config=ONCE, **{**FAKES_KEYS, **keys})


@pytest.fixture(scope="module")
def athena():
    with fake_upstream("athena", "--polls=3") as url:
        yield client("athena", url)


@pytest.fixture(scope="module")
def redshift():
    with fake_upstream("redshift", "--polls=3") as url:
        yield client("redshift-data", url)


def code(raised):
    return raised.value.response["Error"]["Code"]


def states(describe):
    """The states that polls find until the job has ended."""
    found = [describe()]
    while found[-1] not in ("SUCCEEDED", "FAILED", "CANCELLED", "FINISHED", "ABORTED"):
        found.append(describe())
    return found


def start(athena, sql="SELECT 42", **more):
    return athena.start_query_execution(QueryString=sql, WorkGroup="primary", **more)["QueryExecutionId"]


def execution(athena, query):
    return athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]


def test_athena_runs_a_query_and_gives_its_rows(athena):
    query = start(athena, QueryExecutionContext={"Catalog": "AwsDataCatalog", "Database": "sales"})
    with pytest.raises(athena.exceptions.InvalidRequestException, match="has not yet finished"):
        athena.get_query_results(QueryExecutionId=query)
    found = states(lambda: execution(athena, query)["Status"]["State"])
    assert found == ["QUEUED", "RUNNING", "QUEUED", "SUCCEEDED"]
    described = execution(athena, query)
    assert described["ResultConfiguration"]["OutputLocation"].endswith(f"/{query}.csv")
    assert described["Status"]["SubmissionDateTime"] < described["Status"]["CompletionDateTime"]
    rows = athena.get_query_results(QueryExecutionId=query)["ResultSet"]["Rows"]
    assert [row["Data"][0]["VarCharValue"] for row in rows] == ["_col0", "42"]


def test_athena_describes_many_queries_in_one_call(athena):
    queries = [start(athena) for _ in range(3)]
    unknown = str(uuid.uuid4())
    answer = athena.batch_get_query_execution(QueryExecutionIds=[*queries, unknown])
    assert [found["QueryExecutionId"] for found in answer["QueryExecutions"]] == queries
    assert [one["QueryExecutionId"] for one in answer["UnprocessedQueryExecutionIds"]] == [unknown]


def test_athena_keeps_a_token_to_its_query(athena):
    token = "0" * 64
    assert start(athena, ClientRequestToken=token) == start(athena, ClientRequestToken=token)
    with pytest.raises(athena.exceptions.InvalidRequestException, match="Idempotent parameters"):
        start(athena, "SELECT 43", ClientRequestToken=token)


def test_athena_stops_a_query(athena):
    query = start(athena)
    athena.stop_query_execution(QueryExecutionId=query)
    athena.stop_query_execution(QueryExecutionId=query)
    assert execution(athena, query)["Status"]["State"] == "CANCELLED"
    with pytest.raises(athena.exceptions.InvalidRequestException, match="CANCELLED"):
        athena.get_query_results(QueryExecutionId=query)


def test_athena_tells_why_a_query_failed():
    with fake_upstream("athena", "--polls=0", "--ending=exhausted") as url:
        athena = client("athena", url)
        status = execution(athena, start(athena))["Status"]
    assert (status["State"], status["AthenaError"]["Retryable"]) == ("FAILED", True)


def test_athena_refuses_what_its_model_does_not_have(athena):
    for call in (
        lambda: athena.get_query_execution(QueryExecutionId="unknown"),
        lambda: start(athena, ClientRequestToken="1" * 129),
        lambda: start(athena, "S" * 262_145),
    ):
        # The client itself checks lengths no more than that they are strings.
        with pytest.raises(athena.exceptions.InvalidRequestException):
            call()


def execute(redshift, **more):
    sql = {"Sql": "DELETE FROM events WHERE day = :day", "Parameters": [{"name": "day", "value": "2026-01-01"}]}
    return redshift.execute_statement(WorkgroupName="sales", Database="dev", **sql, **more)


def test_redshift_runs_a_statement(redshift):
    statement = execute(redshift)["Id"]
    assert states(lambda: redshift.describe_statement(Id=statement)["Status"]) == [
        "SUBMITTED",
        "PICKED",
        "STARTED",
        "FINISHED",
    ]
    described = redshift.describe_statement(Id=statement)
    assert (described["HasResultSet"], described["WorkgroupName"]) == (False, "sales")
    with pytest.raises(redshift.exceptions.ResourceNotFoundException):
        redshift.get_statement_result(Id=statement)
    listed = redshift.list_statements(Status="ALL", WorkgroupName="sales", Database="dev")["Statements"]
    assert statement in [one["Id"] for one in listed]


def test_redshift_runs_a_batch(redshift):
    sqls = ["CREATE TEMP TABLE d (x int)", "DROP TABLE d"]
    batch = redshift.batch_execute_statement(ClusterIdentifier="dwh", Database="dev", DbUser="etl", Sqls=sqls)["Id"]
    states(lambda: redshift.describe_statement(Id=batch)["Status"])
    subs = redshift.describe_statement(Id=batch)["SubStatements"]
    assert [(sub["QueryString"], sub["Status"]) for sub in subs] == [(sql, "FINISHED") for sql in sqls]


def test_redshift_keeps_a_token_to_its_statement(redshift):
    token = str(uuid.uuid4())
    assert execute(redshift, ClientToken=token)["Id"] == execute(redshift, ClientToken=token)["Id"]


def test_redshift_cancels_a_statement_once(redshift):
    statement = execute(redshift)["Id"]
    assert redshift.cancel_statement(Id=statement)["Status"] is True
    assert redshift.describe_statement(Id=statement)["Status"] == "ABORTED"
    with pytest.raises(redshift.exceptions.ValidationException, match="already in ABORTED state"):
        redshift.cancel_statement(Id=statement)
    with pytest.raises(redshift.exceptions.ResourceNotFoundException):
        redshift.cancel_statement(Id=str(uuid.uuid4()))


@pytest.mark.parametrize("service", ["athena", "redshift-data"])
def test_signatures_are_verified(service, athena, redshift):
    url = (athena if service == "athena" else redshift).meta.endpoint_url

    def call(signed_by):
        if service == "athena":
            return start(signed_by)
        return execute(signed_by)

    for keys, expected in (
        ({"aws_secret_access_key": "wrong"}, "InvalidSignatureException"),
        ({"aws_access_key_id": "AKIAUNKNOWN000000000"}, "UnrecognizedClientException"),
        ({"aws_session_token": "unknown"}, "UnrecognizedClientException"),
    ):
        with pytest.raises(botocore.exceptions.ClientError) as raised:
            call(client(service, url, **keys))
        assert code(raised) == expected
    elsewhere = boto3.client(service, region_name="ap-south-1", endpoint_url=url, config=ONCE, **FAKES_KEYS)
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        call(elsewhere)
    assert code(raised) == "IncompleteSignatureException"


@pytest.mark.parametrize("service", ["athena", "redshift-data"])
def test_a_signature_ends_after_five_minutes(service, athena, redshift, monkeypatch):
    late = client(service, (athena if service == "athena" else redshift).meta.endpoint_url)

    def hour_ago(request, **_):
        then = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() - 3600))
        request.headers["X-Amz-Date"] = then

    late.meta.events.register("before-send", hour_ago)
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        start(late) if service == "athena" else execute(late)
    assert code(raised) == "IncompleteSignatureException"


@pytest.fixture(scope="module")
def sagemaker():
    with fake_upstream("sagemaker", "--polls=3") as url:
        yield client("sagemaker", url)


def train(sagemaker, name, **more):
    return sagemaker.create_training_job(
        TrainingJobName=name,
        RoleArn="arn:aws:iam::111122223333:role/ml-train",
        AlgorithmSpecification={"TrainingImage": "registry/train:1", "TrainingInputMode": "File"},
        OutputDataConfig={"S3OutputPath": "s3://acme-ml/models/"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
        **more,
    )["TrainingJobArn"]


def test_sagemaker_trains_and_keeps_names_and_tags(sagemaker):
    arn = train(sagemaker, "orders-1", Tags=[{"Key": "team", "Value": "ml"}])
    with pytest.raises(sagemaker.exceptions.ResourceInUse):
        train(sagemaker, "orders-1")
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "ml"}]
    found = [sagemaker.describe_training_job(TrainingJobName="orders-1") for _ in range(4)]
    assert [one["SecondaryStatus"] for one in found] == ["Starting", "Downloading", "Training", "Completed"]
    assert found[-1]["TrainingJobStatus"] == "Completed"
    assert found[-1]["ModelArtifacts"]["S3ModelArtifacts"].endswith("orders-1/output/model.tar.gz")


def test_sagemaker_stops_a_job_that_runs(sagemaker):
    train(sagemaker, "orders-2")
    sagemaker.stop_training_job(TrainingJobName="orders-2")
    assert sagemaker.describe_training_job(TrainingJobName="orders-2")["TrainingJobStatus"] == "Stopped"
    with pytest.raises(botocore.exceptions.ClientError, match="is in status Stopped") as refused:
        sagemaker.stop_training_job(TrainingJobName="orders-2")
    assert code(refused) == "ValidationException"
    with pytest.raises(sagemaker.exceptions.ResourceNotFound):
        sagemaker.describe_training_job(TrainingJobName="unknown")


def test_sagemaker_makes_and_deletes_an_endpoint_whose_name_has_no_case(sagemaker):
    arn = sagemaker.create_endpoint(EndpointName="Orders", EndpointConfigName="orders")["EndpointArn"]
    with pytest.raises(botocore.exceptions.ClientError, match="Cannot create already existing endpoint") as refused:
        sagemaker.create_endpoint(EndpointName="orders", EndpointConfigName="orders")
    assert code(refused) == "ValidationException"
    found = [sagemaker.describe_endpoint(EndpointName="orders")["EndpointStatus"] for _ in range(4)]
    assert found == ["Creating", "Creating", "Creating", "InService"]
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == []
    sagemaker.delete_endpoint(EndpointName="orders")
    with pytest.raises(botocore.exceptions.ClientError, match="Could not find endpoint"):
        sagemaker.describe_endpoint(EndpointName="orders")
