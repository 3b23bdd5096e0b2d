"""Arguments and exit codes: 2 for wrong arguments, 1 for a failure."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from .. import __version__
from . import check, listen, native, programs, serve
from .errors import Failure, Misuse

DESCRIPTION = """
Flyte backend plugins in Python, Go and TypeScript. All other commands, and help with examples, are in the program
`outrigger` of Outrigger, which the wheel brings.
"""
NAME = "outrigger"
# What runs Python. Each adds its parser to the subparsers, with a default `run` that takes the arguments and returns
# the exit code.
COMMANDS: dict[str, Callable[[Any], None]] = {"serve": serve.add_to, "check": check.add_to, "listen": listen.add_to}


class Parser(argparse.ArgumentParser):
    """A parser that leaves it to others to say what is wrong."""

    def error(self, message: str) -> NoReturn:
        raise Misuse(message)


def parser() -> Parser:
    top = Parser(prog=NAME, description=DESCRIPTION, allow_abbrev=False)
    top.add_argument("-V", "--version", action="version", version=f"{NAME} {__version__}")
    subparsers = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add_to in COMMANDS.values():
        add_to(subparsers)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program, and returns its exit code; ``--help`` exits at once. What needs no Python, it becomes."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    own, bridge_flags = split(given)
    try:
        if not is_for_python(own):
            native.run(given)
        options, unknown = parser().parse_known_args(own, argparse.Namespace(bridge_flags=bridge_flags, given=given))
        if unknown:
            raise Misuse(f"unrecognized arguments: {' '.join(unknown)}")
        return int(options.run(options))
    except Misuse as misuse:
        native.explain(given, str(misuse))
        # It is not there.
        name = f"{NAME} {own[0]}" if own and own[0] in COMMANDS else NAME
        print(f"{name}: {misuse} (see {name} --help)", file=sys.stderr)
        return 2
    except Failure as failure:
        print(f"{NAME}: {failure}", file=sys.stderr)
        return failure.exit_code


def is_for_python(own: Sequence[str]) -> bool:
    """Whether this package runs the arguments, or has to explain itself because the other program is not there."""
    if programs.asks_for_help(own) or tuple(own) in ((), ("-V",), ("--version",)):
        return not native.is_there()
    return own[0] in COMMANDS


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments before the first ``--``, and those after it, which argparse would mix with its own."""
    arguments = list(arguments)
    if "--" not in arguments:
        return arguments, []
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]
