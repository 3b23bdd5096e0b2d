"""What a workflow's author sets."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class RedshiftConfig:
    """The fields of the task's `custom` that the service reads.

    Attributes:
        cluster: The provisioned cluster; not with `workgroup`.
        workgroup: The workgroup of Redshift Serverless.
        database: The database; by default the service's.
        secret: The ARN of the secret with the database user; not with `db_user`.
        db_user: The database user of a cluster.
        region: The region; by default the service's.
        role: The ARN of the role to run as.
        transaction: Whether several statements are one transaction; true by default.
        statement_name: A name that Redshift lists the statements by.
        with_event: Whether EventBridge gets an event at the end.
    """

    cluster: str | None = None
    workgroup: str | None = None
    database: str | None = None
    secret: str | None = None
    db_user: str | None = None
    region: str | None = None
    role: str | None = None
    transaction: bool | None = None
    statement_name: str | None = None
    with_event: bool | None = None

    # Flyte 2 itself reads the fields `secrets` and `configs` of a task's custom: call none of yours so.
    def custom(self) -> dict[str, Any]:
        """The fields that are set: the service has defaults for the others."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def joined(statements: str | list[str]) -> str:
    """The statements as the service reads them."""
    # On a line of its own: at the end of a comment, a semicolon would be a part of it.
    return statements if isinstance(statements, str) else "\n;\n".join(statements)
