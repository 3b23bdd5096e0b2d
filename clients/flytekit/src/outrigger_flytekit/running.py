"""The jobs and calls of this program, which are cancelled when the program ends."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .call import Call
    from .job import Job

# Seconds to wait for the cancellation of jobs when the program ends: more than job.STOPS_FOR.
STOPS_WITHIN = 20.0

_running: set[Job | Call] = set()


def run(job: Job | Call) -> Any:
    """Runs ``job`` in this thread, which may be a daemon thread."""
    _running.add(job)
    try:
        return job.run()
    finally:
        _running.discard(job)


async def run_beside(job: Job) -> Any:
    """Runs ``job`` in a thread; cancelling the await, or ending the program, cancels the job."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    # A daemon thread: when the program ends, it must cancel the job instead of waiting for it.
    threading.Thread(target=_run_and_settle, args=(job, loop, done), daemon=True).start()
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        job.stop.set()
        # Not in another thread: a program that is about to exit cannot start one.
        ended, _ = await asyncio.wait([done], timeout=STOPS_WITHIN)
        for each in ended:
            each.exception()  # Or asyncio would report that nobody asked for it.
        raise


def _run_and_settle(job: Job, loop: asyncio.AbstractEventLoop, done: asyncio.Future[Any]) -> None:
    result, error = None, None
    try:
        result = run(job)
    except Exception as raised:
        error = raised
    with contextlib.suppress(RuntimeError):  # The loop is closed.
        loop.call_soon_threadsafe(_settle, done, result, error)


def _settle(done: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)


@atexit.register
def _stop_what_runs() -> None:
    """Cancels the jobs of daemon threads, for example after Ctrl-C."""
    running, until = list(_running), time.monotonic() + STOPS_WITHIN
    for job in running:
        job.stop.set()
    for job in running:
        job.finished.wait(max(0.0, until - time.monotonic()))
