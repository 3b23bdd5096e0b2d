"""``outrigger listen``: an app on a socket, for a bridge beside it."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import signal
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .children import note
from .errors import Failure
from .loading import CannotLoad, load
from .programs import KEEP_ALIVE
from .serve import check_app

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    import uvicorn

DESCRIPTION = """
Serves an app on a Unix socket, for a bridge in another container of the pod. The socket is open to this process's user
and group. Ends after SIGTERM or SIGINT, once its calls have finished, with exit code 0.
"""
VARIABLE = "PLUGIN_SOCKET"
SOCKET = "/run/outrigger/plugin.sock"
OTHERWISE = "--socket chooses another path"
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
    logging.basicConfig(level=logging.WARNING)
    config = uvicorn.Config(
        lambda: loaded(options.app),
        factory=True,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
    )
    server = uvicorn.Server(config)
    end_by_signals(server)
    # As for `python -m`: the app is in this directory.
    sys.path.insert(0, os.getcwd())
    config.load()
    with listening(Path(options.socket)) as listener:
        note(f"{options.app} listens on {options.socket}")
        server.run(sockets=[listener])
    return 0


def loaded(app: str) -> Any:
    """The app. Raises Failure with the author's lines that lead to an exception."""
    try:
        return load(app)
    except CannotLoad as problem:
        raise Failure(f"{problem}\n{problem.details()}") from None


def end_by_signals(server: uvicorn.Server) -> None:
    """Ends the program after a signal that comes before the server takes over, as while the app is imported."""

    def leave(number: int, _: object) -> None:
        # The server raises the signal again when its calls have finished.
        if not server.should_exit:
            raise SystemExit(128 + number)

    # Not the system's own handlers: the first process of a container would be deaf to SIGTERM.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A socket for this user and group, as the bridge may be another user. Raises Failure."""
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            make_way(path)
            with modes(0o660):
                listener.bind(str(path))
            # At once: another program takes a socket on which nobody listens for one that was left.
            listener.listen()
            own = path.lstat()
        except OSError as error:
            raise Failure(f"cannot listen on {path}: {error.strerror or error}; {OTHERWISE}") from None
        try:
            yield listener
        finally:
            with suppress(FileNotFoundError):
                if os.path.samestat(own, path.lstat()):
                    path.unlink()


@contextmanager
def modes(most: int) -> Iterator[None]:
    """New files have no rights beyond ``most``. Changed afterwards, they could be another's: a link in their place."""
    before = os.umask(0o777 & ~most)
    try:
        yield
    finally:
        os.umask(before)


def make_way(path: Path) -> None:
    """Removes the socket that a killed process has left. Raises Failure if it is in use, or a link to another path."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(mode):
        raise Failure(f"cannot listen on {path}: it is a symbolic link; {OTHERWISE}")
    if stat.S_ISSOCK(mode):
        with socket.socket(socket.AF_UNIX) as client:
            # With a full queue it would wait.
            client.setblocking(False)
            if client.connect_ex(str(path)) != errno.ECONNREFUSED:
                raise Failure(f"another program listens on {path}; {OTHERWISE}")
        path.unlink()
