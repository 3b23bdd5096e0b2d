"""``outrigger check``: whether an app keeps to the contract of plugins."""

from __future__ import annotations

import argparse
import asyncio
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

from . import programs
from .serve import COMMAND_HELP, check_server

if TYPE_CHECKING:
    from argparse import _SubParsersAction

# How long the plugins may take to start, and the bridge, in seconds.
LIMIT = 120.0
DESCRIPTION = """
Checks plugins against the contract: serves them on free ports of this machine without tokens, as `outrigger serve`
does, and calls them over REST and the gRPC of both versions of Flyte. Without a task that succeeds, nothing that takes
a job is checked. With one, three jobs are first started without the bridge, to see whether a repeated create finds its
job.
"""
USAGE = (
    "outrigger check (MODULE:APP | --command COMMAND) [OPTIONS] [-- FLAGS]\n       outrigger check --url URL [FLAGS]"
)
EXAMPLES = """
examples:
  outrigger check my_plugin:app --task task.json
  outrigger check my_plugin:app --task task.json --junit report.xml -- --time-limit 5m

A task is a CreateTaskRequest as JSON: {"template": {"type": "shoutout", "interface": …}, "inputs": …}. What follows
`--` is passed to the check of the served plugins; `outrigger check -- --help` lists its flags. `outrigger check --url
URL` checks a service that runs, with the same flags. Exit codes: 0 if the plugins do all that they must, 1 if not, 2
for wrong arguments.
"""


def add_to(subparsers: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the parser of this command."""
    parser = subparsers.add_parser(
        "check",
        help="check plugins against the contract",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage=USAGE,
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
    # What `serve` would have asked for.
    parser.set_defaults(connectors=None, reload=False, insecure_no_auth=True, auth=None, handle_keys=None)
    parser.set_defaults(task_types="", sync_task_types="", run=run, parser=parser, limit=LIMIT)


def run(options: argparse.Namespace) -> int:
    """Checks, and returns the exit code. Raises Misuse or Failure."""
    from .serving import check

    program = programs.find(programs.OUTRIGGER, "install the wheel")
    if programs.asks_for_help(options.bridge_flags):
        programs.show_help(program, "check")
    check_server(options, "MODULE:APP or --command")
    options.port, options.admin_port = free_ports()
    command = [program, "check", *flags(options), *options.bridge_flags]
    options.bridge_flags = ["--log-level", "error"]
    return asyncio.run(check(options, command))


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
