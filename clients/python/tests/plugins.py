"""The plugins that most tests call."""

import asyncio
import threading
from datetime import datetime, timedelta, timezone

from outrigger_plugin import (
    Failed,
    Initializing,
    Link,
    NotFound,
    Plugin,
    Queued,
    Refused,
    RetryableFailed,
    Running,
    Succeeded,
    SyncPlugin,
    Unavailable,
    WaitingForResources,
    serve,
)


class Shoutout(Plugin):
    """The plugin in the README."""

    task_type = "shoutout"

    def __init__(self):
        self.jobs = {}

    async def create(self, task):
        self.jobs.setdefault(task.key, {"text": task.inputs["text"], "left": 2})
        return {"id": task.key}

    async def poll(self, job):
        it = self.jobs[job["id"]]
        it["left"] -= 1
        return Running("shouting") if it["left"] > 0 else Succeeded(o0=it["text"].upper() + "!")

    async def delete(self, job):
        self.jobs.pop(job["id"], None)


class Threaded(Plugin):
    """Methods that are not async. Its job is the thread that made it."""

    task_type = "threaded"
    version = 2

    def create(self, task):
        return threading.current_thread().name

    def poll(self, job):
        return Succeeded(created_in=job, polled_in=threading.current_thread().name)

    def delete(self, job):
        next(iter(()))


class Echo(Plugin):
    """Its job is what its task says; ``size`` makes it large."""

    task_type = "a/deep.echo"

    def __init__(self):
        self.deleted = []

    async def create(self, task):
        return task.inputs["value"] if "value" in task.inputs else "x" * task.inputs["size"]

    async def poll(self, job):
        return Succeeded(value=job)

    async def delete(self, job):
        self.deleted.append(job)


LINK = Link("Console", "https://vendor.example.com")
NOW = datetime(2026, 3, 1, 12, 30, tzinfo=timezone(timedelta(hours=2)))
STATUSES = {
    "queued": Queued("in line", links=[LINK]),
    "initializing": Initializing(info={"node": 1}),
    "waiting": WaitingForResources("no machine"),
    "running": Running("60 %").with_link("Log", "https://log.example.com").with_info(done=0.6),
    "succeeded": Succeeded(message="an output", at=NOW, took=timedelta(seconds=1.5)).with_message("done"),
    "failed": Failed("bad column", code="BAD_COLUMN"),
    "retryable": RetryableFailed("a machine was lost"),
    "nothing": None,
}
ERRORS = {
    "refused": lambda: Refused("no such table", code="NO_TABLE"),
    "refused without a code": lambda: Refused("no"),
    "unavailable": lambda: Unavailable("too many jobs", retry_after=1.2),
    "unavailable at once": lambda: Unavailable("try again"),
    "not found": lambda: NotFound(),
    "exception": lambda: ConnectionError("secret details\nthe vendor does not answer"),
    "exit": lambda: SystemExit("it ends"),
    "code that is a number": lambda: Refused("no such table", code=1146),
    "cancelled": lambda: asyncio.CancelledError(),
}


class Reporting(Plugin):
    """Reports, or raises, what its job says."""

    task_type = "reporting"

    async def create(self, task):
        self.told(task.inputs["about"])

    async def poll(self, job):
        return self.told(job)

    async def delete(self, job):
        self.told(job)

    def told(self, about):
        if about in ERRORS:
            raise ERRORS[about]()
        return STATUSES[about]


class Chat(SyncPlugin):
    """Answers with its task."""

    task_type = "chat"

    async def execute(self, task):
        about = task.inputs.get("about")
        if about in ERRORS:
            raise ERRORS[about]()
        if about in STATUSES:
            return STATUSES[about]
        fields = {name: getattr(task, name) for name in vars(task) if name != "deadline"}
        return Succeeded(**fields, left=task.time_left(), has_zone=task.deadline.tzinfo is not None)


echo, shoutout = Echo(), Shoutout()
app = serve(shoutout, Threaded(), echo, Reporting(), Chat())
