"""What a workflow's author sets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, kw_only=True)
class SparkJob:
    """A Spark script.

    Attributes:
        entry_point: The script, `s3://bucket/main.py` or a JAR.
        arguments: Its arguments; `{{ .inputs.x }}` is the value of an input.
        parameters: Parameters of spark-submit, such as `--conf spark.executor.memory=4g`.
    """

    entry_point: str
    arguments: list[str] | None = None
    parameters: str | None = None

    def custom(self) -> dict[str, Any]:
        """`spark_job_driver`."""
        names = {"entry_point": "entryPoint", "arguments": "entryPointArguments", "parameters": "sparkSubmitParameters"}
        return {names[name]: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class HiveJob:
    """A Hive query.

    Attributes:
        query: The query, or the URI in S3 of a file with it.
        init_query_file: The URI in S3 of a file with statements that run first.
        parameters: Parameters of Hive.
    """

    query: str
    init_query_file: str | None = None
    parameters: str | None = None

    def custom(self) -> dict[str, Any]:
        """`hive_job_driver`."""
        names = {"query": "query", "init_query_file": "initQueryFile", "parameters": "parameters"}
        return {names[name]: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class EmrServerlessConfig:
    """The fields of the task's `custom` that the service reads.

    Attributes:
        spark_job_driver: A Spark script; not with `hive_job_driver`.
        hive_job_driver: A Hive query.
        application_id: The application; by default the service's.
        application_name: The application by its name.
        execution_role_arn: The role of the run; by default the service's.
        region: The region; by default the service's.
        role: The ARN of the role to call AWS as.
        configuration_overrides: StartJobRun's `configurationOverrides`.
        execution_timeout_minutes: After how many minutes AWS cancels the run; by default the task's timeout.
        retry_policy: StartJobRun's `retryPolicy`, such as `{"maxAttempts": 3}`.
        tags: Tags of the run.
        inject_flyte_env: Whether Spark gets Flyte's environment variables; true by default.
    """

    spark_job_driver: SparkJob | None = None
    hive_job_driver: HiveJob | None = None
    application_id: str | None = None
    application_name: str | None = None
    execution_role_arn: str | None = None
    region: str | None = None
    role: str | None = None
    configuration_overrides: dict[str, Any] | None = None
    execution_timeout_minutes: int | None = None
    retry_policy: dict[str, int] | None = None
    tags: dict[str, str] | None = None
    inject_flyte_env: bool | None = None

    # Flyte 2 itself reads the fields `secrets` and `configs` of a task's custom: call none of yours so.
    def custom(self) -> dict[str, Any]:
        """The fields that are set: the service has defaults for the others."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        set_ = {name: value for name, value in values.items() if value is not None}
        return {name: value.custom() if hasattr(value, "custom") else value for name, value in set_.items()}
