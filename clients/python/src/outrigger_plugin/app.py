"""The ASGI app that serves plugins to the bridge."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from . import operations
from .asgi import Answer, Disconnected, Problem, Receive, Scope, Send, headers_of, read_body, send_answer
from .calls import Calls, CancelledByItself
from .failures import answered, failed, in_time
from .plugin import AnyPlugin, Plugin, by_category
from .routes import Route, Verb, find, job_id_in_query
from .task import Malformed, Task, read_json, read_object, read_task, seconds_left

# As many as the bridge has calls under way, and for callers that left while a thread was busy.
THREADS = 32


def serve(*plugins: AnyPlugin, threads: int = THREADS) -> App:
    """An ASGI app that serves ``plugins``, to run with ``outrigger serve`` or to mount into another app.

    ``threads`` is how many methods that are not async may run at once. Raises TypeError or ValueError if a plugin
    has no task type, or two have the same.
    """
    return App(*plugins, threads=threads)


class App:
    """Serves plugins to the bridge. It checks no tokens: only the bridge may reach it."""

    def __init__(self, *plugins: AnyPlugin, threads: int = THREADS) -> None:
        self._plugins = by_category(plugins)
        self._calls = Calls(threads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            event = (await receive())["type"]
            if event == "lifespan.shutdown":
                await self._calls.finish()
            await send({"type": f"{event}.complete"})
            if event == "lifespan.shutdown":
                return

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._answer(scope, receive)
        except Disconnected:
            return
        except Problem as problem:
            answer = problem.answer
        except Malformed as malformed:
            answer = Problem(400, "MALFORMED", str(malformed)).answer
        await send_answer(send, answer)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        route = find(scope)
        if route.verb is Verb.LIST:
            return operations.listed(self._plugins)
        plugin, headers = self._plugin(route), headers_of(scope)
        seconds = seconds_left(headers)
        if route.verb in (Verb.CREATE, Verb.EXECUTE):
            task = read_task(route.task_type, route.version, headers, await read_body(receive))
            work = self._with_task(plugin, task)
        else:
            work = self._with_job(plugin, route.verb, await read_job(scope, receive))
        try:
            # Whoever left a create or a delete half-way could not know what runs at the vendor.
            if route.verb in (Verb.CREATE, Verb.DELETE):
                return await self._calls.to_the_end(in_time(answered(work, route), route, seconds))
            return await self._calls.while_connected(answered(work, route), receive)
        except CancelledByItself as error:
            return failed(error, route)

    def _plugin(self, route: Route) -> AnyPlugin:
        plugin = self._plugins.get((route.task_type, route.version))
        if plugin is None:
            raise Problem(404, "NOT_FOUND", f"no plugin for task type {route.task_type!r}, version {route.version}")
        if isinstance(plugin, Plugin) == (route.verb is Verb.EXECUTE):
            kind = "jobs" if isinstance(plugin, Plugin) else "no jobs"
            raise Problem(405, "METHOD_NOT_ALLOWED", f"task type {route.task_type!r} has {kind}")
        return plugin

    def _with_task(self, plugin: AnyPlugin, task: Task) -> Coroutine[Any, Any, Answer]:
        if isinstance(plugin, Plugin):
            return operations.create(self._calls, plugin, task)
        return operations.execute(self._calls, plugin, task)

    def _with_job(self, plugin: AnyPlugin, verb: Verb, job: Any) -> Coroutine[Any, Any, Answer]:
        assert isinstance(plugin, Plugin)
        operation = operations.poll if verb is Verb.POLL else operations.delete
        return operation(self._calls, plugin, job)


async def read_job(scope: Scope, receive: Receive) -> Any:
    """What the plugin's create returned: in the query or, if it is long, in the body. Raises Malformed or Problem."""
    if scope["method"] != "POST":
        return read_json(job_id_in_query(scope), "job_id")
    fields = read_object(await read_body(receive))
    if "job_id" not in fields:
        raise Malformed("job_id: missing")
    return fields["job_id"]
