"""What a workflow's author sets."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class SageMakerConfig:
    """The fields of the task's `custom` that the service reads.

    Attributes:
        command: The command and its arguments.
        queue: The queue to run in; by default the service's.
    """

    command: list[str]
    queue: str | None = None

    # Flyte 2 itself reads the fields `secrets` and `configs` of a task's custom: call none of yours so.
    def custom(self) -> dict[str, Any]:
        """The fields that are set: the service has defaults for the others."""
        return {name: value for name, value in asdict(self).items() if value is not None}
