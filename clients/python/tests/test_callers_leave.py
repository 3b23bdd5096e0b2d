"""Callers that disconnect, and apps that end, while a plugin works."""

import asyncio
import threading

import pytest

from conftest import TIMEOUT, eventually, query, read, request, served
from outrigger_plugin import Plugin, Running, Succeeded, SyncPlugin, serve


class Slow(Plugin):
    """Each method waits until it may go on, and notes how it ended."""

    task_type = "slow"

    def __init__(self):
        self.entered, self.leave, self.ends = threading.Event(), threading.Event(), []

    async def work(self, verb):
        self.entered.set()
        try:
            # The test sets it from another thread.
            while not self.leave.is_set():  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            self.ends.append(f"{verb} cancelled")
            raise
        self.ends.append(f"{verb} done")

    async def create(self, task):
        await self.work("create")
        return "job"

    async def poll(self, job):
        await self.work("poll")
        return Running()

    async def delete(self, job):
        await self.work("delete")


class SlowAnswer(SyncPlugin):
    task_type = "answer"

    def __init__(self, slow):
        self.slow = slow

    async def execute(self, task):
        await self.slow.work("execute")
        return Succeeded()


@pytest.fixture
def slow():
    return Slow()


@pytest.fixture
def app(slow):
    return serve(slow, SlowAnswer(slow))


def leave(caller, slow, method, path, body=None):
    """Sends a request, and disconnects when the plugin works on it."""
    connection = caller.start(method, path, body, idempotency_key="key")
    assert slow.entered.wait(TIMEOUT)
    connection.close()


@pytest.mark.parametrize(
    "method, path, verb", [("GET", f"/slow/0?{query(1)}", "poll"), ("POST", "/answer/0", "execute")]
)
def test_poll_or_execution_ends_when_its_caller_leaves(app, slow, method, path, verb):
    with served(app) as caller:
        leave(caller, slow, method, path, None if method == "GET" else request())
        eventually(lambda: slow.ends == [f"{verb} cancelled"], "it is cancelled")


@pytest.mark.parametrize(
    "method, path, verb", [("PUT", "/slow/0", "create"), ("DELETE", f"/slow/0?{query(1)}", "delete")]
)
def test_create_or_delete_goes_on_when_its_caller_leaves(app, slow, method, path, verb):
    with served(app) as caller:
        leave(caller, slow, method, path, request() if method == "PUT" else None)
        # Whatever a disconnect does to the plugin has been done when the app has answered another request.
        assert caller.send("GET", "").status == 200
        assert slow.ends == []
        slow.leave.set()
        eventually(lambda: slow.ends == [f"{verb} done"], "it is done")


@pytest.mark.parametrize(
    "method, path, verb", [("PUT", "/slow/0", "create"), ("DELETE", f"/slow/0?{query(1)}", "delete")]
)
def test_create_or_delete_ends_when_its_time_is_over(app, slow, monkeypatch, caplog, method, path, verb):
    monkeypatch.setattr("outrigger_plugin.failures.LATE", 0)
    with served(app) as caller:
        body = request() if method == "PUT" else None
        answer = caller.send(method, path, body, idempotency_key="key", outrigger_deadline_ms="100")
    assert (answer.status, answer.body["error_code"]) == (503, "DEADLINE_EXCEEDED")
    assert slow.ends == [f"{verb} cancelled"]
    assert f"{verb} of slow:0 did not end within the 0.1 s" in caplog.text


def test_create_survives_the_task_that_runs_the_app(app, slow):
    """As when a middleware around a mounted app gives up, and the app then ends."""

    async def drive():
        events, requests, sent = asyncio.Queue(), asyncio.Queue(), []
        requests.put_nowait({"type": "http.request", "body": b"{}"})

        async def send(message):
            sent.append(message)

        headers = [(b"idempotency-key", b"key")]
        scope = {"type": "http", "method": "PUT", "path": "/plugins/v1/slow/0", "headers": headers}
        call = asyncio.create_task(app(scope, requests.get, send))
        await asyncio.to_thread(slow.entered.wait, TIMEOUT)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert slow.ends == [] and sent == []
        life = asyncio.create_task(app({"type": "lifespan"}, events.get, send))
        for event in ("lifespan.startup", "lifespan.shutdown"):
            events.put_nowait({"type": event})
        slow.leave.set()
        await life
        assert slow.ends == ["create done"]
        assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

    asyncio.run(drive())


def test_app_that_ends_finishes_its_calls(app, slow):
    with served(app) as caller:
        connection = caller.start("PUT", "/slow/0", request(), idempotency_key="key")
        assert slow.entered.wait(TIMEOUT)
        threading.Timer(0.1, slow.leave.set).start()
    assert slow.ends == ["create done"]
    assert read(connection).body == {"job_id": "job"}
