"""Starts the server and the bridge, says when they are ready, and ends them in the right order."""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from . import offer, programs, repeats
from .announcement import announce
from .children import Child, Signals, Stopped, note
from .directories import FINDINGS, SOCKET, private_directory
from .errors import Failure
from .offer import Offer

# All in seconds.
INTERVAL = 0.05
PATIENCE = 10.0
ADMIN_TIMEOUT = 5.0


async def serve(options: argparse.Namespace) -> int:
    """Serves until a signal or the end of a child. Returns the exit code.

    Raises Failure if something cannot be started, or a child ends.
    """
    program = programs.find_bridge(options.bridge)
    for port in (options.port, options.admin_port):
        check_port(programs.host_of(options), port)
    with private_directory() as directory:
        signals = Signals()
        try:
            announce(options, await start(options, program, directory / SOCKET, signals))
            await signals.watch(asyncio.Event().wait())
        except Stopped:
            pass
        finally:
            # The bridge first: it takes no more calls, and those under way still reach the server.
            for child in reversed(signals.children):
                await child.stop()
    return exit_code(signals)


async def check(options: argparse.Namespace, checks: Sequence[str]) -> int:
    """Serves, runs the program ``checks``, and returns its exit code.

    Raises Failure as ``serve`` does, Stopped after a signal.
    """
    program = programs.find_bridge(options.bridge)
    with private_directory() as directory:
        signals = Signals()
        try:
            path = directory / SOCKET
            found = await start(options, program, path, signals)
            findings = directory / FINDINGS
            await signals.watch(asyncio.to_thread(look_at_repeats, options, path, found, findings))
            command = [*checks, "--plugin-findings", str(findings)]
            checking = await Child.start("the check", command, patience=1)
            try:
                await signals.watch(checking.process.wait())
            finally:
                await checking.stop()
            return checking.exit_code
        except Stopped:
            return 128 + (signals.received or 0)
        finally:
            for child in reversed(signals.children):
                await child.stop()


def look_at_repeats(options: argparse.Namespace, path: Path, found: Offer, findings: Path) -> None:
    """Writes to ``findings`` what the report says of repeated creates."""
    seen = [asdict(finding) for finding in repeats.check(path, found, options.task)]
    findings.write_text(json.dumps(seen))


async def start(options: argparse.Namespace, program: str, path: Path, signals: Signals) -> Offer:
    """Starts both programs, and returns what they offer when they serve."""
    name, command = programs.server(options, path)
    environment = {**os.environ, **programs.server_environment(options, path)}
    # Standard output is for this program's own lines.
    log = sys.stderr.fileno()
    signals.children.append(await Child.start(name, command, programs.GRACE + 5, log, environment))
    found = await signals.watch(listening(options, path))
    command = programs.bridge(program, options, path, found)
    signals.children.append(await Child.start("the bridge", command, stdout=log))
    await signals.watch(ready(options))
    return found


def exit_code(signals: Signals) -> int:
    """The bridge's, which says whether calls were cut off; without one, that of a program that a signal ends."""
    if len(signals.children) > 1:
        return signals.children[1].exit_code
    return 128 + (signals.received or 0)


async def listening(options: argparse.Namespace, path: Path) -> Offer:
    """What is offered, once something listens on the socket. Raises Failure if the app is no app of plugins."""
    name = programs.shown(options)

    def ask() -> Offer | str:
        try:
            if options.connectors is None:
                return offer.of_app(name, path)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
            return offer.of_options(options)
        except (FileNotFoundError, ConnectionRefusedError):
            return f"{name} does not listen on $PLUGIN_SOCKET ({path})"
        except (OSError, http.client.HTTPException):
            return f"{name} does not answer on $PLUGIN_SOCKET ({path})"

    return await patiently(ask, options.limit)


async def ready(options: argparse.Namespace) -> None:
    """Returns when the bridge is ready."""

    def ask() -> Offer | str:
        connection = http.client.HTTPConnection("127.0.0.1", options.admin_port, timeout=ADMIN_TIMEOUT)
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            body = answer.read().decode("utf-8", "replace").strip()
            return Offer((), ()) if answer.status == 200 else f"the bridge is not ready: {body}"
        except (OSError, http.client.HTTPException):
            return "the bridge does not answer"
        finally:
            connection.close()

    await patiently(ask, options.limit)


async def patiently(ask: Callable[[], Offer | str], limit: float | None) -> Offer:
    """Asks until there is an offer, and says now and then why there is none yet.

    Raises Failure when ``limit`` seconds have passed.
    """
    started, notes = time.monotonic(), 1
    while True:
        answer = await asyncio.to_thread(ask)
        if not isinstance(answer, str):
            return answer
        waited = time.monotonic() - started
        if limit is not None and waited >= limit:
            raise Failure(answer)
        if waited >= notes * PATIENCE:
            note(f"{answer}; waiting for {waited:.0f} s")
            notes += 1
        await asyncio.sleep(INTERVAL)


def check_port(host: str, port: int) -> None:
    """Raises Failure if another program listens there, whose answers would look like the bridge's."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            flags = "--port and --admin-port choose others"
            raise Failure(f"cannot listen on {host}:{port}: {error.strerror}; {flags}") from None
