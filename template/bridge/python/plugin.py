"""<[ plugin.title ]>: <[ plugin.description ]>."""

<% if plugin.mode == "async" -%>
import time

from outrigger_plugin import NotFound, Plugin, Refused, Running, Status, Succeeded, Task, serve
<% else -%>
from outrigger_plugin import Refused, Succeeded, SyncPlugin, Task, serve
<% endif %>
# The types of Flyte's tasks that this plugin runs, each with its version.
# plugin.toml names them, too; outrigger sync changes only what is generated: keep both in step.
TASK_TYPES = {
    <%- for t in plugin.task_types %>
    "<[ t.name ]>": <[ t.version ]>,
    <%- endfor %>
}
<%- if plugin.mode == "async" %>

# The jobs of the example, by key: a text, and when the job ends. They stand for the vendor: call its API instead.
RUNS: dict[str, tuple[str, float]] = {}


class Example(Plugin):
    """Shouts a text."""

    def __init__(self, task_type: str, version: int) -> None:
        self.task_type, self.version = task_type, version

    # A blocking call (`requests`, `time.sleep`) in an `async def` stops all jobs: write `def`, and it runs in a thread.
    async def create(self, task: Task) -> dict[str, str]:
        """Starts a job. Flyte repeats a create whose answer was lost: look for the job that has task.key first."""
        text = task.inputs.get("text")
        if not isinstance(text, str):
            raise Refused("inputs.text: expected a string")
        RUNS.setdefault(task.key, (text, time.time() + 2))
        return {"id": task.key}

    async def poll(self, job: dict[str, str]) -> Status:
        """Reports on a job."""
        if job["id"] not in RUNS:
            raise NotFound()
        text, end = RUNS[job["id"]]
        status = Running("shouting") if time.time() < end else Succeeded(o0=text.upper())
        # The links of a phase have to be in its first status.
        return status.with_link("Job", f"https://example.com/jobs/{job['id']}")

    async def delete(self, job: dict[str, str]) -> None:
        """Stops a job. If it has ended or is gone, there is nothing to do."""
        RUNS.pop(job["id"], None)
<%- else %>


class Example(SyncPlugin):
    """Shouts a text."""

    def __init__(self, task_type: str, version: int) -> None:
        self.task_type, self.version = task_type, version

    # A blocking call (`requests`, `time.sleep`) in an `async def` stops all jobs: write `def`, and it runs in a thread.
    async def execute(self, task: Task) -> Succeeded:
        """Runs a task before task.deadline. Flyte may repeat it, with the same task.key."""
        text = task.inputs.get("text")
        if not isinstance(text, str):
            raise Refused("inputs.text: expected a string")
        return Succeeded(o0=text.upper())
<%- endif %>


app = serve(*(Example(name, version) for name, version in TASK_TYPES.items()))
