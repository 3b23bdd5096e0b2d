"""Which task types an app or a command line offers."""

from __future__ import annotations

import argparse
import http.client
import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..plugin import MAX_VERSION, NAME
from .errors import Failure
from .loading import ENDED, NOT_LOADED

PATH = "/plugins/v1"
EXAMPLE = '{"plugins": [{"task_type": "NAME", "version": 0, "sync": false}]}'
# In seconds. An app on a busy machine is asked again.
TIMEOUT = 5.0
# The largest answer that is read, in bytes.
MAX_ANSWER = 1 << 20


@dataclass(frozen=True)
class Offer:
    """Task types, each NAME or NAME:VERSION, as the bridge takes them."""

    jobs: tuple[str, ...]
    sync: tuple[str, ...]


class SocketConnection(http.client.HTTPConnection):
    """HTTP to a Unix socket."""

    def __init__(self, path: Path, seconds: float = TIMEOUT) -> None:
        super().__init__("localhost", timeout=seconds)
        self.path, self.seconds = path, seconds

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.seconds)
        self.sock.connect(str(self.path))


def of_app(name: str, path: Path) -> Offer | str:
    """What the app called ``name`` offers, or why nothing yet: it waits for its author to repair it.

    Raises OSError or HTTPException until it answers, Failure if it is no app of plugins.
    """
    connection = SocketConnection(path)
    try:
        connection.request("GET", PATH)
        answer = connection.getresponse()
        told = json.loads(body_of(answer))
        if answer.status == 503 and told.get("error_code") in (NOT_LOADED, ENDED):
            return str(told["message"])
        return read(told["plugins"])
    except Unusable as error:
        raise Failure(f"{name} serves no plugins: its answer to GET {PATH} {error}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        seen = f"it answered GET {PATH} with {answer.status}"
        if answer.status == 200:
            seen += f", and not with {EXAMPLE}"
        raise Failure(f"{name} serves no plugins: {seen}") from None
    finally:
        connection.close()


class Unusable(ValueError):
    """An answer of the right form that cannot be served. The message goes on after "its answer"."""


def body_of(answer: http.client.HTTPResponse) -> bytes:
    """The body of ``answer``. Raises Unusable if it could fill the memory."""
    body = answer.read(MAX_ANSWER + 1)
    if len(body) > MAX_ANSWER:
        raise Unusable(f"has more than {MAX_ANSWER} bytes")
    return body


def read(plugins: list[dict[str, Any]]) -> Offer:
    names: dict[bool, list[str]] = {False: [], True: []}
    for plugin in plugins:
        # What may be missing is what the bridge, which asks for the same, takes it for.
        name, version = plugin["task_type"], plugin.get("version", 0)
        check(name, version)
        names[bool(plugin.get("sync", False))].append(f"{name}:{version}" if version else name)
    if not any(names.values()):
        raise Unusable("has none")
    return Offer(tuple(names[False]), tuple(names[True]))


def check(name: Any, version: Any) -> None:
    """Raises Unusable for what the bridge would take for something else on its command line."""
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        raise Unusable(f"has the task type {name!r}: use letters, digits and . _ - /")
    if type(version) is not int or not 0 <= version <= MAX_VERSION:
        raise Unusable(f"has the version {version!r} of {name}: expected an integer from 0")


def of_options(options: argparse.Namespace) -> Offer:
    """What the command line names, for connectors."""
    return Offer(names_in(options.task_types), names_in(options.sync_task_types))


def names_in(text: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, text.split(","))))
