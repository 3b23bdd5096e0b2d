"""Exceptions of a plugin as answers."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable

from .asgi import Answer
from .errors import NotFound, Refused, Unavailable
from .routes import Route, Verb

LOG = logging.getLogger("outrigger_plugin")
# The bridge, which waits no longer than it has said, leaves first. In seconds.
LATE = 1.0


async def answered(work: Awaitable[Answer], route: Route) -> Answer:
    """The answer of ``work``, or the one to its exception."""
    try:
        return await work
    except Refused as refused:
        return Answer(422, body(refused.code, refused.message))
    except Unavailable as outage:
        return unavailable(outage)
    except NotFound as missing:
        # There is no job yet that could be gone.
        return failed(missing, route) if route.verb in (Verb.CREATE, Verb.EXECUTE) else gone(missing)
    except (Exception, SystemExit) as error:
        return failed(error, route)


async def in_time(work: Awaitable[Answer], route: Route, seconds: float) -> Answer:
    """The answer of ``work``, which is cancelled when the bridge does not wait for it any more; a thread goes on."""
    try:
        return await asyncio.wait_for(work, seconds + LATE)
    except asyncio.TimeoutError:
        name = f"{route.verb.value} of {route.task_type}:{route.version}"
        text = f"{name} did not end within the {seconds:.1f} s that the bridge waits"
        LOG.warning("%s: an async method was cancelled, a thread goes on", text)
        return Answer(503, body("DEADLINE_EXCEEDED", text))


def unavailable(outage: Unavailable) -> Answer:
    wait = outage.retry_after
    headers = () if wait is None else (("retry-after", str(math.ceil(wait))),)
    return Answer(503, body("UNAVAILABLE", outage.message), headers)


def gone(missing: NotFound) -> Answer:
    return Answer(404, body("NOT_FOUND", missing.message))


def failed(error: BaseException, route: Route) -> Answer:
    """For an exception that the plugin did not mean to raise. Its traceback, which may show secrets, is only logged."""
    LOG.error("%s of %s:%d failed", route.verb.value, route.task_type, route.version, exc_info=error)
    # Without a code: the bridge has its own for exceptions, and treats them by it.
    return Answer(500, body(None, summary(error)))


def summary(error: BaseException) -> str:
    """The exception's class and the last line of its message."""
    try:
        lines = str(error).strip().splitlines()
    except Exception:
        lines = []
    return ": ".join([type(error).__name__, *lines[-1:]])


def body(code: object, message: object) -> dict[str, str | None]:
    """The body of an error. Codes that are numbers become strings: the bridge reads no others."""
    return {"error_code": None if code is None else str(code), "message": str(message)}
