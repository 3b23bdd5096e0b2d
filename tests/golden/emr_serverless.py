"""Writes the golden requests of EMR Serverless: what flytekit's EMRServerless, and this repository's EmrServerlessTask of
both Flytes, register, as propeller sends it.

    pip install flytekitplugins-awsemrserverless==1.16.31 flyte[connector]==2.12.1 ./services/emr-serverless/tasks
    python tests/golden/emr_serverless.py

The messages are serialised deterministically, so a second run changes nothing.
"""

import emr_serverless_task.flyte
import emr_serverless_task.flytekit
from attempts import of_attempt, of_flyte2s_propeller, request1, request2, write
from flytekit import TaskMetadata, kwtypes, task
from flytekitplugins.awsemrserverless import EMRServerless, EMRServerlessHiveJobDriver, EMRServerlessSparkJobDriver

ROLE = "arn:aws:iam::111122223333:role/etl-orders"
APPLICATION = "00f1r2v3abcdef09"
SCRIPT = "s3://acme-etl/orders.py"
IMAGE = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/etl:1.4"


@task(
    task_config=EMRServerless(
        application_id=APPLICATION,
        execution_role_arn=ROLE,
        spark_job_driver=EMRServerlessSparkJobDriver(
            entry_point=SCRIPT,
            entry_point_arguments=["--day", "{{ .inputs.day }}"],
            spark_submit_parameters="--conf spark.executor.cores=2",
        ),
        spark_submit_parameters="--conf spark.executor.memory=4g",
        configuration_overrides={
            "monitoringConfiguration": {
                "s3MonitoringConfiguration": {"logUri": "s3://acme-logs/emr/"},
                "cloudWatchLoggingConfiguration": {"enabled": True, "logGroupName": "/acme/etl"},
            }
        },
        application_configuration=[
            {"classification": "spark-defaults", "properties": {"spark.dynamicAllocation.maxExecutors": "10"}}
        ],
        retry_policy={"maxAttempts": 2},
        tags={"team": "orders"},
        execution_timeout_minutes=30,
        region="eu-central-1",
    ),
    retries=2,
)
def spark(day: str) -> str:
    return "submitted"


@task(
    task_config=EMRServerless(
        application_name="etl",
        execution_role_arn=ROLE,
        spark_job_driver=EMRServerlessSparkJobDriver(entry_point=SCRIPT),
        inject_flyte_env=False,
    )
)
def minimal() -> None: ...


@task(
    task_config=EMRServerless(
        application_id="etl",
        application_type="HIVE",
        execution_role_arn=ROLE,
        hive_job_driver=EMRServerlessHiveJobDriver(
            query="s3://acme-etl/orders.sql",
            init_query_file="s3://acme-etl/init.sql",
            parameters="--hiveconf hive.exec.scratchdir=s3://acme-etl/scratch",
        ),
    )
)
def hive() -> None: ...


@task(
    task_config=EMRServerless(application_id=APPLICATION, execution_role_arn=ROLE),
    container_image=IMAGE,
    environment={"STAGE": "prod"},
)
def code(day: str) -> int:
    return len(day)


@task(
    task_config=EMRServerless(
        execution_role_arn=ROLE,
        application_name="etl-new",
        release_label="emr-7.1.0",
        architecture="ARM64",
        initial_capacity={"Driver": {"workerCount": 1, "workerConfiguration": {"cpu": "2vCPU", "memory": "4GB"}}},
        maximum_capacity={"cpu": "400vCPU", "memory": "3000GB"},
        network_configuration={"subnetIds": ["subnet-0a1b"], "securityGroupIds": ["sg-0a1b"]},
        image_configuration={"imageUri": IMAGE},
        runtime_configuration=[{"classification": "spark-defaults"}],
        scheduler_configuration={"maxConcurrentRuns": 5},
        auto_stop_config={"enabled": True, "idleTimeoutMinutes": 15},
        spark_job_driver=EMRServerlessSparkJobDriver(entry_point=SCRIPT),
    )
)
def application() -> None: ...


def of_flytekit():
    """flytekit's own tasks."""
    day = {"day": "2026-03-01"}
    yield "emr_spark", day, spark
    yield "emr_minimal", {}, minimal
    yield "emr_hive", {}, hive
    yield "emr_code", day, code
    yield "emr_application", {}, application


def ours(module):
    return module.EmrServerlessConfig(
        application_name="etl",
        execution_role_arn=ROLE,
        spark_job_driver=module.SparkJob(entry_point=SCRIPT, arguments=["--day", "{{ .inputs.day }}"]),
        execution_timeout_minutes=30,
    )


def of_ours1():
    """This repository's task for flytekit."""
    module = emr_serverless_task.flytekit
    made = module.EmrServerlessTask("ours", ours(module), inputs=kwtypes(day=str), metadata=TaskMetadata(retries=1))
    yield "emr_ours", {"day": "2026-03-01"}, made


def of_ours2():
    """This repository's task for Flyte 2."""
    module = emr_serverless_task.flyte
    made = module.EmrServerlessTask(name="ours", plugin_config=ours(module), inputs={"day": str})
    yield "emr_ours", {"day": "2026-03-01"}, made


def main():
    for name, inputs, made in [*of_flytekit(), *of_ours1()]:
        write("v1", name, of_attempt(request1(made, inputs), made.name))
    for name, inputs, made in of_ours2():
        write("v2", name, of_flyte2s_propeller(of_attempt(request2(made, inputs), made.name)))


if __name__ == "__main__":
    main()
