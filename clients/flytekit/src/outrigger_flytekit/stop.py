"""The end of a run that another thread asks for."""

from __future__ import annotations

import threading
from typing import Any


class Stop:
    """Ends the pause or the call that a run waits for."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._call: Any = None

    def set(self) -> None:
        self._asked.set()
        if call := self._call:
            call.cancel()

    def wait(self, seconds: float) -> bool:
        """Whether the end was asked for, within ``seconds``."""
        return self._asked.wait(seconds)

    def result(self, call: Any) -> Any:
        """What gRPC's ``call`` ends with. Raises grpc.FutureCancelledError when the run ends first."""
        self._call = call
        if self._asked.is_set():
            call.cancel()
        try:
            return call.result()
        finally:
            self._call = None
            # Ctrl-C in this thread.
            call.cancel()
