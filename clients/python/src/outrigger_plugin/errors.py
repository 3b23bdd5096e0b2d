"""Errors that a plugin may raise. Any other exception is an error of the plugin itself."""

from __future__ import annotations

import math


class Refused(Exception):
    """The vendor refuses the task, and would refuse it again: the task fails with ``message``, without a retry.

    ``code`` is the vendor's error code.
    """

    def __init__(self, message: str, code: str | int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class Unavailable(Exception):
    """The vendor does not answer for now: the call is repeated, not before ``retry_after`` seconds."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        if retry_after is not None and not (math.isfinite(retry_after) and retry_after >= 0):
            raise ValueError(f"retry_after: expected seconds, not {retry_after}")
        self.message = message
        self.retry_after = retry_after


class NotFound(Exception):
    """The job is gone. For ``poll`` and ``delete``."""

    def __init__(self, message: str = "the job is gone") -> None:
        super().__init__(message)
        self.message = message
