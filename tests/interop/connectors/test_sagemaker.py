"""flytekit's connectors for SageMaker, at moto: the three tasks of a deployment, and its endpoint's life."""

import dataclasses

import pytest
from callers import Flyte1, Refused, Rest
from sdk_requests import of_flytekit, read_output
from vendor_requests import prepare_sagemaker, sagemaker_deployment

TASK_TYPE = "sagemaker-endpoint"


@pytest.fixture(scope="module")
def token(pyflyte_bridge):
    """Of the configuration that the endpoints here have."""
    return prepare_sagemaker(pyflyte_bridge.caller(Flyte1), "shared")


@dataclasses.dataclass
class Endpoint:
    """An endpoint that was asked for."""

    caller: object
    request: object
    name: str
    handle: object

    def get(self):
        return self.caller.get(TASK_TYPE, self.handle)

    def delete(self):
        self.caller.delete(TASK_TYPE, self.handle)


@pytest.fixture
def endpoint(pyflyte_bridge, sagemaker, kind, job, token):
    """An endpoint that is being created."""
    caller = pyflyte_bridge.caller(kind)
    # A name has 63 characters at most, of which flytekit takes what its hash needs.
    request = of_flytekit(sagemaker_deployment("shared", job)[2], f"s3://bucket/{job}", **token)
    handle = caller.create(request)
    (name,) = [name for name in sagemaker.backend.endpoints if name.startswith(job)]
    return Endpoint(caller, request, name, handle)


@pytest.mark.parametrize("kind", [Flyte1, Rest], ids=lambda kind: kind.__name__)
def test_boto_answers_within_the_call(pyflyte_bridge, sagemaker, kind, job):
    caller, name = pyflyte_bridge.caller(kind), job[:24]
    model, config, _ = sagemaker_deployment(name, job)
    answer = caller.execute(of_flytekit(model, f"s3://bucket/{job}"))
    # The placeholders are replaced: one is a hash of the rest.
    token = read_output(answer, "idempotence_token", str)
    model = sagemaker.backend.describe_model(f"{name}-{token}")
    assert read_output(answer, "result", dict) == {"ModelArn": model.arn}
    assert sagemaker.sent(ModelName=f"{name}-{token}")["PrimaryContainer"] == {"Image": "example.com/model:1"}
    answer = caller.execute(of_flytekit(config, f"s3://bucket/{job}", idempotence_token=token))
    sent = sagemaker.sent(EndpointConfigName=f"{name}-{read_output(answer, 'idempotence_token', str)}")
    # Flyte's numbers are floats, and the connector makes them integers again.
    variant = {"VariantName": "all", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    assert sent["ProductionVariants"] == [{**variant, "ModelName": f"{name}-{token}"}]


def test_endpoint_gets_into_service(sagemaker, endpoint, token):
    sent = sagemaker.sent(EndpointName=endpoint.name)
    assert sent["EndpointConfigName"] == f"shared-{token['idempotence_token']}"
    assert [endpoint.get().phase for _ in range(2)] == ["RUNNING"] * 2
    sagemaker.put(endpoint.name, "InService")
    answer = endpoint.get()
    assert answer.phase == "SUCCEEDED", answer
    arn = sagemaker.backend.endpoints[endpoint.name].arn
    assert read_output(answer, "result", dict) == {"EndpointArn": arn}


def test_endpoint_in_service_stays(sagemaker, endpoint):
    """Flyte 2 deletes each job an hour after its end, which would take away the endpoint that a task made."""
    sagemaker.put(endpoint.name, "InService")
    # Flyte need not have seen the end.
    endpoint.delete()
    assert endpoint.get().phase == "SUCCEEDED"
    endpoint.delete()
    assert "DeleteEndpoint" not in sagemaker.asked(EndpointName=endpoint.name)
    assert endpoint.name in sagemaker.backend.endpoints


def test_endpoint_that_is_created_is_deleted(sagemaker, endpoint):
    assert endpoint.get().phase == "RUNNING"
    endpoint.delete()
    assert sagemaker.asked(EndpointName=endpoint.name).count("DeleteEndpoint") == 1
    assert endpoint.name not in sagemaker.backend.endpoints


def test_endpoint_that_failed_says_why_and_is_deleted(sagemaker, endpoint):
    """AWS keeps it until it is deleted."""
    reason = "The primary container for production variant all did not pass the ping health check."
    sagemaker.put(endpoint.name, "Failed", reason)
    answer = endpoint.get()
    assert (answer.phase, answer.message) == ("FAILED", reason)
    endpoint.delete()
    assert endpoint.name not in sagemaker.backend.endpoints


def test_unknown_status_leaves_the_last_known_phase(sagemaker, endpoint):
    assert endpoint.get().phase == "RUNNING"
    # One of nine that AWS has. The connector knows three.
    sagemaker.put(endpoint.name, "SystemUpdating")
    answer = endpoint.get()
    assert answer.phase == "RUNNING" and "KeyError: 'SystemUpdating'" in answer.message
    sagemaker.put(endpoint.name, "InService")
    assert endpoint.get().phase == "SUCCEEDED"


def test_repeated_create_is_one_endpoint(sagemaker, endpoint):
    handles = [endpoint.caller.create(endpoint.request) for _ in range(2)]
    assert sagemaker.asked(EndpointName=endpoint.name).count("CreateEndpoint") == 1
    sagemaker.put(endpoint.name, "InService")
    for handle in handles:
        assert endpoint.caller.get(TASK_TYPE, handle).phase == "SUCCEEDED"


def test_refusal_of_aws_is_told(pyflyte_bridge, sagemaker, kind, job):
    request = of_flytekit(sagemaker_deployment("absent", job)[2], f"s3://bucket/{job}/2", idempotence_token="0123456789abcdef")
    with pytest.raises(Refused) as refused:
        pyflyte_bridge.caller(kind).create(request)
    # The connector raises every error of AWS as an exception.
    assert refused.value.code == "UNAVAILABLE"
    assert "(ValidationException) when calling the CreateEndpoint operation" in refused.value.message
    assert "Could not find endpoint configuration" in refused.value.message
    assert "Traceback" not in refused.value.sent
