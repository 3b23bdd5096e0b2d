"""Writes the golden requests of AWS Batch: what tasks with flytekit's AWSBatchConfig, and with this repository's AwsBatchConfig for
Flyte 2, register, as propeller sends them.

    pip install flytekitplugins-awsbatch==1.16.31 flyte[connector]==2.12.1 ./services/aws-batch/tasks
    python tests/golden/aws_batch.py

The messages are serialised deterministically, so a second run changes nothing.
"""

import datetime

import flyte
from attempts import of_attempt, of_flyte2s_propeller, request1, request2, write
from aws_batch_task.flyte import AwsBatchConfig
from flytekit import Resources, task
from flytekitplugins.awsbatch import AWSBatchConfig


@task(task_config=AWSBatchConfig())
def minimal(): ...


@task(
    task_config=AWSBatchConfig(
        parameters={"codec": "mp4"},
        schedulingPriority=7,
        platformCapabilities="EC2",
        propagateTags=True,
        tags={"team": "orders"},
    ),
    container_image="111122223333.dkr.ecr.eu-central-1.amazonaws.com/etl:1.4",
    requests=Resources(cpu="1500m", mem="4Gi", gpu="1"),
    limits=Resources(cpu="4", mem="8Gi"),
    environment={"STAGE": "prod"},
    timeout=datetime.timedelta(hours=1),
    retries=3,
)
def orders(day: str) -> int:
    return len(day)


@task(task_config=AWSBatchConfig(platformCapabilities="FARGATE"), requests=Resources(cpu="500m", mem="1Gi"))
def fargate(day: str) -> str:
    return day


environment = flyte.TaskEnvironment(
    "etl",
    plugin_config=AwsBatchConfig(job_queue="etl", tags={"team": "orders"}),
    image=flyte.Image.from_base("111122223333.dkr.ecr.eu-central-1.amazonaws.com/etl:2.0"),
    resources=flyte.Resources(cpu="2", memory="4Gi"),
)


@environment.task
async def ours(day: str) -> int:
    return len(day)


def main():
    day = {"day": "2026-03-01"}
    for name, inputs, made in [("aws_minimal", {}, minimal), ("aws_orders", day, orders), ("aws_fargate", day, fargate)]:
        write("v1", name, of_attempt(request1(made, inputs), made.name))
    write("v2", "aws_ours", of_flyte2s_propeller(of_attempt(request2(ours, day), ours.name)))


if __name__ == "__main__":
    main()
