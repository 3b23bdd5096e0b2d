"""Async methods that block the event loop."""

import asyncio
import time

import pytest

from conftest import served
from outrigger_plugin import Plugin, Running, blocking, serve
from outrigger_plugin.blocking import Watched


class Blocks(Plugin):
    task_type = "acme"

    async def create(self, task):
        await asyncio.sleep(0)
        time.sleep(0.25)  # noqa: ASYNC251
        return task.key

    async def poll(self, job):
        await asyncio.sleep(0.25)
        return Running()

    async def delete(self, job):
        pass


def test_method_that_blocks_is_named_once(monkeypatch, caplog):
    monkeypatch.setattr(blocking, "LONGEST_STEP", 0.2)
    with served(serve(Blocks())) as caller:
        for key in ("a", "b"):
            caller.create("acme/0", key=key)
        caller.poll("acme/0", "a")
    (seen,) = [record.message for record in caplog.records if "acme" in record.message]
    assert seen.startswith("create of acme:0 kept the event loop busy for 0.")
    assert seen.endswith(' s, so nothing else ran: await its calls, or write "def create" to have it run in a thread')


async def waits(seen):
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        seen.append("cancelled")
        raise
    finally:
        await asyncio.sleep(0)
        seen.append("cleaned up")


def test_watched_method_sees_its_cancellation():
    seen = []
    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(asyncio.wait_for(watch(waits(seen)), 0.01))
    assert seen == ["cancelled", "cleaned up"]


async def fails():
    await asyncio.sleep(0)
    raise KeyError("a")


def test_exception_of_a_watched_method_is_its_own():
    with pytest.raises(KeyError, match="a"):
        asyncio.run(watch(fails()))


async def watch(work):
    return await Watched(work)
