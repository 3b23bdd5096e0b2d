"""The programs that run below this one, and the signals that end them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from .errors import Failure
from .guard import Guard

T = TypeVar("T")
# How long a program that ends is waited for in silence, in seconds.
QUIET = 1.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(Exception):
    """A signal asks this program to end."""


class Child:
    """A program that was started.

    ``name`` says what it is, ``guard`` ends it if this program is killed, ``patience`` is how many seconds it may take
    to end; ``None`` for as long as it likes.
    """

    def __init__(self, name: str, process: asyncio.subprocess.Process, guard: Guard, patience: float | None) -> None:
        self.name, self.process, self.guard, self.patience = name, process, guard, patience

    @classmethod
    async def start(
        cls,
        name: str,
        command: Sequence[str],
        patience: float | None = None,
        stdout: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Child:
        """Starts ``command``. Raises Failure if it cannot be run."""
        try:
            # In a session of its own: a terminal's Ctrl-C would reach it, and end both programs at once.
            process = await asyncio.create_subprocess_exec(
                *command, stdout=stdout, env=environment, start_new_session=True
            )
        except OSError as error:
            raise Failure(f"{name} cannot be started: {command[0]}: {error.strerror}") from None
        try:
            return cls(name, process, await Guard.of(process.pid), patience)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            raise

    @property
    def exit_code(self) -> int:
        """As a shell reports it: 128 and the signal's number after a signal."""
        code = self.process.returncode or 0
        return 128 - code if code < 0 else code

    def has_ended(self) -> bool:
        return self.process.returncode is not None

    def kill(self) -> None:
        """Ends it at once, with all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    async def stop(self) -> None:
        """Asks it to end, waits, and kills it when it takes too long."""
        if not self.has_ended():
            # asyncio's terminate() takes the exit code of a process that has just ended, and then reports 255.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGTERM)
            await self.finish()
        # Even if it has ended, for what it has started.
        self.kill()
        await self.process.wait()
        await self.guard.dismiss()

    async def finish(self) -> None:
        """Waits for its end as long as it may take, and says what it is waiting for."""
        if self.patience is not None and self.patience <= QUIET:
            await self.ends_within(self.patience)
        elif not await self.ends_within(QUIET):
            note(f"{self.name} has not ended its calls yet; press Ctrl-C again to stop now")
            await self.ends_within(None if self.patience is None else self.patience - QUIET)

    async def ends_within(self, seconds: float | None) -> bool:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.process.wait(), seconds)
        return self.has_ended()


class Signals:
    """Notes SIGINT, SIGTERM and SIGHUP. A second one kills the children."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self.children: list[Child] = []
        self._event = asyncio.Event()
        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._note, number)

    def _note(self, number: signal.Signals) -> None:
        if self.received:
            for child in self.children:
                child.kill()
        self.received = number
        self._event.set()

    async def watch(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs ``work``. Raises Stopped after a signal, Failure with its exit code when a child ends."""
        task = asyncio.ensure_future(work)
        ends = [asyncio.ensure_future(child.process.wait()) for child in self.children]
        watched = [task, asyncio.ensure_future(self._event.wait()), *ends]
        try:
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            if self.received:
                raise Stopped
            for child in self.children:
                if child.has_ended():
                    # Nobody has asked it to end: that is a failure, whatever it says.
                    raise Failure(f"{child.name} ended with exit code {child.exit_code}", child.exit_code or 1)
            return await task
        finally:
            for each in watched:
                each.cancel()


def note(message: str) -> None:
    """Tells the person who started this program."""
    print(f"outrigger: {message}", file=sys.stderr, flush=True)
