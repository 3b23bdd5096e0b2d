"""<[ plugin.title ]>: <[ plugin.description ]>."""

import logging
import os
import signal
import socket
import sys
<%- if plugin.mode == "async" %>
import time
<%- endif %>
from pathlib import Path

import uvicorn
<%- if plugin.mode == "async" %>
from outrigger_plugin import NotFound, Plugin, Refused, Running, Status, Succeeded, Task, serve
<%- else %>
from outrigger_plugin import Refused, Succeeded, SyncPlugin, Task, serve
<%- endif %>

# ---- Your part: replace the example. ----

# The types of Flyte's tasks that this plugin runs, each with its version.
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
        return Running("shouting") if time.time() < end else Succeeded(o0=text.upper())

    async def delete(self, job: dict[str, str]) -> None:
        """Stops a job. If it has ended or is gone, there is nothing to do."""
        RUNS.pop(job["id"], None)
<%- else %>


class Example(SyncPlugin):
    """Shouts a text."""

    def __init__(self, task_type: str, version: int) -> None:
        self.task_type, self.version = task_type, version

    async def execute(self, task: Task) -> Succeeded:
        """Runs a task before task.deadline. Flyte may repeat it, with the same task.key."""
        text = task.inputs.get("text")
        if not isinstance(text, str):
            raise Refused("inputs.text: expected a string")
        return Succeeded(o0=text.upper())
<%- endif %>


app = serve(*(Example(name, version) for name, version in TASK_TYPES.items()))

# ---- The server. It needs no changes. ----

IDLE_TIME = 120  # longer than the bridge keeps connections, or a call could meet the closing
DRAIN_TIME = 25


def listening(path: Path) -> socket.socket:
    """A socket for this user and group, as the bridge may be another user."""
    # A process that was killed leaves its socket.
    if path.is_socket():
        path.unlink()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o660)
    return listener


def main() -> None:
    path = Path(os.environ.get("PLUGIN_SOCKET") or "/run/outrigger/plugin.sock")
    # uvicorn finishes its calls after these signals, and then raises them again.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    logging.basicConfig(level=logging.WARNING)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=IDLE_TIME,
        timeout_graceful_shutdown=DRAIN_TIME,
    )
    listener = listening(path)
    print(f"serving on {path}", file=sys.stderr, flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
