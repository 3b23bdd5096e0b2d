"""The private directory of a socket, and those that killed programs have left."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = "outrigger-"
# As tempfile names them.
NAME = re.compile(rf"{PREFIX}[a-z0-9_]{{8}}")
SOCKET = "plugin.sock"
# What the check has found, which another program reads.
FINDINGS = "findings.json"
FILES = (SOCKET, FINDINGS)
# A path of a Unix socket has at most so many bytes on some systems.
MAX_PATH = 103
LONGEST = len(f"/{PREFIX}12345678/{SOCKET}")
# Reads a directory, and no link to one.
FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


@contextlib.contextmanager
def private_directory() -> Iterator[Path]:
    """A directory that only this user can enter: requests carry secrets, and the app checks no tokens.

    It is locked while this program runs, so that the next one knows which were left.
    """
    parent = tempfile.gettempdir()
    parent = parent if len(os.fsencode(parent)) + LONGEST <= MAX_PATH else "/tmp"
    remove_left(Path(parent))
    path, lock = made_in(parent)
    try:
        yield path
    finally:
        remove(path, lock)
        os.close(lock)


def made_in(parent: str) -> tuple[Path, int]:
    """A new directory, and its lock. A program that cleans up may take one before it is locked: then another."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        try:
            lock = os.open(path, FLAGS)
        except FileNotFoundError:
            continue
        if is_locked(lock) and path.exists() and os.path.samestat(path.stat(), os.fstat(lock)):
            return path, lock
        os.close(lock)


def is_locked(directory: int) -> bool:
    """Locks it, as long as this program has it open; whether no other program has."""
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # A file system without locks, where nothing that was left is removed either.
        return True
    return True


def remove_left(parent: Path) -> None:
    """Removes this user's directories whose program was killed. One that cannot be removed stays."""
    for path in parent.iterdir():
        if NAME.fullmatch(path.name):
            with contextlib.suppress(OSError):
                remove_if_left(path)


def remove_if_left(path: Path) -> None:
    directory = os.open(path, FLAGS)
    try:
        seen = os.fstat(directory)
        is_ours = seen.st_uid == os.geteuid() and stat.S_IMODE(seen.st_mode) == 0o700
        # Its server may live on for a while after the program.
        if is_ours and set(os.listdir(directory)) <= set(FILES) and not is_answered(path / SOCKET):
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove(path, directory)
    finally:
        os.close(directory)


def is_answered(path: Path) -> bool:
    """Whether something listens on the socket."""
    with socket.socket(socket.AF_UNIX) as client:
        # With a full queue it would wait.
        client.setblocking(False)
        return client.connect_ex(str(path)) not in (errno.ECONNREFUSED, errno.ENOENT)


def remove(path: Path, directory: int) -> None:
    """Removes the directory that is open as ``directory``, with what this program puts there."""
    for name in FILES:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)
    # Whatever else is in it is not of this program.
    with contextlib.suppress(OSError):
        path.rmdir()
