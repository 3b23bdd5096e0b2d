"""A typed plugin, for mypy --strict: an author's annotations fit the package's."""

from __future__ import annotations

from typing import TypedDict

from outrigger_plugin import Ended, Failed, Plugin, Running, Status, Succeeded, SyncPlugin, Task, serve


class Job(TypedDict):
    id: str


class Typed(Plugin):
    task_type = "typed"

    async def create(self, task: Task) -> Job:
        return {"id": task.key}

    async def poll(self, job: Job) -> Status:
        return Running("on its way", info={"id": job["id"]}).with_link("Console", "https://vendor.example.com")

    async def delete(self, job: Job) -> None:
        pass


class Threaded(Plugin):
    task_type = "threaded"
    version = 1

    def create(self, task: Task) -> str:
        return task.key

    def poll(self, job: str) -> Running | Succeeded:
        return Succeeded(o0=job).with_info(seconds=1.5)

    def delete(self, job: str) -> None:
        pass


class Answers(SyncPlugin):
    task_type = "answers"

    async def execute(self, task: Task) -> Ended:
        return Failed("no time left") if task.time_left() == 0 else Succeeded(text=task.sql)


app = serve(Typed(), Threaded(), Answers())
