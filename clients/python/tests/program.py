"""Runs ``outrigger`` as a user does, in a directory of its own, before a fake bridge."""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

from conftest import HERE, ROOT, TIMEOUT, eventually, free_port

MY_PLUGIN = """
import os, signal, threading
from outrigger_plugin import Plugin, Running, Succeeded, SyncPlugin, serve

class Shoutout(Plugin):
    task_type = "shoutout"
    version = VERSION
    async def create(self, task):
        return task.key
    async def poll(self, job):
        if job == "end":
            os._exit(7)
        return Running()
    async def delete(self, job):
        pass

class Chat(SyncPlugin):
    task_type = "chat"
    async def execute(self, task):
        return Succeeded()

app = serve(Shoutout(), Chat())
only_chat = serve(Chat())
other = lambda: None
async def silent(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})
"""


def environment(**more):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BRIDGE_", "PLUGIN_", "UVICORN_"))}
    return {**kept, "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1", **more}


@dataclasses.dataclass
class Outrigger:
    """A directory to run the program in, and what it left there."""

    files: pathlib.Path
    port: int = dataclasses.field(default_factory=free_port)
    admin: int = dataclasses.field(default_factory=free_port)

    def __post_init__(self):
        self.write(version=0)
        shutil.copy(HERE / "fake_bridge.py", self.files / "bridge")

    def write(self, version):
        (self.files / "my_plugin.py").write_text(MY_PLUGIN.replace("VERSION", str(version)))

    def settings(self, more):
        return environment(FAKE_BRIDGE_JOURNAL=str(self.files / "journal"), **more)

    def command(self, *arguments, bridge=True):
        more = ["--port", str(self.port), "--admin-port", str(self.admin)]
        more += ["--bridge", str(self.files / "bridge")] if bridge else []
        at = arguments.index("--") if "--" in arguments else len(arguments)
        return [sys.executable, "-m", "outrigger_plugin", "serve", *arguments[:at], *more, *arguments[at:]]

    def run(self, *arguments, bridge=True, **settings):
        """Runs ``outrigger serve`` to its end."""
        command = self.command(*arguments, bridge=bridge)
        return run(command, cwd=self.files, env=self.settings(settings))

    @contextlib.contextmanager
    def serving(self, *arguments, **settings):
        """``outrigger serve``, once it says that it serves."""
        with open(self.files / "log", "w") as log:
            process = subprocess.Popen(
                self.command(*arguments),
                cwd=self.files,
                env=self.settings(settings),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        try:
            process.lines = [process.stdout.readline() for _ in range(1 if "--connectors" in arguments else 3)]
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(TIMEOUT)
            process.kill()
            process.stdout.close()

    @property
    def journal(self):
        """What the fake bridge noted."""
        file = self.files / "journal"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def arguments(self):
        """What the fake bridge was started with."""
        return self.journal[0]["arguments"]

    @property
    def socket(self):
        flags = self.arguments
        return pathlib.Path(flags[flags.index("--upstream") + 1].removeprefix("unix:"))

    @property
    def log(self):
        return (self.files / "log").read_text()


def run(command, **settings):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **settings)


def ends(process):
    """The exit code."""
    return eventually(lambda: None if process.poll() is None else [process.poll()], "the program ends")[0]
