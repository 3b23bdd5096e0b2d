"""Cancellation of a run from another thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
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

    def is_set(self) -> bool:
        return self._asked.is_set()

    def wait(self, seconds: float) -> bool:
        """Waits up to ``seconds``; whether cancellation was requested."""
        return self._asked.wait(seconds)

    def result(self, call: Any) -> Any:
        """The result of gRPC's ``call``. Raises grpc.FutureCancelledError if the run is cancelled first."""
        with self._cancels(call):
            return call.result()

    def first(self, call: Any) -> Any:
        """The first message of gRPC's streaming ``call``; ``None`` if it has none.

        Raises grpc.RpcError, also if the run is cancelled first.
        """
        with self._cancels(call):
            return next(call, None)

    @contextmanager
    def _cancels(self, call: Any) -> Iterator[None]:
        self._call = call
        if self._asked.is_set():
            call.cancel()
        try:
            yield
        finally:
            self._call = None
            # Ctrl-C in this thread.
            call.cancel()
