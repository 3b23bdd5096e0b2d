"""What a workflow's author sets."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

# The keys of `custom`, which are those of flytekit's `AWSBatchConfig` and the service's own.
KEYS = {
    "parameters": "parameters",
    "scheduling_priority": "schedulingPriority",
    "platform_capabilities": "platformCapabilities",
    "propagate_tags": "propagateTags",
    "tags": "tags",
    "job_queue": "jobQueue",
    "share_identifier": "shareIdentifier",
    "region": "region",
    "role": "role",
    "job_role": "jobRole",
}


@dataclass(frozen=True, kw_only=True)
class AwsBatchConfig:
    """The fields of the task's `custom` that the service reads.

    Attributes:
        parameters: Parameters of the job definition.
        scheduling_priority: The priority in a queue with a fair-share policy, from 0 to 9999.
        platform_capabilities: `EC2` or `FARGATE`; by default EC2.
        propagate_tags: Whether the job's tags are those of its ECS task, too.
        tags: Tags of the job.
        job_queue: The job queue; by default the service's.
        share_identifier: The share in a queue with a fair-share policy.
        region: The region; by default the service's.
        role: The ARN of the role to call AWS as.
        job_role: The ARN of the role that the container has; by default the service's.
    """

    parameters: dict[str, str] | None = None
    scheduling_priority: int | None = None
    platform_capabilities: str | None = None
    propagate_tags: bool | None = None
    tags: dict[str, str] | None = None
    job_queue: str | None = None
    share_identifier: str | None = None
    region: str | None = None
    role: str | None = None
    job_role: str | None = None

    # Flyte 2 itself reads the fields `secrets` and `configs` of a task's custom: call none of yours so.
    def custom(self) -> dict[str, Any]:
        """The fields that are set: the service has defaults for the others."""
        return {KEYS[name]: value for name, value in asdict(self).items() if value is not None}
