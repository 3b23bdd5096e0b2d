"""A task's inputs as Python values of the types that its interface declares."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from outrigger_plugin import Refused, Task

from interface import Base, Kind, kinds
from statement import Input, Statement, TaskKey

DURATION = re.compile(r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
FRACTION = re.compile(r"\.(\d+)")


def values(task: Task, statement: Statement) -> list[Any]:
    """The value of each placeholder. Raises Refused for an input that the task does not have, by its name."""
    declared = kinds(task.template, "inputs") or {}

    def value(placeholder: Input | TaskKey) -> Any:
        if isinstance(placeholder, TaskKey):
            return task.key
        name = placeholder.name
        if name not in task.inputs:
            has = ", ".join(sorted(task.inputs)) or "none"
            message = f"{{{{ .inputs.{name} }}}}: no such input; the task has {has}"
            raise Refused(message, code="UNKNOWN_INPUT")
        return typed(task.inputs[name], declared.get(name), f"inputs.{name}")

    return [value(placeholder) for placeholder in statement.placeholders]


def typed(value: Any, kind: Kind | None, name: str) -> Any:
    """``value``, which came as JSON. One without a declared type stays what it is."""
    if kind is None or value is None:
        return value
    if kind.base is Base.LIST and isinstance(value, list):
        return [typed(item, kind.item, f"{name}[{index}]") for index, item in enumerate(value)]
    read = READERS.get(kind.base)
    if read is None or not isinstance(value, str):
        return value
    try:
        return read(value)
    except (ValueError, OverflowError):
        raise Refused(f"{name}: no {kind}: {value!r}", code="WRONG_INPUT") from None


def read_datetime(text: str) -> datetime:
    """RFC 3339, of which Python 3.10 reads neither Z nor every number of digits."""
    text = FRACTION.sub(lambda match: f".{match[1][:6]:<06}", text.replace("Z", "+00:00"))
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)


def read_duration(text: str) -> timedelta:
    """ISO 8601, without years and months."""
    match = DURATION.fullmatch(text)
    if match is None:
        raise ValueError(text)
    sign, *amounts = match.groups()
    days, hours, minutes, seconds = (float(amount or 0) for amount in amounts)
    span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    return -span if sign else span


def read_bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


READERS: dict[Base, Callable[[str], Any]] = {
    Base.DATETIME: read_datetime,
    Base.DURATION: read_duration,
    Base.BINARY: read_bytes,
}
