"""What an app does for a request, once its plugin and its body are known."""

from __future__ import annotations

import logging
from typing import Any, get_args

from .asgi import Answer
from .calls import Calls
from .errors import Refused
from .plugin import AnyPlugin, Category, Plugin, SyncPlugin
from .status import Ended, Status, answer
from .task import Task
from .values import encode, plain

LOG = logging.getLogger("outrigger_plugin")
# What fits into a handle of the bridge.
MAX_JOB = 8192


def listed(plugins: dict[Category, AnyPlugin]) -> Answer:
    """The plugins of an app."""
    entries = [
        {"task_type": task_type, "version": version, "sync": isinstance(plugin, SyncPlugin)}
        for (task_type, version), plugin in plugins.items()
    ]
    return Answer(200, {"plugins": entries})


async def create(calls: Calls, plugin: Plugin, task: Task) -> Answer:
    """Starts a job. Raises Refused if it cannot be found again, as another one could not be; it is deleted then.

    Raises TypeError if there is nothing by which to delete it, either.
    """
    job = await calls.call(plugin.create, task)
    if job is None:
        raise TypeError("create returned None: return what finds the job again")
    try:
        return Answer(200, {"job_id": checked(job)})
    except (ValueError, TypeError) as error:
        outcome = "was deleted" if await was_deleted(calls, plugin, job) else "may still run"
        raise Refused(f"{error}; the job {outcome}", code="UNUSABLE_JOB") from None


def checked(job: Any) -> Any:
    """``job`` as JSON. Raises ValueError or TypeError if it is none, or too large."""
    try:
        value = plain(job, "what create returned")
        size = len(encode(value))
    except RecursionError:
        raise ValueError("what create returned: is nested too deeply, or contains itself") from None
    if size > MAX_JOB:
        raise ValueError(f"what create returned: has {size} bytes as JSON, and {MAX_JOB} are allowed")
    return value


async def was_deleted(calls: Calls, plugin: Plugin, job: Any) -> bool:
    try:
        await calls.call(plugin.delete, job)
    except Exception:
        LOG.exception("delete of a job that nobody can find again failed")
        return False
    return True


async def poll(calls: Calls, plugin: Plugin, job: Any) -> Answer:
    """The status of a job. Raises TypeError if the plugin returns something else."""
    status = await calls.call(plugin.poll, job)
    if not isinstance(status, Status):
        raise TypeError(f"poll returned {type(status).__name__}: return a status, for example Running()")
    return Answer(200, answer(status))


async def delete(calls: Calls, plugin: Plugin, job: Any) -> Answer:
    """Stops a job."""
    await calls.call(plugin.delete, job)
    return Answer(200, {})


async def execute(calls: Calls, plugin: SyncPlugin, task: Task) -> Answer:
    """Answers a task. Raises TypeError if the plugin returns something that is not the end of it."""
    status = await calls.call(plugin.execute, task)
    if not isinstance(status, get_args(Ended)):
        raise TypeError(f"execute returned {type(status).__name__}: return Succeeded(), Failed() or RetryableFailed()")
    return Answer(200, answer(status))
