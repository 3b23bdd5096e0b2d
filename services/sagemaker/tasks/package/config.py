"""What a workflow's author sets."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

# What every task returns: the members of AWS's description that flytekit's tasks have, such as `TrainingJobArn`.
OUTPUTS: dict[str, Any] = {"result": dict}


@dataclass(frozen=True, kw_only=True)
class SageMakerConfig:
    """The fields of the task's `custom` that the service reads.

    Attributes:
        config: The request of the API's create, for example of `CreateTrainingJob`, in which `{inputs.x}`, `{images.x}`
            and `{idempotence_token}` are replaced.
        region: The region; by default the service's.
        images: Images for `{images.x}`.
        role: The ARN of the role to call AWS as.
    """

    config: dict[str, Any]
    region: str | None = None
    images: dict[str, str] | None = None
    role: str | None = None

    # Flyte 2 itself reads the fields `secrets` and `configs` of a task's custom: call none of yours so.
    def custom(self) -> dict[str, Any]:
        """The fields that are set: the service has defaults for the others."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def check_requests_type(task_type: str) -> None:
    """Refuses the types of tasks that run a function: flytekit's own `SageMakerTraining` and `SageMakerProcessing`."""
    if task_type.endswith("-task"):
        raise ValueError(f"task_type={task_type!r} runs a function, which this task does not have")
