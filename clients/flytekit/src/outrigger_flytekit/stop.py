"""Cancellation of a run from another thread."""

from __future__ import annotations

import threading
from typing import Any


class Stop:
    """Ends the pause or call that a run is waiting for."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._call: Any = None

    def set(self) -> None:
        self._asked.set()
        if call := self._call:
            call.cancel()

    def wait(self, seconds: float) -> bool:
        """Waits up to ``seconds``; whether cancellation was requested."""
        return self._asked.wait(seconds)

    def result(self, call: Any) -> Any:
        """The result of gRPC's ``call``. Raises grpc.FutureCancelledError if the run is cancelled first."""
        self._call = call
        if self._asked.is_set():
            call.cancel()
        try:
            return call.result()
        finally:
            self._call = None
            # Ctrl-C in this thread.
            call.cancel()
