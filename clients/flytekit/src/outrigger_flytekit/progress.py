"""The progress output of a job."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.text import Text

from .status import plain

RecordLinks = Callable[[list[tuple[str, str]]], None]

# A terminal can show only one spinner.
_spinner = threading.Lock()


class Progress:
    """Prints one job's progress on standard error: each phase, message and link once; in a terminal, also a spinner.

    ``record_links`` receives the links, as names and addresses.
    """

    def __init__(self, task: str, where: str, record_links: RecordLinks | None = None):
        self.task, self._record_links = task, record_links
        self._console = Console(stderr=True, highlight=False)
        self._status = self._console.status(Text(plain(f"{task} on {where}")), spinner="dots")
        self._shows_spinner = False
        self._started = time.monotonic()
        self._printed: set[object] = set()

    def __enter__(self) -> Progress:
        self._shows_spinner = self._console.is_terminal and _spinner.acquire(blocking=False)
        if self._shows_spinner:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._shows_spinner:
            self._status.stop()
            _spinner.release()

    def say(self, what: str) -> None:
        """Prints one line without wrapping, so that links stay intact."""
        seconds = time.monotonic() - self._started
        self._console.print(plain(f"{self.task}: {what} ({seconds:.0f} s)"), markup=False, soft_wrap=True)

    def show(self, resource: Any) -> None:
        """Prints what is new in an answer of the service."""
        self.phase(name_of_phase(resource), resource.message, resource.log_links)

    def phase(self, name: str, message: str, links: Any) -> None:
        """Prints what is new about the task."""
        if links and self._record_links:
            self._record_links([(link.name, link.uri) for link in links])
        for link in links:
            self._once(link.uri, f"{link.name}: {link.uri}")
        self._once((name, message), f"{name} {message}".rstrip())

    def _once(self, key: object, what: str) -> None:
        if key not in self._printed:
            self._printed.add(key)
            self.say(what)


def name_of_phase(resource: Any) -> str:
    phases = resource.DESCRIPTOR.fields_by_name["phase"].enum_type.values_by_number
    return phases[resource.phase].name if resource.phase in phases else str(resource.phase)
