"""A value of a database as JSON, and as a value of one of Flyte's types."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

from interface import Base, Kind

# Flyte keeps numbers in objects as doubles, which hold integers up to here.
MAX_EXACT = 2**53 - 1
# A level is up to three messages within each other, of which protobuf reads 100.
MAX_DEPTH = 25
INTEGERS = range(-(2**63), 2**63)


class Misfit(Exception):
    """A value that has not the form that is asked for; the message continues the name of the column or output."""


def plain(value: Any, depth: int = 0) -> Any:
    """``value`` as JSON, for rows that are objects.

    Raises Misfit for an integer that would be rounded, and for what is nested too deeply for Flyte's messages.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        if abs(value) > MAX_EXACT:
            raise Misfit(f"{described(value)} would be rounded, because Flyte's objects have doubles: cast it to text")
        return value
    if isinstance(value, list | tuple | dict) and depth == MAX_DEPTH:
        raise Misfit(f"is nested deeper than {MAX_DEPTH} levels: cast it to text")
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, float) and math.isfinite(value):
        return value
    return value.total_seconds() if isinstance(value, timedelta) else text(value)


def text(value: Any) -> str:
    """``value`` as a string."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, datetime):
        return (value.astimezone(timezone.utc) if value.tzinfo else value).isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=text)
    return str(value)


def of_kind(value: Any, kind: Kind) -> Any:
    """``value`` as an output of this type. Raises Misfit."""
    if value is None:
        if not kind.optional:
            raise Misfit(f"is NULL, but the task declares {kind}: declare Optional[{kind}], or use COALESCE")
        return None
    if kind.base is Base.LIST and kind.item and isinstance(value, list):
        return [of_kind(item, kind.item) for item in value]
    if kind.base in (Base.STRUCT, Base.MAP) and isinstance(value, dict):
        return {key: of_kind(item, kind.item) if kind.item else plain(item) for key, item in value.items()}
    convert = CONVERSIONS.get(kind.base)
    if convert is None:
        raise Misfit(f"is {described(value)}, but the task declares {kind}")
    try:
        return convert(value)
    except (TypeError, ValueError, LookupError, ArithmeticError):
        raise Misfit(f"is {described(value)}, but the task declares {kind}") from None


def described(value: Any) -> str:
    shown = text(value)
    return f"{shown[:50]}…" if len(shown) > 50 else shown


def integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or value != int(value):
        raise ValueError
    if int(value) not in INTEGERS:
        raise Misfit(f"is {described(value)}, beyond the 64 bits of Flyte's int: declare str")
    return int(value)


def number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not math.isfinite(value):
        raise ValueError
    return float(value)


def boolean(value: Any) -> bool:
    """MySQL has numbers for it, and bits."""
    return {True: True, False: False, b"\x01": True, b"\x00": False}[value]


def instant(value: Any) -> datetime:
    """A time without a zone is in UTC, as Flyte's are."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=timezone.utc)
    raise ValueError


def duration(value: Any) -> timedelta:
    if not isinstance(value, timedelta):
        raise ValueError
    return value


CONVERSIONS: dict[Base, Callable[[Any], Any]] = {
    Base.INTEGER: integer,
    Base.FLOAT: number,
    Base.STRING: text,
    Base.BOOLEAN: boolean,
    Base.DATETIME: instant,
    Base.DURATION: duration,
}
