"""What the author of a plugin writes."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterable
from typing import Any

from .status import Ended, Status
from .task import Task

# The bridge accepts no other names.
NAME = re.compile(r"[A-Za-z0-9._/-]+")
MAX_VERSION = 2**31 - 1


class Plugin(ABC):
    """Runs tasks of a type as jobs: create, poll until the job has ended, delete.

    Each method may be ``async``; one that is not runs in a thread. Raise Refused, Unavailable or NotFound; any other
    exception counts as a fault of the plugin.
    """

    task_type: str = ""
    version: int = 0

    @abstractmethod
    def create(self, task: Task) -> Any:
        """Starts a job and returns what finds it again: any JSON but null, up to 8 KiB.

        Callers cannot read or change it. Flyte repeats a create whose answer was lost: with the same ``task.key``,
        start no second job.
        """

    @abstractmethod
    def poll(self, job: Any) -> Status | Awaitable[Status]:
        """Reports on the job, which is what ``create`` returned, as JSON returns it: tuples are lists."""

    @abstractmethod
    def delete(self, job: Any) -> Awaitable[None] | None:
        """Stops the job. Called again, or for a job that has ended, it does nothing."""


class SyncPlugin(ABC):
    """Answers tasks of a type within the call. The method may be ``async``; one that is not runs in a thread."""

    task_type: str = ""
    version: int = 0

    @abstractmethod
    def execute(self, task: Task) -> Ended | Awaitable[Ended]:
        """Runs the task and returns Succeeded, Failed or RetryableFailed, before ``task.deadline``.

        When the caller leaves, an ``async`` method is cancelled.
        """


AnyPlugin = Plugin | SyncPlugin
Category = tuple[str, int]


def by_category(plugins: Iterable[AnyPlugin]) -> dict[Category, AnyPlugin]:
    """The plugins by task type and version.

    Raises TypeError for what is no plugin, ValueError for one without a valid task type, or when two have the same.
    """
    found: dict[Category, AnyPlugin] = {}
    for plugin in plugins:
        category = category_of(plugin)
        if category in found:
            names = f"{type(found[category]).__name__} and {type(plugin).__name__}"
            raise ValueError(f"{names} have the same task type {category[0]!r}, version {category[1]}")
        refuse_other_version(found, category)
        found[category] = plugin
    if not found:
        raise ValueError("no plugin: serve(MyPlugin())")
    return found


def refuse_other_version(found: dict[Category, AnyPlugin], category: Category) -> None:
    """Raises ValueError if the task type of ``category`` has another version in ``found``: a bridge serves one."""
    name, version = category
    for other, known in found:
        if other == name:
            raise ValueError(f"the task type {name!r} has the versions {known} and {version}: serve one of them")


def category_of(plugin: AnyPlugin) -> Category:
    """The task type and version of ``plugin``. Raises TypeError or ValueError, as above."""
    if isinstance(plugin, type):
        raise TypeError(f"{plugin.__name__} is a class: pass an instance, {plugin.__name__}()")
    name = type(plugin).__name__
    if not isinstance(plugin, (Plugin, SyncPlugin)):
        raise TypeError(f"{name} is no plugin: derive it from Plugin or SyncPlugin")
    if not plugin.task_type:
        raise ValueError(f'{name} has no task type: write task_type = "…" in the class')
    if not (isinstance(plugin.task_type, str) and NAME.fullmatch(plugin.task_type)):
        raise ValueError(f"{name}.task_type is {plugin.task_type!r}: use letters, digits and . _ - /")
    if type(plugin.version) is not int or not 0 <= plugin.version <= MAX_VERSION:
        raise ValueError(f"{name}.version is {plugin.version!r}: expected an integer from 0")
    return plugin.task_type, plugin.version
