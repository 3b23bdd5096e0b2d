"""The programs that are started, and their arguments."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

from .errors import Failure, Misuse
from .loading import APP_VARIABLE, RELOAD_VARIABLE
from .offer import Offer

BRIDGE = "bridge"
# Has the commands that need no Python, and the same name as this package's own entry point.
OUTRIGGER = "outrigger"
PACKAGE = b"outrigger_plugin"
# Makes the app that is served.
LOADER = "outrigger_plugin.cli.loading:served"
# Serves it again when its files change.
RELOADING = "outrigger_plugin.cli.reloading"
HELP = frozenset(("-h", "--help"))
# Where a wheel has the programs.
OWN = str(Path(__file__).parents[1] / "bin")
# How long a program may take to say its version, in seconds.
VERSION_TIMEOUT = 5.0
# The bridge keeps connections for 90 s; were they closed here first, a request could meet the closing.
KEEP_ALIVE = 120
# How long running calls may take after SIGTERM, in seconds: as long as the bridge lets a call take.
GRACE = 30


def find_bridge(named: str | None) -> str:
    """The path of the bridge. Raises Failure if it is not found, Misuse if ``named`` is not the bridge."""
    if not named:
        return find(BRIDGE, "name it with --bridge PATH")
    found = shutil.which(named)
    if found is None:
        raise Misuse(f"--bridge: {named} is not a program")
    return found


def find(name: str, otherwise: str) -> str:
    """The path of a program of Outrigger: the wheel's own, or one of the environment, or on PATH.

    Raises Failure, which says what to do ``otherwise``, if there is none.
    """
    beside = sysconfig.get_path("scripts")
    for directory in (OWN, beside, *os.get_exec_path()):
        found = shutil.which(name, path=directory)
        if found and IS_MEANT.get(name, bool)(found):
            return found
    raise Failure(f"Outrigger's program {name!r} is neither in this package, nor in {beside}, nor on PATH; {otherwise}")


def is_the_bridge(program: str) -> bool:
    """Whether it is not iproute2's program, which has the same name and is on most machines with Linux."""
    try:
        asked = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=VERSION_TIMEOUT)
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return False
    return asked.returncode == 0 and asked.stdout.startswith(f"{BRIDGE} ")


def is_native(program: str) -> bool:
    """Whether it is not this package's entry point, a script that would find itself again."""
    try:
        with open(program, "rb") as file:
            head = file.read(4096)
    except OSError:
        return False
    return not (head.startswith(b"#!") and PACKAGE in head)


# Programs whose name others have, too.
IS_MEANT: dict[str, Callable[[str], bool]] = {BRIDGE: is_the_bridge, OUTRIGGER: is_native}


def asks_for_help(flags: Iterable[str]) -> bool:
    return not HELP.isdisjoint(flags)


def show_help(program: str, *command: str) -> NoReturn:
    """Becomes the program that explains the flags of its command."""
    os.execv(program, [program, *command, "--help"])


def server(options: argparse.Namespace, socket: Path) -> tuple[str, list[str]]:
    """What to call the server that listens on ``socket``, and its command."""
    if options.connectors is not None:
        return shown(options), connector_server(options, socket)
    if options.command is not None:
        return f"the command {shown(options)}", shlex.split(options.command)
    return f"the server of {shown(options)}", app_server(options, socket)


def shown(options: argparse.Namespace) -> str:
    """What is served, in messages."""
    if options.connectors is not None:
        return "the server of connectors"
    return repr(options.command) if options.app is None else str(options.app)


def app_server(options: argparse.Namespace, socket: Path) -> list[str]:
    """uvicorn with the app, which ``server_environment`` names."""
    if options.reload:
        return [sys.executable, "-m", RELOADING, str(socket)]
    command = [sys.executable, "-m", "uvicorn", "--factory", LOADER, "--uds", str(socket)]
    # The bridge logs calls, and there are no proxies whose headers could be trusted.
    command += ["--log-level", "warning", "--no-access-log", "--no-proxy-headers", "--no-server-header"]
    return [*command, "--timeout-keep-alive", str(KEEP_ALIVE), "--timeout-graceful-shutdown", str(GRACE)]


def server_environment(options: argparse.Namespace, socket: Path) -> dict[str, str]:
    """What the server of plugins gets besides its command."""
    told = {"PLUGIN_SOCKET": str(socket)}
    if options.app is not None:
        told |= {APP_VARIABLE: options.app, RELOAD_VARIABLE: "1" if options.reload else ""}
    return told


def connector_server(options: argparse.Namespace, socket: Path) -> list[str]:
    """flytekit's connectors, on gRPC."""
    task_types = ",".join(filter(None, (options.task_types, options.sync_task_types)))
    command = [sys.executable, "-m", "outrigger_plugin.connectors", "--socket", str(socket)]
    return [*command, "--task-types", task_types, *options.connectors]


def bridge(program: str, options: argparse.Namespace, socket: Path, offer: Offer) -> list[str]:
    """The bridge before what listens on ``socket``."""
    host = host_of(options)
    command = [program, "--upstream", f"unix:{socket}"]
    if options.connectors is None:
        command += ["--protocol", "rest"]
    for flag, names in (("--task-types", offer.jobs), ("--sync-task-types", offer.sync)):
        if names:
            # In one word: a name may begin with a dash.
            command += [f"{flag}={','.join(names)}"]
    command += ["--listen", f"{host}:{options.port}", "--admin-listen", f"{host}:{options.admin_port}"]
    command += access(options)
    return [*command, *conveniences(options), *options.bridge_flags]


def access(options: argparse.Namespace) -> Iterable[str]:
    if options.insecure_no_auth:
        yield "--insecure-no-auth"
    if options.auth:
        yield from ("--auth", options.auth)
    if options.handle_keys:
        yield from ("--handle-keys", options.handle_keys)


def conveniences(options: argparse.Namespace) -> Iterable[str]:
    """For a person at a terminal, unless the bridge's flags or environment say otherwise."""
    if sys.stderr.isatty() and is_free(options, "--log-format", "PLUGIN_LOG_FORMAT"):
        yield from ("--log-format", "pretty")
    # No load balancer has to notice the end.
    if is_insecure(options) and is_free(options, "--drain-delay", "PLUGIN_DRAIN_DELAY"):
        yield from ("--drain-delay", "0s")


def is_free(options: argparse.Namespace, flag: str, variable: str) -> bool:
    given = any(it == flag or it.startswith(f"{flag}=") for it in options.bridge_flags)
    return not given and variable not in os.environ


def is_insecure(options: argparse.Namespace) -> bool:
    """Whether requests need no token."""
    in_environment = os.environ.get("PLUGIN_INSECURE_NO_AUTH", "").lower() not in (
        "",
        "0",
        "false",
        "f",
        "no",
        "n",
        "off",
    )
    return bool(options.insecure_no_auth) or (in_environment and not options.auth)


def host_of(options: argparse.Namespace) -> str:
    """The address that the bridge listens on: other machines must not reach one that checks no tokens."""
    return "127.0.0.1" if is_insecure(options) else "0.0.0.0"
