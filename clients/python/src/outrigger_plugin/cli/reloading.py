"""The server of an app that is loaded again when its files change, for ``python -m``. Its argument is its socket."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from typing import Any

import uvicorn
from uvicorn.supervisors import ChangeReload
from uvicorn.supervisors.statreload import StatReload

from .children import note
from .loading import APP_VARIABLE, ENDED, standing_in
from .programs import GRACE, KEEP_ALIVE, LOADER

# As programs.app_server says it without --reload.
SETTINGS: dict[str, Any] = {
    "log_level": "warning",
    "access_log": False,
    "proxy_headers": False,
    "server_header": False,
    "timeout_keep_alive": KEEP_ALIVE,
    "timeout_graceful_shutdown": GRACE,
}
# How long until it is looked again whether there is another process, in seconds.
INTERVAL = 1.0
# How long a process may take to end its calls when a file has changed, in seconds.
PATIENCE = 5.0


class Reloader(ChangeReload):  # type: ignore[valid-type, misc]
    """Runs the app in a process of its own, and in a new one when a file changes.

    While the process has ended by itself, another one answers calls: they would wait, as this one holds the socket.
    """

    def __init__(self, config: uvicorn.Config, listener: socket.socket, app: str) -> None:
        super().__init__(config, target=uvicorn.Server(config).run, sockets=[listener])
        self.app = app
        self.stand_in: SpawnProcess | None = None
        # Held by whoever replaces the process.
        self.lock = threading.Lock()

    def startup(self) -> None:
        self.note_changes_since(super().startup)
        threading.Thread(target=self.watch, daemon=True).start()

    def restart(self) -> None:
        with self.lock:
            self.end()
            self.note_changes_since(super().restart)

    def end(self) -> None:
        """Ends the process. One in a loop without an end is deaf to the signal, and would be waited for as long."""
        self.process.terminate()
        self.process.join(PATIENCE)
        if self.process.is_alive():
            note(f"the process of {self.app} has not ended within {PATIENCE:.0f} s, and is killed")
            self.process.kill()

    def note_changes_since(self, start: Callable[[], None]) -> None:
        """Starts a process. A file that is saved from now on starts the next one: this one may have read it already.

        uvicorn looks at the files' times for the first time a moment after the process has begun to read them.
        """
        if not isinstance(self, StatReload):
            start()
            return
        times = {}
        for file in self.iter_py_files():
            with suppress(OSError):
                times[file] = file.stat().st_mtime
        start()
        self.mtimes = times

    def shutdown(self) -> None:
        with self.lock:
            super().shutdown()

    def watch(self) -> None:
        """Replaces each process that ends by itself."""
        while not self.should_exit.is_set():
            process = self.process
            wait([process.sentinel])
            with self.lock:
                if self.process is process and process is not self.stand_in and not self.should_exit.is_set():
                    self.replace(process)
            if process is self.stand_in:
                self.should_exit.wait(INTERVAL)

    def replace(self, process: SpawnProcess) -> None:
        process.join()
        message = f"the process of {self.app} {ending(process.exitcode or 0)}"
        note(f"{message}; waiting for a file to change")
        spawn = multiprocessing.get_context("spawn")
        arguments = (f"{message}; save a file to start it again", self.sockets)
        self.process = self.stand_in = spawn.Process(target=answer, args=arguments, daemon=True)
        self.process.start()


def ending(code: int) -> str:
    """How a process ended, by its exit code as multiprocessing has it."""
    if code >= 0:
        return f"ended with exit code {code}"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"


def answer(message: str, sockets: list[socket.socket]) -> None:
    """Answers each request with ``message``, until a signal."""
    config = uvicorn.Config(standing_in(ENDED, message), **SETTINGS)
    uvicorn.Server(config).run(sockets=sockets)


def main(path: str) -> None:
    """Serves until a signal."""
    config = uvicorn.Config(LOADER, factory=True, uds=path, reload=True, **SETTINGS)
    try:
        Reloader(config, config.bind_socket(), os.environ[APP_VARIABLE]).run()
    finally:
        with suppress(FileNotFoundError):
            os.remove(path)


if __name__ == "__main__":
    main(sys.argv[1])
