"""Arguments and exit codes: 2 for wrong arguments, 1 for a failure."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from .. import __version__
from . import check, listen, native, serve
from .errors import Failure, Misuse

DESCRIPTION = "Flyte backend plugins in Python, Go and TypeScript."
# In the order of the help. Each adds its parser to the subparsers; but for the native ones, with a default `run` that
# takes the arguments and returns the exit code.
COMMANDS: tuple[Callable[[Any], None], ...] = (
    serve.add_to,
    check.add_to,
    listen.add_to,
    native.add_to,
)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def parser() -> Parser:
    top = Parser(prog="outrigger", description=DESCRIPTION, allow_abbrev=False)
    top.add_argument("--version", action="version", version=f"outrigger {__version__}")
    subparsers = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add_to in COMMANDS:
        add_to(subparsers)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program. Returns its exit code; wrong arguments and ``--help`` exit at once."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        if native.has(given):
            return native.run(given)
        own, bridge_flags = split(given)
        options, unknown = parser().parse_known_args(own, argparse.Namespace(bridge_flags=bridge_flags))
        if unknown:
            # Of the command; argparse would refer to the help of all commands.
            raise Misuse(f"unrecognized arguments: {' '.join(unknown)}")
        return int(options.run(options))
    except Misuse as misuse:
        command: Parser = options.parser
        command.error(str(misuse))
    except Failure as failure:
        print(f"outrigger: {failure}", file=sys.stderr)
        return failure.exit_code


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments before the first ``--``, and those after it, which argparse would mix with its own."""
    arguments = list(arguments)
    if "--" not in arguments:
        return arguments, []
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]
