"""The task that a plugin is to run."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

# How long the bridge's callers wait unless they say so.
PATIENCE = timedelta(seconds=30)


def in_a_while() -> datetime:
    return datetime.now(timezone.utc) + PATIENCE


@dataclass(frozen=True)
class Task:
    """A task of Flyte. The defaults are for tests; a task from Flyte has all fields."""

    task_type: str
    version: int = 0
    #: The same whenever Flyte repeats a create of this attempt: give it to the vendor as the idempotency key.
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    #: Plain values by name.
    inputs: dict[str, Any] = field(default_factory=dict)
    #: The settings of the task's author.
    custom: dict[str, Any] = field(default_factory=dict)
    #: The statement of an SQL task.
    sql: str | None = None
    #: Flyte's TaskTemplate as proto-JSON, with the names of the proto.
    template: dict[str, Any] = field(default_factory=dict)
    #: Where Flyte keeps the attempt's outputs.
    output_prefix: str = ""
    #: Flyte's TaskExecutionMetadata, as the template.
    execution: dict[str, Any] = field(default_factory=dict)
    #: Until when the caller waits, with a time zone.
    deadline: datetime = field(default_factory=in_a_while)

    def time_left(self) -> float:
        """Seconds until the deadline, and 0 when it has passed."""
        return max(0.0, (self.deadline - datetime.now(timezone.utc)).total_seconds())


class Malformed(ValueError):
    """A request that the bridge would not send; the message names the field."""


def read_task(task_type: str, version: int, headers: Mapping[str, str], body: bytes) -> Task:
    """The task in a request. ``headers`` have names in lower case. Raises Malformed."""
    key = headers.get("idempotency-key", "")
    if not key:
        raise Malformed("Idempotency-Key: missing")
    fields = read_object(body)
    template = member(fields, "template")
    statement = member(template, "sql").get("statement")
    return Task(
        task_type=task_type,
        version=version,
        key=key,
        inputs=member(fields, "inputs"),
        custom=member(template, "custom"),
        sql=None if statement is None else str(statement),
        template=template,
        output_prefix=str(fields.get("output_prefix") or ""),
        execution=member(fields, "task_execution_metadata"),
        deadline=read_deadline(headers),
    )


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object in ``body``. Raises Malformed."""
    value = read_json(body, "the body")
    if not isinstance(value, dict):
        raise Malformed("the body: expected a JSON object")
    return value


def read_json(text: str | bytes, where: str) -> Any:
    """The JSON in ``text``. Raises Malformed, which names ``where``."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{where}: not JSON: {error}") from None


def member(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object called ``name``; empty when there is none. Raises Malformed."""
    value = fields.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Malformed(f"{name}: expected a JSON object")
    return value


def seconds_left(headers: Mapping[str, str]) -> float:
    """How long the caller of a request waits for its answer. Raises Malformed."""
    return max(0.0, (read_deadline(headers) - datetime.now(timezone.utc)).total_seconds())


def read_deadline(headers: Mapping[str, str]) -> datetime:
    """Until when the caller of a request waits. Raises Malformed."""
    milliseconds = headers.get("outrigger-deadline-ms")
    if milliseconds is None:
        return in_a_while()
    try:
        return datetime.now(timezone.utc) + timedelta(milliseconds=int(milliseconds))
    except (ValueError, OverflowError):
        raise Malformed(f"Outrigger-Deadline-Ms: expected milliseconds, not {milliseconds!r}") from None
