"""What a poll reports of a job, and what a sync plugin answers."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from .values import plain

S = TypeVar("S", bound="Status")


@dataclass(frozen=True)
class Link:
    """A link that Flyte's console shows beside the task."""

    name: str
    uri: str

    def __post_init__(self) -> None:
        """Raises TypeError for what is no text."""
        _text(self.name, "name")
        _text(self.uri, "uri")


class Status:
    """The status of a job; use one of the subclasses. The methods ``with_…`` return a changed copy."""

    phase: ClassVar[str]
    job_state: ClassVar[str] = "running"

    def __init__(
        self, message: str | None = "", *, links: Iterable[Link] = (), info: Mapping[str, Any] | None = None
    ) -> None:
        """``info`` is JSON about the job. Raises ValueError or TypeError, naming the argument, for anything else."""
        # A vendor's null is no message.
        self.message = "" if message is None else _text(message, "message")
        self.links = _links(links)
        self.info = _checked({} if info is None else info, "info")
        self.code: str | None = None
        self.outputs: dict[str, Any] = {}

    def with_message(self: S, text: str) -> S:
        """This status with another message."""
        return self._with(message=_text(text, "message"))

    def with_link(self: S, name: str, uri: str) -> S:
        """This status with one more link."""
        return self._with(links=(*self.links, Link(name, uri)))

    def with_info(self: S, **facts: Any) -> S:
        """This status with more information. Raises ValueError or TypeError if it is not JSON."""
        return self._with(info={**self.info, **_checked(facts, "info")})

    def _with(self: S, **changes: Any) -> S:
        changed = copy.copy(self)
        vars(changed).update(changes)
        return changed

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __repr__(self) -> str:
        facts = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if value)
        return f"{type(self).__name__}({facts})"


class Queued(Status):
    """The vendor has accepted the job."""

    phase = "QUEUED"


class Initializing(Status):
    """The job is about to start."""

    phase = "INITIALIZING"


class WaitingForResources(Status):
    """The job waits for machines, a slot, a quota."""

    phase = "WAITING_FOR_RESOURCES"


class Running(Status):
    """The job runs."""

    phase = "RUNNING"


class Succeeded(Status):
    """The job has ended well. The keyword arguments are the task's outputs, whatever they are called."""

    phase = "SUCCEEDED"
    job_state = "succeed"

    def __init__(self, /, **outputs: Any) -> None:
        """Raises ValueError or TypeError, naming the output, for a value that JSON cannot express."""
        super().__init__()
        self.outputs = _checked(outputs, "output")


class Failed(Status):
    """The job has failed, and would fail again: the task fails with ``message``, without a retry.

    ``code`` is the vendor's error code, or a program's exit code.
    """

    phase = "FAILED"
    job_state = "failed"

    def __init__(
        self,
        message: str,
        code: str | int | None = None,
        *,
        links: Iterable[Link] = (),
        info: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, links=links, info=info)
        self.code = str(code) if type(code) is int else None if code is None else _text(code, "code")


class RetryableFailed(Failed):
    """The job has failed, and another one may succeed: Flyte runs the task again if it has retries left."""

    phase = "RETRYABLE_FAILED"


Ended = Succeeded | Failed | RetryableFailed


def answer(status: Status) -> dict[str, Any]:
    """``status`` as the bridge reads it. Raises ValueError or TypeError for values that are not JSON."""
    return {
        "phase": status.phase,
        "job_state": status.job_state,
        "message": status.message,
        "error_code": status.code,
        "outputs": _encoded(status.outputs, "output"),
        "log_links": [{"name": link.name, "uri": link.uri} for link in status.links],
        "custom_info": _encoded(status.info, "info"),
    }


def _encoded(values: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {name: plain(value, f"{kind} {name}") for name, value in values.items()}


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected str, not {type(value).__name__}")
    return value


def _links(values: Iterable[Link]) -> tuple[Link, ...]:
    if isinstance(values, (Link, str)) or not isinstance(values, Iterable):
        raise TypeError(f"links: expected a list of Link, not {type(values).__name__}")
    links = tuple(values)
    for index, link in enumerate(links):
        if not isinstance(link, Link):
            raise TypeError(f"links[{index}]: expected Link, not {type(link).__name__}")
    return links


def _checked(values: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """``values`` as they are, so that tests can compare them; an error points at the author's line."""
    if not isinstance(values, Mapping):
        raise TypeError(f"{kind}: expected a dict, not {type(values).__name__}")
    _encoded(values, kind)
    return dict(values)
