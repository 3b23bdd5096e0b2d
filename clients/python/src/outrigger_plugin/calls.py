"""Calls of a plugin's methods: in threads, to their end, or as long as the caller stays."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from . import blocking
from .asgi import Disconnected, Receive, disconnected
from .blocking import Watched

T = TypeVar("T")


class CancelledByItself(Exception):
    """A method has let a CancelledError of something that it awaits pass. Nobody has left."""

    def __init__(self) -> None:
        super().__init__("something that the method awaits was cancelled")


class Calls:
    """The calls under way in an app. ``threads`` is how many methods that are not async may run at once."""

    def __init__(self, threads: int) -> None:
        # Not the loop's own: that one has five threads on one core, and authors use it, too.
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="outrigger-plugin")
        # Methods that the log has named.
        self._blocking: set[tuple[str, str]] = set()
        self._started: set[asyncio.Task[Any]] = set()

    async def call(self, method: Callable[[Any], Any], argument: Any) -> Any:
        """What ``method`` returns. One that is not async runs in a thread, with this context."""
        if inspect.iscoroutinefunction(method):
            return await self._watched(method, argument)
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(self._threads, context.run, _without_stop, method, argument)
        return await result if inspect.isawaitable(result) else result

    async def _watched(self, method: Callable[[Any], Coroutine[Any, Any, Any]], argument: Any) -> Any:
        work = Watched(method(argument))
        try:
            return await work
        finally:
            name = (method.__name__, plugin_of(method))
            if work.longest >= blocking.LONGEST_STEP and name not in self._blocking:
                self._blocking.add(name)
                blocking.warning(*name, work.longest)

    async def to_the_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs ``work``, which continues when this is cancelled or its caller leaves. Raises CancelledByItself."""
        task = self._start(work)
        await asyncio.wait({task})
        return result_of(task)

    async def while_connected(self, work: Coroutine[Any, Any, T], receive: Receive) -> T:
        """Runs ``work``; cancels it when the caller leaves, and raises Disconnected. Raises CancelledByItself."""
        task, gone = self._start(work), self._start(disconnected(receive))
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Disconnected
            return result_of(task)
        finally:
            task.cancel()
            gone.cancel()

    async def finish(self) -> None:
        """Waits until all calls have ended."""
        while self._started:
            await asyncio.wait(self._started)

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        # The loop itself holds tasks only weakly.
        self._started.add(task)
        task.add_done_callback(self._started.discard)
        return task


def result_of(task: asyncio.Task[T]) -> T:
    """The result of ``task``, which has ended. Raises CancelledByItself: asyncio's own error would end its caller."""
    if task.cancelled():
        raise CancelledByItself
    return task.result()


def plugin_of(method: Callable[..., Any]) -> str:
    """The task type and version of the plugin that has ``method``."""
    plugin = getattr(method, "__self__", None)
    return f"{getattr(plugin, 'task_type', '?')}:{getattr(plugin, 'version', 0)}"


def _without_stop(method: Callable[[Any], Any], argument: Any) -> Any:
    try:
        return method(argument)
    except StopIteration as stop:
        # asyncio cannot pass it on, and would wait for ever.
        raise RuntimeError("StopIteration") from stop
