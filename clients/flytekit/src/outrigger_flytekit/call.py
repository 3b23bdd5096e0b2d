"""A task that a service answers within one call: it has no job, so nothing is polled or deleted."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from .errors import Stopped
from .progress import Progress
from .service import Request, Service
from .stop import Stop


@dataclass(eq=False)
class Call:
    """One run of such a task on a service. ``request`` gives the messages of the call, in their order."""

    service: Service
    request: Request
    progress: Progress
    stop: Stop = field(default_factory=Stop)
    finished: threading.Event = field(default_factory=threading.Event)

    def run(self) -> Any:
        """The service's answer, in any phase.

        Raises ServiceError if the service cannot be used, and Stopped if ``stop`` was set.
        """
        try:
            with self.progress:
                resource = self.service.execute(self.request, self.stop)
                self.progress.show(resource)
                return resource
        except (KeyboardInterrupt, SystemExit, Stopped):
            # The first two are Ctrl-C. No call of Flyte's would cancel the task.
            self.progress.say("no longer waiting; the service may still finish the task")
            raise
        finally:
            try:
                self.service.close()
            finally:
                self.finished.set()
