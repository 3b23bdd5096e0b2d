"""What a workflow's author sets."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

__all__ = ["AthenaConfig", "CreateTable", "Encryption", "Engine", "Parameter", "Unload"]

Format = Literal["parquet", "orc", "avro", "json", "textfile"]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """The value of a `?`: an input, as a value of another SQL type than its own.

    Attributes:
        input: The name of the input.
        type: The type of the value.
    """

    input: str
    type: Literal["date", "timestamp", "decimal", "varchar"]


@dataclass(frozen=True, kw_only=True)
class Encryption:
    """How Athena encrypts the result.

    Attributes:
        option: By which keys.
        kms_key: The ARN or id of the key, for `SSE_KMS` and `CSE_KMS`.
    """

    option: Literal["SSE_S3", "SSE_KMS", "CSE_KMS"]
    kms_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Engine:
    """The processing units of a query on provisioned capacity.

    Attributes:
        min_dpus: The least.
        max_dpus: The most.
    """

    min_dpus: int | None = None
    max_dpus: int | None = None


@dataclass(frozen=True, kw_only=True)
class Unload:
    """Writes the rows of a SELECT as files of another format than CSV.

    Attributes:
        format: The format of the files.
        compression: How they are compressed, for example `zstd`; by default as Athena does.
        location: The empty prefix to write below, `s3://bucket/prefix/`; by default one of the task's own.
    """

    format: Format = "parquet"
    compression: str | None = None
    location: str | None = None


@dataclass(frozen=True, kw_only=True)
class CreateTable:
    """Writes the rows of a SELECT as a new table.

    Attributes:
        name: The new table, `name` or `database.name`. `{{ .perRetryUniqueKey }}` is unique to an attempt.
        format: The format of its files.
        compression: How they are compressed, for example `zstd`; by default as Athena does.
        location: The empty prefix of its files, `s3://bucket/prefix/`; by default one below the result's location.
    """

    name: str
    format: Format = "parquet"
    compression: str | None = None
    location: str | None = None


@dataclass(frozen=True, kw_only=True)
class AthenaConfig:
    """The fields of the task's `custom` that the service reads.

    Attributes:
        database: The database of tables without one.
        catalog: The data catalog; by default the service's, else `AwsDataCatalog`.
        workgroup: The workgroup; by default the service's.
        region: One of the regions that the service's operator lists; by default the first.
        role: The ARN of the role to run as, one of those that the service's operator allows.
        parameters: The inputs that are the values of the statement's `?`, in their order.
        output_location: Where Athena writes the result, `s3://bucket/prefix/`.
        encryption: How Athena encrypts the result.
        expected_bucket_owner: The account that owns the result's bucket; Athena refuses another's.
        bucket_owner_full_control: Whether the owner of the result's bucket gets full control of the result.
        result_reuse_minutes: The age of an earlier result that Athena may answer with, up to 10080.
        engine: The processing units of a query on provisioned capacity.
        unload: Writes the rows of a SELECT as files of another format than CSV.
        create_table: Writes the rows of a SELECT as a new table.
    """

    database: str | None = None
    catalog: str | None = None
    workgroup: str | None = None
    region: str | None = None
    role: str | None = None
    parameters: tuple[str | Parameter, ...] | list[str | Parameter] | None = None
    output_location: str | None = None
    encryption: Encryption | None = None
    expected_bucket_owner: str | None = None
    bucket_owner_full_control: bool | None = None
    result_reuse_minutes: int | None = None
    engine: Engine | None = None
    unload: Unload | None = None
    create_table: CreateTable | None = None

    # Flyte 2 itself reads the fields `secrets` and `configs` of a task's custom: call none of yours so.
    def custom(self) -> dict[str, Any]:
        """The fields that are set: the service has defaults for the others."""
        custom: dict[str, Any] = plain(self)
        return custom


def plain(value: Any) -> Any:
    """`value` as JSON, without what is not set."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if not hasattr(value, "__dataclass_fields__"):
        return value
    named = {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return {name: field for name, field in named.items() if field is not None}
