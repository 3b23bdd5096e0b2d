"""Which task types an app or a command line offers."""

from __future__ import annotations

import argparse
import http.client
import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import Failure
from .loading import NOT_LOADED

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
        if answer.status == 503 and told.get("error_code") == NOT_LOADED:
            return str(told["message"])
        return read(told["plugins"])
    except TooLarge as error:
        raise Failure(f"{name} serves no plugins: its answer to GET {PATH} {error}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        seen = f"it answered GET {PATH} with {answer.status}"
        if answer.status == 200:
            seen += f", and not with {EXAMPLE}"
        raise Failure(f"{name} serves no plugins: {seen}") from None
    finally:
        connection.close()


class TooLarge(ValueError):
    """An answer that could fill the memory."""


def body_of(answer: http.client.HTTPResponse) -> bytes:
    """The body of ``answer``. Raises TooLarge."""
    body = answer.read(MAX_ANSWER + 1)
    if len(body) > MAX_ANSWER:
        raise TooLarge(f"has more than {MAX_ANSWER} bytes")
    return body


def read(plugins: list[dict[str, Any]]) -> Offer:
    names: dict[bool, list[str]] = {False: [], True: []}
    for plugin in plugins:
        # What may be missing is what the bridge, which asks for the same, takes it for.
        version = plugin.get("version", 0)
        names[bool(plugin.get("sync", False))].append(
            f"{plugin['task_type']}:{version}" if version else plugin["task_type"]
        )
    return Offer(tuple(names[False]), tuple(names[True]))


def of_options(options: argparse.Namespace) -> Offer:
    """What the command line names, for connectors."""
    return Offer(names_in(options.task_types), names_in(options.sync_task_types))


def names_in(text: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, text.split(","))))
