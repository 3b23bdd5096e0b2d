"""The commands that need no Python: those of the program ``outrigger``, which this one becomes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import programs

if TYPE_CHECKING:
    from argparse import ArgumentParser, _SubParsersAction

# Each takes its own arguments, --help included. With what this program's help says of it.
COMMANDS = {
    "new": "create a plugin: code, tests, Dockerfile and chart",
    "sync": "bring a plugin up to date with its plugin.toml and the template",
    "status": "compare a plugin with the template",
    "flyte-values": "print Helm values that make Flyte call plugins",
    "plugin": "check and try a plugin that is a YAML file",
    "token": "make a token, show what is in one, and whether a service accepts it",
    "health-check": "ask running services for their health",
    "completion": "print completions for a shell",
}
# What says that `outrigger check` is about a service that runs, or about none.
OF_A_SERVICE = ("--url", "--list")


def add_to(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Lists the commands in the program's help."""
    for name, help in COMMANDS.items():
        subparsers.add_parser(name, help=help)


def has(arguments: Sequence[str]) -> bool:
    """Whether the arguments are for the other program."""
    if not arguments or arguments[0] != "check":
        return bool(arguments) and arguments[0] in COMMANDS
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return any(it.partition("=")[0] in OF_A_SERVICE for it in own)


def run(arguments: Sequence[str]) -> int:
    """Becomes the program. Raises Failure if it is not found."""
    program = programs.find(programs.OUTRIGGER, "install the wheel")
    os.execv(program, [programs.OUTRIGGER, *with_language(arguments)])


def with_language(arguments: Sequence[str]) -> Sequence[str]:
    """A new plugin is one in Python, unless the arguments say otherwise."""
    said = any(it.partition("=")[0] in ("--kind", "--language", "--from") for it in arguments)
    return arguments if arguments[0] != "new" or said else [*arguments, "--language=python"]
