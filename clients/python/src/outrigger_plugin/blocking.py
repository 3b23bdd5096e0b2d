"""Async methods that block: nothing else runs meanwhile, and nothing else says why."""

from __future__ import annotations

import logging
import time
from collections.abc import Coroutine, Generator
from typing import Any

LOG = logging.getLogger("outrigger_plugin")
# How long a method may keep the event loop to itself, in seconds.
LONGEST_STEP = 1.0


class Watched:
    """Awaits ``work`` as it is, and notes in ``longest`` the seconds of its longest step from await to await."""

    def __init__(self, work: Coroutine[Any, Any, Any]) -> None:
        self._work = work
        self.longest = 0.0

    def __await__(self) -> Generator[Any, Any, Any]:
        step, argument = self._work.send, None
        while True:
            started = time.monotonic()
            try:
                awaited = step(argument)
            except StopIteration as end:
                return end.value
            finally:
                self.longest = max(self.longest, time.monotonic() - started)
            try:
                step, argument = self._work.send, (yield awaited)
            except BaseException as error:
                # A cancellation, for example: for the method to see.
                step, argument = self._work.throw, error


def warning(method: str, plugin: str, seconds: float) -> None:
    """Says in the log what an author can do."""
    LOG.warning(
        "%s of %s kept the event loop busy for %.1f s, so nothing else ran: "
        'await its calls, or write "def %s" to have it run in a thread',
        method,
        plugin,
        seconds,
        method,
    )
