"""Flyte backend plugins as Python classes.

Write a :class:`Plugin` (jobs) or a :class:`SyncPlugin` (an answer within the call), pass its instance to :func:`serve`,
and run the result with ``outrigger serve MODULE:APP``.
"""

from .app import App, serve
from .errors import NotFound, Refused, Unavailable
from .plugin import Plugin, SyncPlugin
from .status import (
    Ended,
    Failed,
    Initializing,
    Link,
    Queued,
    RetryableFailed,
    Running,
    Status,
    Succeeded,
    WaitingForResources,
)
from .task import Task

__version__ = "0.1.0"

__all__ = [
    "App",
    "Ended",
    "Failed",
    "Initializing",
    "Link",
    "NotFound",
    "Plugin",
    "Queued",
    "Refused",
    "RetryableFailed",
    "Running",
    "Status",
    "Succeeded",
    "SyncPlugin",
    "Task",
    "Unavailable",
    "WaitingForResources",
    "serve",
]
