"""The life of one job: create, get until it has ended, delete if nobody waits any more."""

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

# Seconds between polls, and how long a service may be away while a job runs.
FIRST_POLL, SLOWEST_POLL = 0.5, 10.0
PATIENCE = 300.0
# Seconds for telling a service to stop a job, and between tries. A service may not find a young job at once.
STOPS_FOR, STOP_PAUSE = 15.0, 1.0
# What may pass while a job runs: its handle is worth waiting for.
PASSING = (Unavailable, StaleToken)


@dataclass(frozen=True)
class Failure:
    """Why a job failed, and whether another attempt may help."""

    message: str
    is_recoverable: bool

    @classmethod
    def of(cls, resource: Any) -> Failure | None:
        """What a service says of a job that has ended; nothing of one that succeeded."""
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
        """Runs it to its end; the service's last answer, of whatever phase.

        Whatever else ends the run, Ctrl-C among it, stops the job. Raises ServiceError when the service
        cannot be used, and Stopped when ``stop`` was set.
        """
        try:
            with self.progress:
                self._asked = True
                self._handle = self.service.create(self.requests.create, self.stop)
                return self._until_ended()
        except ServiceError:
            # Nothing is known to exist when a create fails.
            self._asked = False
            raise
        finally:
            self._stop_unless_ended()
            self.service.close()
            self.finished.set()

    def _until_ended(self) -> Any:
        heard, pause, pushback = time.monotonic(), FIRST_POLL, 0.0
        while not self.stop.wait(max(pause, pushback)):
            pause, pushback = min(pause * 1.2, SLOWEST_POLL), 0.0
            try:
                resource = self.service.get(lambda: self.requests.get(self._handle), self.stop)
                heard = time.monotonic()
            except PASSING as away:
                if time.monotonic() - heard > PATIENCE:
                    raise
                pushback = away.pushback
                self.progress.phase("cannot be asked;", f"waiting: {away}", ())
                continue
            self.progress.phase(self._phase_name(resource), resource.message, resource.log_links)
            if resource.phase in ENDED:
                self._ended = True
                return resource
        raise Stopped

    def _phase_name(self, resource: Any) -> str:
        phases = resource.DESCRIPTOR.fields_by_name["phase"].enum_type.values_by_number
        return phases[resource.phase].name if resource.phase in phases else str(resource.phase)

    def _stop_unless_ended(self) -> None:
        if self._ended or not (self._asked or self._handle):
            return
        self.progress.say("stopping the job")
        try:
            self._delete_within(STOPS_FOR)
        except ServiceError as refused:
            self.progress.say(f"the job may go on: {refused}")
        else:
            self.progress.say("the job was told to stop")

    def _delete_within(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while True:
            try:
                return self._delete(until)
            except PASSING as away:
                pause = max(STOP_PAUSE, away.pushback)
                if time.monotonic() + pause > until:
                    raise
            time.sleep(pause)

    def _delete(self, until: float) -> None:
        if not self._handle:
            # A create whose answer was not waited for: the same request finds its job.
            self._handle = self.service.create_once(self.requests.create, until)
        self.service.delete(lambda: self.requests.delete(self._handle), until)
