"""Requests about tasks that flytekit's plugins make for vendors."""

from callers import task
from fake_openai import ORGANIZATION
from flytekit import Secret
from flytekitplugins.awssagemaker_inference import create_sagemaker_deployment
from flytekitplugins.openai import ChatGPTTask, create_batch
from moto_sagemaker import REGION
from sdk_requests import of_flytekit, read_output

ROLE = "arn:aws:iam::123456789012:role/sagemaker"


def openai_batch(job, file):
    """Of the middle task of the workflow that flytekit makes for a batch."""
    secret, config = Secret(group="openai", key="key"), {"metadata": {"team": "interop"}}
    workflow = create_batch("interop", secret, openai_organization=ORGANIZATION, config=config)
    return of_flytekit(workflow.nodes[1].flyte_entity, f"s3://bucket/{job}", input_file_id=file)


def chat(message):
    config = {"model": "gpt-5-mini", "temperature": 0.5, "max_completion_tokens": 40}
    chatgpt = ChatGPTTask("chat", config, openai_organization=ORGANIZATION)
    return of_flytekit(chatgpt, f"s3://bucket/{message}", message=message)


def sensor(job, path):
    """Of a task that waits for the file `path`."""
    request = task("sensor", job, inputs={"path": str(path)})
    request.template.custom.Clear()
    own = {"sensor_module": "flytekit.sensor.file_sensor", "sensor_name": "FileSensor"}
    request.template.custom.update({**own, "sensor_config": None, "inputs": None})
    return request


def sagemaker_deployment(name, endpoint):
    """The tasks that flytekit makes for a model, the configuration of its endpoint, and the endpoint."""
    variant = {"VariantName": "all", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    workflow = create_sagemaker_deployment(
        name,
        model_config={"ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": "{images.primary}"}},
        endpoint_config_config={"ProductionVariants": [variant]},
        endpoint_config={"EndpointName": endpoint},
        images={"primary": "example.com/model:1"},
        region=REGION,
    )
    return [node.flyte_entity for node in workflow.nodes]


def prepare_sagemaker(caller, name):
    """Creates a model and a configuration. Returns the token in the configuration's name."""
    token = {}
    for boto in sagemaker_deployment(name, "unused")[:2]:
        answer = caller.execute(of_flytekit(boto, f"s3://bucket/{name}", **token))
        assert answer.phase == "SUCCEEDED", answer
        token = {"idempotence_token": read_output(answer, "idempotence_token", str)}
    return token
