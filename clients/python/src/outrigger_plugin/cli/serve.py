"""``outrigger serve``: plugins or connectors, and a bridge before them."""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from . import programs
from .errors import Misuse

if TYPE_CHECKING:
    from argparse import _SubParsersAction

DESCRIPTION = "Serves plugins to Flyte. Outrigger's program `outrigger` has help with examples."
COMMAND_HELP = "a server in another language, instead: it listens on the Unix socket that PLUGIN_SOCKET names"


def add_to(subparsers: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the parser of this command."""
    parser = subparsers.add_parser(
        "serve",
        help="serve plugins, or flytekit's connectors, to Flyte",
        description=DESCRIPTION,
        allow_abbrev=False,
    )
    add_what(parser)
    add_how(parser)
    # People end it themselves.
    parser.set_defaults(run=run, parser=parser, limit=None)


def add_what(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("app", metavar="MODULE:APP", nargs="?", help="the app that outrigger_plugin.serve made")
    parser.add_argument("--command", metavar="COMMAND", help=COMMAND_HELP)
    parser.add_argument("--reload", action="store_true", help="restart the app when its files change")
    group = parser.add_argument_group("flytekit's connectors, instead of an app")
    group.add_argument(
        "--connectors", metavar="MODULE", nargs="*", help="modules to import beside the installed flytekitplugins"
    )
    form = "NAME or NAME:VERSION, separated by commas"
    group.add_argument("--task-types", metavar="NAME,…", default="", help=f"task types to serve as jobs: {form}")
    group.add_argument(
        "--sync-task-types", metavar="NAME,…", default="", help=f"task types to answer within the call: {form}"
    )


def add_how(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the bridge")
    # argparse reads a default that is text as it reads an argument.
    group.add_argument(
        "--port",
        type=port,
        default=os.environ.get("OUTRIGGER_PORT", "8000"),
        help="API port, for gRPC and REST (default: OUTRIGGER_PORT, or 8000)",
    )
    group.add_argument(
        "--admin-port",
        type=port,
        default=os.environ.get("OUTRIGGER_ADMIN_PORT", "9090"),
        help="port of probes and metrics, without authentication (default: OUTRIGGER_ADMIN_PORT, or 9090)",
    )
    auth = group.add_mutually_exclusive_group()
    auth.add_argument(
        "--insecure-no-auth", action="store_true", help="accept requests without a token, from this machine only"
    )
    auth.add_argument("--auth", metavar="FILE", help="YAML file of token issuers and rules")
    group.add_argument(
        "--handle-keys",
        metavar="FILE,…",
        help="files with the keys of job handles: outrigger token new-key handle.key",
    )
    group.add_argument(
        "--bridge", metavar="PATH", help="the program; by default the one beside this Python's programs, or on PATH"
    )


def port(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if not 1 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, not {text!r}")
    return number


def run(options: argparse.Namespace) -> int:
    """Serves until a signal or the end of a child. Returns the exit code; raises Misuse or Failure."""
    from .serving import serve

    if programs.asks_for_help(options.bridge_flags):
        programs.show_help(programs.find_bridge(options.bridge))
    check(options)
    return asyncio.run(serve(options))


def check(options: argparse.Namespace) -> None:
    """Raises Misuse if the arguments do not fit together."""
    if options.connectors is None:
        check_server(options, "MODULE:APP, --command or --connectors")
    elif options.app is not None or options.command is not None:
        raise Misuse("MODULE:APP, --command and --connectors: expected one of them")
    elif not (options.task_types or options.sync_task_types):
        raise Misuse("--connectors: needs --task-types or --sync-task-types")
    if options.reload and options.app is None:
        raise Misuse("--reload: only for an app")
    if options.port == options.admin_port:
        raise Misuse(f"--port and --admin-port are both {options.port}")
    in_environment = any(os.environ.get(name) for name in ("PLUGIN_AUTH", "PLUGIN_INSECURE_NO_AUTH"))
    if not (options.auth or options.insecure_no_auth or in_environment):
        raise Misuse("expected --insecure-no-auth (this machine only), or --auth FILE and --handle-keys FILE")
    check_file("--auth", options.auth)
    for file in (options.handle_keys or "").split(","):
        check_file("--handle-keys", file)


def check_file(flag: str, file: str | None) -> None:
    """Raises Misuse if the file that ``flag`` names cannot be read. What it has to say, its reader knows."""
    try:
        if file:
            Path(file).read_bytes()
    except OSError as error:
        raise Misuse(f"{flag} {file}: {error.strerror}") from None


def check_server(options: argparse.Namespace, expected: str) -> None:
    """Raises Misuse if there is not one server of plugins; ``expected`` is what there can be."""
    if options.task_types or options.sync_task_types:
        raise Misuse("--task-types and --sync-task-types: only with --connectors; plugins have their own")
    if options.app is not None and options.command is not None:
        raise Misuse("MODULE:APP and --command: expected one of them")
    if options.app is not None:
        check_app(options)
    elif options.command is None:
        raise Misuse(f"expected {expected}")
    elif not words(options.command):
        raise Misuse(f"--command: expected a command, as a shell reads it, not {options.command!r}")


def words(command: str) -> list[str]:
    """The words of a command; none if a quote has no end."""
    try:
        return shlex.split(command)
    except ValueError:
        return []


def check_app(options: argparse.Namespace) -> None:
    module, colon, name = options.app.partition(":")
    is_module = all(part.isidentifier() for part in module.split("."))
    if not (is_module and colon and name) or module.endswith(".py"):
        raise Misuse(f"expected MODULE:APP, for example my_plugin:app, not {options.app!r}")
