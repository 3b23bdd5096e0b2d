"""``outrigger listen``: an app on a socket, for a bridge beside it."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .children import note
from .errors import Failure
from .programs import KEEP_ALIVE
from .serve import check_app

if TYPE_CHECKING:
    from argparse import _SubParsersAction

DESCRIPTION = """
Serves an app on a Unix socket, for a bridge in another container of the pod. The socket is open to this process's user
and group. Ends after SIGTERM or SIGINT, once its calls have finished, with exit code 0.
"""
VARIABLE = "PLUGIN_SOCKET"
SOCKET = "/run/outrigger/plugin.sock"
# How long running calls may take after a signal, in seconds: Kubernetes grants 30 by default.
GRACE = 25


def add_to(subparsers: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the parser of this command."""
    parser = subparsers.add_parser(
        "listen",
        help="serve plugins on a socket, for a bridge beside them",
        description=DESCRIPTION,
        allow_abbrev=False,
    )
    parser.add_argument("app", metavar="MODULE:APP", help="the app that outrigger_plugin.serve made")
    parser.add_argument(
        "--socket",
        metavar="PATH",
        default=os.environ.get(VARIABLE) or SOCKET,
        help=f"the socket's path (default: {VARIABLE}, or {SOCKET})",
    )
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    """Serves until a signal. Returns the exit code; raises Misuse or Failure."""
    import uvicorn

    check_app(options)
    # uvicorn finishes its calls after these signals, and then raises them again.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    logging.basicConfig(level=logging.WARNING)
    config = uvicorn.Config(
        options.app,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
    )
    # As for `python -m`: the app is in this directory.
    sys.path.insert(0, os.getcwd())
    config.load()
    with listening(Path(options.socket)) as listener:
        note(f"{options.app} listens on {options.socket}")
        uvicorn.Server(config).run(sockets=[listener])
    return 0


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A socket for this user and group, as the bridge may be another user. Raises Failure."""
    try:
        # A process that was killed leaves its socket.
        if path.is_socket():
            path.unlink()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            path.chmod(0o660)
            yield listener
    except OSError as error:
        raise Failure(f"cannot listen on {path}: {error.strerror or error}") from None
    path.unlink(missing_ok=True)
