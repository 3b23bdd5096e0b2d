"""The secrets that a Flyte 2 task names, from this machine's environment."""

from __future__ import annotations

import os
from typing import Any

from .errors import ServiceError

# Of text read from a file or a terminal: blanks, tabs and line breaks.
WHITE_SPACE = " \t\r\n"


def of(custom: dict[str, Any]) -> dict[str, str]:
    """The secrets that ``custom`` names and this machine has. They are sent with each call, as in a cluster.

    The service looks up all others. Raises ServiceError for what cannot be a secret. No error contains one.
    """
    named = custom.get("secrets") or {}
    if not isinstance(named, dict):
        raise ServiceError("the task's secrets are not pairs of a key and the name of an environment variable")
    # Flyte's plugins write null for a secret that the task does not name.
    named = {key: variable for key, variable in named.items() if variable is not None}
    # All checks before the first value is held: tracebacks may show local variables.
    for key, variable in named.items():
        _check(key, variable)
    return {key: os.environ[name].strip(WHITE_SPACE) for key, name in named.items() if name in os.environ}


def _check(key: str, variable: Any) -> None:
    if not isinstance(variable, str) or not variable.strip(WHITE_SPACE):
        raise ServiceError(f"the task's secret {key!r} does not name an environment variable: it must be text")
    if fault := _fault(variable):
        raise ServiceError(f"{variable}, the task's secret {key!r}, {fault}: set it to the secret, or unset it")


def _fault(variable: str) -> str | None:
    """What is wrong with the value of ``variable``. Line breaks within it are not: keys in PEM and JSON have them."""
    text = os.environ.get(variable, "unset").strip(WHITE_SPACE)
    if not text:
        return "is empty"
    if not all(character.isprintable() or character in WHITE_SPACE for character in text):
        return "has invalid characters"
    return None
