"""HTTP over ASGI: bodies of requests, and answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from .values import encode

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# The bridge accepts no larger requests.
MAX_BODY = 8 << 20
# The bridge sends a body at once. In seconds.
BODY_TIMEOUT = 10.0


@dataclass(frozen=True)
class Answer:
    """An answer to a request, with a body of JSON."""

    status: int
    body: dict[str, Any]
    headers: tuple[tuple[str, str], ...] = ()


class Problem(Exception):
    """A request that no plugin gets to see."""

    def __init__(self, status: int, code: str, message: str, *headers: tuple[str, str]) -> None:
        super().__init__(message)
        self.answer = Answer(status, {"error_code": code, "message": message}, headers)


class Disconnected(Exception):
    """The caller has left."""


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers of a request, with names in lower case."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


async def read_body(receive: Receive) -> bytes:
    """The body of a request. Raises Disconnected if its caller leaves, Problem if it is too large or slow."""
    try:
        return await asyncio.wait_for(_all_of(receive), BODY_TIMEOUT)
    except asyncio.TimeoutError:
        text = f"the body did not arrive within {BODY_TIMEOUT:g} s"
        raise Problem(408, "TIMEOUT", text, ("connection", "close")) from None


async def _all_of(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            # The rest of the body is still to come, so the connection is of no further use.
            text = f"the body is larger than {MAX_BODY >> 20} MiB"
            raise Problem(413, "TOO_LARGE", text, ("connection", "close"))
        if not message.get("more_body", False):
            return bytes(body)


async def disconnected(receive: Receive) -> None:
    """Returns when the caller has left. For requests whose body has been read, or has no meaning."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_answer(send: Send, answer: Answer) -> None:
    """Sends ``answer``."""
    body = encode(answer.body)
    headers = (("content-type", "application/json"), ("content-length", str(len(body))), *answer.headers)
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
