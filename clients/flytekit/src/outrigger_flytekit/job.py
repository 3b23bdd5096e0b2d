"""The life of one job: create, get until it has ended, delete if the run is cancelled."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from .errors import ServiceError, StaleToken, Stopped, Unavailable
from .progress import Progress
from .requests import Requests
from .service import Service
from .stop import Stop

# Of flyteidl.core.TaskExecution.Phase; Flyte 2 has the same.
SUCCEEDED, ABORTED, FAILED, RETRYABLE_FAILED = 3, 4, 5, 8
ENDED = (SUCCEEDED, ABORTED, FAILED, RETRYABLE_FAILED)

# Seconds between polls, and how long a service may be unavailable while a job runs.
FIRST_POLL, SLOWEST_POLL = 0.5, 10.0
PATIENCE = 300.0
# Seconds for cancelling a job, and between attempts. A service may not find a new job at once.
STOPS_FOR, STOP_PAUSE = 15.0, 1.0
# Errors that a running job survives.
TRANSIENT = (Unavailable, StaleToken)


@dataclass(frozen=True)
class Failure:
    """Why a task failed, and whether another attempt may succeed."""

    message: str
    is_recoverable: bool

    @classmethod
    def of(cls, resource: Any) -> Failure | None:
        """The failure that a service reports for an ended task; ``None`` if it succeeded."""
        if resource.phase == SUCCEEDED:
            return None
        return cls(resource.message, resource.phase == RETRYABLE_FAILED)


@dataclass(eq=False)
class Job:
    """One run of a task on a service."""

    service: Service
    requests: Requests
    progress: Progress
    stop: Stop = field(default_factory=Stop)
    finished: threading.Event = field(default_factory=threading.Event)
    _handle: bytes = b""
    _asked: bool = False
    _ended: bool = False

    def run(self) -> Any:
        """Runs the job to its end. Returns the service's last answer, in any terminal phase.

        If the run ends for any other reason, including Ctrl-C, the job is cancelled. Raises ServiceError if the
        service cannot be used, and Stopped if ``stop`` was set.
        """
        try:
            with self.progress:
                self._asked = True
                self._handle = self.service.create(self.requests.create, self.stop)
                return self._until_ended()
        except ServiceError:
            # If a create fails, no job is known to exist.
            self._asked = False
            raise
        finally:
            try:
                self._stop_unless_ended()
                self.service.close()
            finally:
                self.finished.set()

    def _until_ended(self) -> Any:
        heard, pause, pushback = time.monotonic(), FIRST_POLL, 0.0
        while not self.stop.wait(max(pause, pushback)):
            pause, pushback = min(pause * 1.2, SLOWEST_POLL), 0.0
            try:
                resource = self.service.get(lambda: self.requests.get(self._handle), self.stop)
                heard = time.monotonic()
            except TRANSIENT as away:
                if time.monotonic() - heard > PATIENCE:
                    raise
                pushback = away.pushback
                self.progress.phase("service unavailable;", f"waiting: {away}", ())
                continue
            self.progress.show(resource)
            if resource.phase in ENDED:
                self._ended = True
                return resource
        raise Stopped

    def _stop_unless_ended(self) -> None:
        if self._ended or not (self._asked or self._handle):
            return
        self.progress.say("cancelling the job")
        try:
            self._delete_within(STOPS_FOR)
        except Exception as failed:
            # Of any kind: whoever ends the run must know.
            self.progress.say(f"the job may still be running: {failed}")
        else:
            self.progress.say("the service is cancelling the job")

    def _delete_within(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while True:
            try:
                return self._delete(until)
            except TRANSIENT as away:
                pause = max(STOP_PAUSE, away.pushback)
                if time.monotonic() + pause > until:
                    raise
            time.sleep(pause)

    def _delete(self, until: float) -> None:
        if not self._handle:
            # A create that was interrupted: the same request finds its job.
            self._handle = self.service.create_once(self.requests.create, until)
        self.service.delete(lambda: self.requests.delete(self._handle), until)
