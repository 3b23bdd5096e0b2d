"""Python values as the JSON that the bridge reads."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta, timezone
from typing import Any

# What 64 bits hold, signed or not; other programs would round what is beyond.
INTEGERS = range(-(2**63), 2**64)


def plain(value: Any, name: str) -> Any:
    """``value`` in JSON's own types. Times become RFC 3339, durations a number of seconds, tuples lists.

    Raises ValueError or TypeError, with ``name`` in the message, for what JSON or Flyte cannot express.
    """
    if value is None or isinstance(value, bool):
        return value
    for kind, convert in CONVERSIONS:
        if isinstance(value, kind):
            return convert(value, name)
    expected = "str, int, float, bool, None, list, dict, datetime or timedelta"
    raise TypeError(f"{name}: expected {expected}, not {type(value).__name__}")


def encode(value: Any) -> bytes:
    """``value``, which is plain, as JSON in as few bytes as possible."""
    # Messages of vendors may hold anything; an answer must not fail because of one character.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def of_text(value: str, name: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name}: not valid Unicode") from None
    return value


def of_integer(value: int, name: str) -> int:
    if value not in INTEGERS:
        raise ValueError(f"{name}: an integer beyond 64 bits; write it as a string")
    return value


def of_float(value: float, name: str) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{name}: {value} is not JSON")
    return value


def of_list(value: Any, name: str) -> list[Any]:
    return [plain(item, f"{name}[{index}]") for index, item in enumerate(value)]


def of_mapping(value: Mapping[Any, Any], name: str) -> dict[str, Any]:
    for key in value:
        if not isinstance(key, str):
            raise TypeError(f"{name}: the key {key!r} is no string")
    return {of_text(key, name): plain(item, f"{name}.{key}") for key, item in value.items()}


def of_time(value: datetime, name: str) -> str:
    if value.utcoffset() is None:
        raise ValueError(f"{name}: a datetime without a time zone; use datetime.now(timezone.utc)")
    # In UTC, because offsets of RFC 3339 have no seconds.
    return value.astimezone(timezone.utc).isoformat()


def of_date(value: date, name: str) -> str:
    """Midnight in UTC, as flytekit has it: Flyte has no type for dates."""
    return f"{value.isoformat()}T00:00:00+00:00"


def of_duration(value: timedelta, name: str) -> float:
    return value.total_seconds()


# A datetime is a date, so it comes first.
CONVERSIONS: tuple[tuple[type | tuple[type, ...], Callable[[Any, str], Any]], ...] = (
    (str, of_text),
    (int, of_integer),
    (float, of_float),
    ((list, tuple), of_list),
    (Mapping, of_mapping),
    (datetime, of_time),
    (date, of_date),
    (timedelta, of_duration),
)
