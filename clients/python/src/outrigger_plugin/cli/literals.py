"""Flyte's literals in proto-JSON as the plain values that the bridge makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


class Inconvertible(Exception):
    """A literal that has another form in the bridge."""


def plain_inputs(inputs: Any) -> dict[str, Any]:
    """The plain values by name. Raises Inconvertible, which names the input."""
    return of_map(inputs or {}, "inputs")


def plain(literal: Any, name: str) -> Any:
    for kind, convert in KINDS.items():
        if (found := member(literal, kind)) is not None:
            return convert(found, name)
    raise Inconvertible(f"{name}: this check does not know this kind of literal")


def of_list(collection: Any, name: str) -> list[Any]:
    literals = member(collection, "literals") or []
    if not isinstance(literals, list):
        raise Inconvertible(f"{name}.literals: expected a list")
    return [plain(literal, f"{name}[{index}]") for index, literal in enumerate(literals)]


def of_map(entries: Any, name: str) -> dict[str, Any]:
    literals = member(entries, "literals") or {}
    if not isinstance(literals, Mapping):
        raise Inconvertible(f"{name}.literals: expected an object")
    return {key: plain(literal, f"{name}.{key}") for key, literal in literals.items()}


def of_scalar(scalar: Any, name: str) -> Any:
    if member(scalar, "none_type") is not None:
        return None
    if (generic := member(scalar, "generic")) is not None:
        return generic
    if (union := member(scalar, "union")) is not None:
        return plain(member(union, "value"), name)
    for key, convert in PRIMITIVES.items():
        if (value := member(member(scalar, "primitive"), key)) is not None:
            try:
                return convert(value)
            except (ValueError, TypeError):
                raise Inconvertible(f"{name}: {value!r} is no {key}") from None
    raise Inconvertible(f"{name}: this check does not know this kind of literal")


def member(message: Any, name: str) -> Any:
    """A field by its name in the proto, or in camel case."""
    if not isinstance(message, Mapping):
        return None
    first, *more = name.split("_")
    return message.get(name, message.get(first + "".join(map(str.capitalize, more))))


# Durations are missing: the bridge writes them another way.
PRIMITIVES: dict[str, Callable[[Any], Any]] = {
    # Proto-JSON has them as strings.
    "integer": int,
    "float_value": float,
    "string_value": str,
    "boolean": bool,
    "datetime": str,
}
KINDS: dict[str, Callable[[Any, str], Any]] = {"scalar": of_scalar, "collection": of_list, "map": of_map}
