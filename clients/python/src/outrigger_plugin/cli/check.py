"""``outrigger check``: whether an app keeps to the contract of plugins."""

from __future__ import annotations

import argparse
import asyncio
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import native, programs
from .errors import Misuse
from .serve import COMMAND_HELP, check_file, check_server

if TYPE_CHECKING:
    from argparse import _SubParsersAction

# How long the plugins may take to start, and the bridge, in seconds.
LIMIT = 120.0
DESCRIPTION = (
    "Checks plugins against the contract, with Outrigger's program `outrigger`, which also has help with examples."
)
# Flags of the other program's own command, which it gets as they were given. All take a value.
PASSED_ON = (
    *("--admin-url", "--ca-file", "--canary-file", "--large-message", "--max-time", "--only", "--poll-interval"),
    *("--protocol", "--task-type", "--time-limit", "--timeout", "--token", "--token-file", "--url"),
)


# About a service that runs, or about none.
OF_A_SERVICE = ("--url", "--admin-url", "--list")


class PassOn(argparse.Action):
    """Keeps a flag and its value."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        namespace.passed_on = [*namespace.passed_on, f"{option_string}={values}"]


def add_to(subparsers: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the parser of this command."""
    parser = subparsers.add_parser(
        "check",
        help="check plugins against the contract",
        description=DESCRIPTION,
        allow_abbrev=False,
    )
    parser.add_argument("app", metavar="MODULE:APP", nargs="?", help="the app that outrigger_plugin.serve made")
    parser.add_argument("--command", metavar="COMMAND", help=COMMAND_HELP)
    parser.add_argument("--task", metavar="FILE", action="append", default=[], help="a task that succeeds; repeatable")
    parser.add_argument(
        "--bad-task", metavar="FILE", action="append", default=[], help="a task that is refused for good; repeatable"
    )
    parser.add_argument("--junit", metavar="FILE", help="write the report as JUnit XML, too")
    parser.add_argument("--output", choices=("text", "json"), default="text", help="form of the report")
    parser.add_argument("--bridge", metavar="PATH", help="the program; see `outrigger serve --help`")
    for flag in PASSED_ON:
        parser.add_argument(flag, action=PassOn, dest="passed_on", default=[], help=argparse.SUPPRESS)
    parser.add_argument("--list", action="store_true", help=argparse.SUPPRESS)
    # What `serve` would have asked for.
    parser.set_defaults(connectors=None, reload=False, insecure_no_auth=True, auth=None, handle_keys=None)
    parser.set_defaults(task_types="", sync_task_types="", run=run, parser=parser, limit=LIMIT)


def run(options: argparse.Namespace) -> int:
    """Checks, and returns the exit code. Raises Misuse or Failure."""
    from .serving import check

    program = programs.find(programs.OUTRIGGER, native.OTHERWISE)
    if programs.asks_for_help(options.bridge_flags):
        programs.show_help(program, "check")
    if options.app is None and options.command is None:
        # A service that runs.
        native.run(options.given)
    check_server(options, "MODULE:APP or --command")
    check_flags(options)
    options.port, options.admin_port = free_ports()
    command = [program, "check", *flags(options), *options.passed_on, *options.bridge_flags]
    options.bridge_flags = ["--log-level", "error"]
    return asyncio.run(check(options, command))


def check_flags(options: argparse.Namespace) -> None:
    """Raises Misuse if a flag is not for plugins that are served, or names a file that cannot be read."""
    given = [flag.partition("=")[0] for flag in options.passed_on]
    for flag in (*given, *["--list"] * options.list):
        if flag in OF_A_SERVICE:
            raise Misuse(f"{flag}: not with MODULE:APP or --command, which are served on ports of their own")
    for flag in ("task", "bad_task"):
        for file in getattr(options, flag):
            check_file(f"--{flag.replace('_', '-')}", file)


def flags(options: argparse.Namespace) -> Iterator[str]:
    """The flags of the check of the running service."""
    yield from ("--url", f"http://127.0.0.1:{options.port}", "--admin-url", f"http://127.0.0.1:{options.admin_port}")
    for flag in ("task", "bad_task"):
        for file in getattr(options, flag):
            yield from (f"--{flag.replace('_', '-')}", file)
    yield from ("--output", options.output)
    if options.junit:
        yield from ("--junit", options.junit)


def free_ports() -> tuple[int, int]:
    """Two ports that nobody listens on."""
    with socket.socket() as one, socket.socket() as other:
        for listener in (one, other):
            listener.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]
