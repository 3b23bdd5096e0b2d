"""The types that a task's interface declares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Base(Enum):
    """A type of Flyte; the value is its name in messages."""

    INTEGER = "int"
    FLOAT = "float"
    STRING = "str"
    BOOLEAN = "bool"
    DATETIME = "datetime"
    DURATION = "timedelta"
    BINARY = "bytes"
    STRUCT = "dict"
    LIST = "list"
    MAP = "a map"
    NONE = "None"
    OTHER = "a file, a table or a union"


@dataclass(frozen=True)
class Kind:
    """A type, whether it may also be None, and the type of its items."""

    base: Base
    optional: bool = False
    item: Kind | None = None

    def __str__(self) -> str:
        if self.base is Base.MAP:
            return f"dict[str, {self.item}]"
        return self.base.value if self.item is None else f"{self.base.value}[{self.item}]"


OTHER = Kind(Base.OTHER)
SIMPLE = {base.name: base for base in Base if base.name not in ("LIST", "MAP", "OTHER")}


def kinds(template: Mapping[str, Any], side: str) -> dict[str, Kind] | None:
    """The declared inputs or outputs of a template by name; None when it has no interface at all."""
    interface = template.get("interface")
    if interface is None:
        return None
    variables = (interface.get(side) or {}).get("variables") or {}
    return {name: kind(variable.get("type") or {}) for name, variable in variables.items()}


def kind(literal_type: Mapping[str, Any]) -> Kind:
    """A LiteralType in proto-JSON."""
    if "simple" in literal_type:
        return Kind(SIMPLE.get(str(literal_type["simple"]), Base.OTHER))
    if "collection_type" in literal_type:
        return Kind(Base.LIST, item=kind(literal_type["collection_type"]))
    if "map_value_type" in literal_type:
        return Kind(Base.MAP, item=kind(literal_type["map_value_type"]))
    if "union_type" in literal_type:
        return union([kind(variant) for variant in literal_type["union_type"].get("variants") or ()])
    return Kind(Base.STRING) if "enum_type" in literal_type else OTHER


def union(variants: list[Kind]) -> Kind:
    """A union of one type and None is that type, optional."""
    others = [variant for variant in variants if variant.base is not Base.NONE]
    if len(others) != 1:
        return OTHER
    return Kind(others[0].base, optional=True, item=others[0].item)
