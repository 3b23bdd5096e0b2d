"""What a statement returned, as the outputs that the task declares."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from outrigger_plugin import Refused, Succeeded

from cells import Misfit, of_kind, plain, text
from interface import Base, Kind

# Outputs travel within Flyte's messages, which have 4 MiB at most.
MAX_BYTES = 1 << 20
MIN_WEIGHT = 8
ROLLED_BACK = "the statement was rolled back"
Row = tuple[Any, ...]
Kinds = Mapping[str, Kind]


@dataclass(frozen=True)
class Result:
    """What a statement returned. ``columns`` is None for a statement that has no rows to return."""

    columns: tuple[str, ...] | None
    rows: tuple[Row, ...] = ()
    affected: int = 0

    @property
    def summary(self) -> str:
        count, verb = (self.affected, " affected") if self.columns is None else (len(self.rows), "")
        return f"{count:,} row{'' if count == 1 else 's'}{verb}"


def bounded(rows: Iterable[Row], max_rows: int) -> tuple[Row, ...]:
    """``rows``, or as many as show that they are too many or too large: then it raises Refused and reads no more."""
    kept: list[Row] = []
    size = 0
    for row in rows:
        size += weight(row)
        if len(kept) == max_rows:
            raise too_large(f"more than {max_rows:,} rows")
        if size > MAX_BYTES:
            raise too_large(f"more than {MAX_BYTES >> 20} MiB")
        kept.append(row)
    return tuple(kept)


def weight(value: Any) -> int:
    """About as many bytes as the value has. The smallest counts too: there may be many of it."""
    return max(MIN_WEIGHT, length(value))


def length(value: Any) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(weight(key) + weight(item) for key, item in value.items())
    # Numbers have any number of digits, and ranges have numbers.
    return sum(map(weight, value)) if isinstance(value, list | tuple) else len(str(value))


def too_large(what: str) -> Refused:
    advice = "write it to a table (CREATE TABLE … AS, INSERT … SELECT), or return less of it"
    return Refused(f"the result has {what}: {advice}; {ROLLED_BACK}", code="RESULT_TOO_LARGE")


def succeeded(result: Result, declared: Kinds | None) -> Succeeded:
    """The outputs. Raises Refused if the result is not what the task declares, or is too large."""
    try:
        return measured(result, declared)
    except RecursionError as error:
        raise unreadable(error) from None


def measured(result: Result, declared: Kinds | None) -> Succeeded:
    outputs = undeclared(result) if declared is None else of_declared(result, declared)
    if len(json.dumps(outputs, ensure_ascii=False, default=text).encode("utf-8", "replace")) > MAX_BYTES:
        raise too_large(f"more than {MAX_BYTES >> 20} MiB")
    try:
        return Succeeded(**outputs).with_message(result.summary)
    except (ValueError, OverflowError) as error:
        # Flyte's own limits, such as the years of a datetime.
        raise wrong(str(error)) from None


def undeclared(result: Result) -> dict[str, Any]:
    """For requests without an interface, which people send."""
    if result.columns is None:
        return {"rows_affected": result.affected}
    return {"results": objects(result)}


def of_declared(result: Result, declared: Kinds) -> dict[str, Any]:
    if not declared:
        return {}
    if len(declared) > 1:
        row = single_row(result, f"the task declares the outputs {', '.join(declared)}")
        return {name: cell(row, name, kind) for name, kind in declared.items()}
    ((name, kind),) = declared.items()
    return {name: only_output(result, name, kind)}


def only_output(result: Result, name: str, kind: Kind) -> Any:
    declares = f"the task declares output {name} as {kind}"
    if result.columns is None:
        if kind.base is Base.INTEGER:
            return result.affected
        raise wrong(f"the statement returns no rows, but {declares}; only an int takes the number of affected rows")
    if kind.base is Base.LIST and kind.item:
        is_table = kind.item.base in (Base.STRUCT, Base.MAP)
        return table(result, kind.item) if is_table else column(result, name, kind.item, declares)
    if kind.optional and not result.rows:
        return None
    if kind.base in (Base.STRUCT, Base.MAP):
        row = single_row(result, declares)
        return {key: cell(row, key, kind.item) for key in row}
    return scalar(result, name, kind, declares)


def scalar(result: Result, name: str, kind: Kind, declares: str) -> Any:
    single_column(result, declares)
    (value,) = single_row(result, declares).values()
    return fitted(value, kind, f"output {name}")


def column(result: Result, name: str, item: Kind, declares: str) -> list[Any]:
    single_column(result, declares)
    return [fitted(value, item, f"output {name}[{index}]") for index, (value,) in enumerate(result.rows)]


def table(result: Result, item: Kind) -> list[dict[str, Any]]:
    if item.base is Base.STRUCT:
        return objects(result)
    return [{key: cell(row, key, item.item) for key in row} for row in named(result)]


def objects(result: Result) -> list[dict[str, Any]]:
    return [{key: cell(row, key, None) for key in row} for row in named(result)]


def cell(row: Mapping[str, Any], name: str, kind: Kind | None) -> Any:
    """The value in column ``name``; as plain JSON without a type."""
    if name not in row:
        raise wrong(f"output {name}: the statement returns no such column, but {', '.join(row)}")
    return fitted(row[name], kind, f"column {name}")


def named(result: Result) -> list[dict[str, Any]]:
    """Each row by names of columns. Raises Refused if two have the same name, or if the names alone are too large."""
    columns = result.columns or ()
    if len(result.rows) * sum(map(len, columns)) > MAX_BYTES:
        raise too_large(f"more than {MAX_BYTES >> 20} MiB")
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise wrong(f"two columns are called {twice!r}: give one another name with AS")
    return [dict(zip(columns, row, strict=True)) for row in result.rows]


def single_row(result: Result, declares: str) -> dict[str, Any]:
    if result.columns is None:
        raise wrong(f"the statement returns no rows, but {declares}")
    if len(result.rows) != 1:
        raise wrong(f"the statement returns {result.summary}, but {declares}: expected one row")
    return named(result)[0]


def single_column(result: Result, declares: str) -> None:
    if len(result.columns or ()) != 1:
        names = ", ".join(result.columns or ()) or "none"
        raise wrong(f"the statement returns the columns {names}, but {declares}: expected one column")


def fitted(value: Any, kind: Kind | None, name: str) -> Any:
    """The value as this type; as plain JSON without one. Raises Refused, which names it."""
    try:
        return plain(value) if kind is None else of_kind(value, kind)
    except Misfit as misfit:
        raise wrong(f"{name}: {misfit}") from None


def unreadable(error: Exception) -> Refused:
    """For a value that the driver, or this program, cannot read."""
    if isinstance(error, RecursionError):
        what = "is nested too deeply"
    else:
        # What follows is advice about settings of Python.
        what = f"cannot be read: {str(error).partition(';')[0]}"
    return wrong(f"a value of the result {what}: cast it to text")


def wrong(message: str) -> Refused:
    return Refused(f"{message}; {ROLLED_BACK}", code="WRONG_RESULT")
