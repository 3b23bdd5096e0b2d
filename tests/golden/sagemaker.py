"""Writes the golden requests of SageMaker: what flytekit's tasks, and this repository's SageMakerTask for Flyte 2, register, as
propeller sends it, and what flytekit's connectors call AWS with for theirs.

    pip install flytekitplugins-awssagemaker==1.16.31 flyte[connector]==2.12.1 ./services/sagemaker/tasks
    python tests/golden/sagemaker.py

The messages are serialised deterministically, so a second run changes nothing.
"""

import asyncio
import contextlib
import json
from unittest import mock

import aioboto3
from attempts import GOLDEN, of_attempt, of_flyte2s_propeller, request1, request2, write
from flytekit import kwtypes, task
from flytekit.extend.backend.base_connector import ConnectorRegistry
from flytekit.models.literals import LiteralMap
from flytekit.models.task import TaskTemplate
from flytekitplugins.awssagemaker_batch_transform import SageMakerTransformJobTask
from flytekitplugins.awssagemaker_hyperparameter_tuning import SageMakerHyperParameterTuningJobTask
from flytekitplugins.awssagemaker_inference import (
    SageMakerInvokeEndpointTask,
    create_sagemaker_deployment,
    delete_sagemaker_deployment,
)
from flytekitplugins.awssagemaker_inference_recommender import SageMakerInferenceRecommenderJobTask
from flytekitplugins.awssagemaker_processing import SageMakerProcessing, SageMakerProcessingJobTask
from flytekitplugins.awssagemaker_training import (
    SageMakerDescribeTrainingJobTask,
    SageMakerTraining,
    SageMakerTrainingJobTask,
)
from sagemaker_task.flyte import SageMakerConfig, SageMakerTask

REGION = "eu-central-1"
ROLE = "arn:aws:iam::111122223333:role/ml-train"
IMAGE = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/ml:1.4"
INSTANCE = {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30}
TRITON = "{account_id}.dkr.ecr.{region}.{base}/sagemaker-tritonserver:21.08-py3"

training = SageMakerTrainingJobTask(
    name="train",
    config={
        "TrainingJobName": "orders-{idempotence_token}",
        "RoleArn": ROLE,
        "AlgorithmSpecification": {
            "TrainingImage": "{images.trainer}",
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss: ([0-9\\.]{1,9})"}],
        },
        "HyperParameters": {"epochs": "{inputs.epochs}", "data": "{inputs.day}"},
        "OutputDataConfig": {"S3OutputPath": "s3://acme-ml/{inputs.day}/"},
        "ResourceConfig": {**INSTANCE, "InstanceCount": "{inputs.instances}"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "Tags": [{"Key": "team", "Value": "ml"}],
    },
    region=REGION,
    images={"trainer": IMAGE},
    inputs=kwtypes(day=str, epochs=int, instances=int),
)

processing = SageMakerProcessingJobTask(
    name="prepare",
    config={
        "ProcessingJobName": "prepare-{idempotence_token}",
        "RoleArn": ROLE,
        "AppSpecification": {"ImageUri": "{images.main}", "ContainerArguments": ["--day", "{inputs.day}"]},
        "ProcessingResources": {"ClusterConfig": INSTANCE},
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "clean",
                    "S3Output": {
                        "S3Uri": "s3://acme-ml/clean/{inputs.day}",
                        "LocalPath": "/opt/ml/processing/output",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
        "Environment": {"STAGE": "prod"},
    },
    region=REGION,
    images={"main": IMAGE},
    inputs=kwtypes(day=str),
)

transform = SageMakerTransformJobTask(
    name="score",
    config={
        "TransformJobName": "score-{idempotence_token}",
        "ModelName": "{inputs.model}",
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://acme-ml/in/"}},
            "ContentType": "text/csv",
        },
        "TransformOutput": {"S3OutputPath": "s3://acme-ml/scores/"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    },
    region=REGION,
    inputs=kwtypes(model=str),
)

tuning = SageMakerHyperParameterTuningJobTask(
    name="tune",
    config={
        "HyperParameterTuningJobName": "tune-{idempotence_token}",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": "{inputs.trials}", "MaxParallelTrainingJobs": 2},
            "ParameterRanges": {"ContinuousParameterRanges": [{"Name": "lr", "MinValue": "0.01", "MaxValue": "1"}]},
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": {"epochs": "3"},
            "AlgorithmSpecification": {
                "TrainingImage": "{images.trainer}",
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "loss", "Regex": "loss: (.*)"}],
            },
            "RoleArn": ROLE,
            "OutputDataConfig": {"S3OutputPath": "s3://acme-ml/tuned/"},
            "ResourceConfig": INSTANCE,
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        },
    },
    region=REGION,
    images={"trainer": IMAGE},
    inputs=kwtypes(trials=int),
)

recommender = SageMakerInferenceRecommenderJobTask(
    name="recommend",
    config={
        "JobName": "recommend-{idempotence_token}",
        "JobType": "Default",
        "RoleArn": ROLE,
        "InputConfig": {
            "ModelPackageVersionArn": "arn:aws:sagemaker:eu-central-1:111122223333:model-package/orders/1"
        },
    },
    region=REGION,
)

describe = SageMakerDescribeTrainingJobTask(
    name="look", config={"TrainingJobName": "{inputs.job}"}, region=REGION, inputs=kwtypes(job=str)
)

invoke = SageMakerInvokeEndpointTask(
    name="ask",
    config={
        "EndpointName": "{inputs.endpoint}",
        "InputLocation": "s3://acme-ml/asked/{inputs.day}.csv",
        "ContentType": "text/csv",
        "InvocationTimeoutSeconds": 600,
    },
    region=REGION,
    inputs=kwtypes(endpoint=str, day=str),
)


@task(
    task_config=SageMakerTraining(
        execution_role_arn=ROLE,
        region=REGION,
        environment={"STAGE": "prod"},
        tags={"team": "ml"},
        vpc_config={"Subnets": ["subnet-0a1b2c3d"], "SecurityGroupIds": ["sg-0a1b2c3d"]},
    ),
    container_image=IMAGE,
)
def train_code(day: str) -> int:
    return len(day)


@task(
    task_config=SageMakerProcessing(
        execution_role_arn=ROLE,
        region=REGION,
        instance_type="ml.c5.xlarge",
        max_runtime_in_seconds=600,
        job_name_prefix="clean up/",
        network_config={"EnableInterContainerTrafficEncryption": True},
    ),
    container_image=IMAGE,
)
def clean_code(day: str) -> str:
    return day


def deployment():
    """The tasks of flytekit's workflows that make and delete a deployment, in their order."""
    made = create_sagemaker_deployment(
        name="orders",
        model_config={
            "ExecutionRoleArn": ROLE,
            "PrimaryContainer": {"Image": "{images.triton}", "ModelDataUrl": "{inputs.model_path}"},
        },
        endpoint_config_config={
            "ProductionVariants": [
                {"VariantName": "main", "InitialInstanceCount": 1, "InstanceType": "{inputs.instance_type}"}
            ]
        },
        endpoint_config={},
        images={"triton": TRITON},
        model_input_types=kwtypes(model_path=str),
        endpoint_config_input_types=kwtypes(instance_type=str),
        region=REGION,
    )
    deleted = delete_sagemaker_deployment(name="orders", region=REGION)
    return [node.flyte_entity for node in (*made.nodes, *deleted.nodes)]


def ours():
    """This repository's task for Flyte 2."""
    request = {
        "TrainingJobName": "orders-{idempotence_token}",
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": "{images.trainer}", "TrainingInputMode": "File"},
        "HyperParameters": {"day": "{inputs.day}"},
        "OutputDataConfig": {"S3OutputPath": "s3://acme-ml/models/"},
        "ResourceConfig": INSTANCE,
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    }
    config = SageMakerConfig(config=request, region=REGION, images={"trainer": IMAGE})
    return SageMakerTask(name="ours", plugin_config=config, inputs={"day": str})


class Recorder:
    """In place of boto3's client: keeps the call."""

    def __init__(self, calls):
        self.calls = calls

    def __getattr__(self, method):
        async def call(**request):
            self.calls.append({"method": method, "request": request})
            return {}

        return call


def official(request):
    """The call that flytekit's connector makes for a request."""
    calls = []

    class Session:
        @contextlib.asynccontextmanager
        async def client(self, service_name, region_name):
            yield Recorder(calls)

    template = TaskTemplate.from_flyte_idl(request.template)
    inputs = LiteralMap.from_flyte_idl(request.inputs)
    connector = ConnectorRegistry.get_connector(template.type)
    submit = connector.do if template.type == "boto" else connector.create
    with mock.patch.object(aioboto3, "Session", Session):
        asyncio.run(submit(task_template=template, inputs=inputs, output_prefix=request.output_prefix))
    return calls[0]


def main():
    day = {"day": "2026-03-01"}
    model, config, endpoint, no_endpoint, no_config, no_model = deployment()
    token = {"idempotence_token": "0123456789abcdef0123"}
    for name, inputs, made in [
        ("sm_training", day | {"epochs": 3, "instances": 2}, training),
        ("sm_processing", day, processing),
        ("sm_transform", {"model": "orders-1"}, transform),
        ("sm_tuning", {"trials": 4}, tuning),
        ("sm_recommender", {}, recommender),
        ("sm_endpoint", token, endpoint),
        ("sm_train_code", day, train_code),
        ("sm_clean_code", day, clean_code),
        ("smb_model", {"model_path": "s3://acme-ml/model.tar.gz"}, model),
        ("smb_endpoint_config", {"instance_type": "ml.m5.large"} | token, config),
        ("smb_describe", {"job": "orders-1"}, describe),
        ("smb_invoke", day | {"endpoint": "orders-1"}, invoke),
        ("smb_delete_endpoint", {"endpoint_name": "orders-1"}, no_endpoint),
        ("smb_delete_endpoint_config", {"endpoint_config_name": "orders-1"}, no_config),
        ("smb_delete_model", {"model_name": "orders-1"}, no_model),
    ]:
        request = of_attempt(request1(made, inputs), made.name)
        write("v1", name, request)
        text = json.dumps(official(request), indent=2, sort_keys=True) + "\n"
        (GOLDEN / "v1" / f"{name}.official.json").write_text(text)
    one = ours()
    write("v2", "sm_ours", of_flyte2s_propeller(of_attempt(request2(one, day), one.name)))


if __name__ == "__main__":
    main()
