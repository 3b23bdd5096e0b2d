"""The task for flytekit (Flyte 1)."""

from __future__ import annotations

from typing import Any

from flytekit.configuration import SerializationSettings
from flytekit.core.base_task import PythonTask
from flytekit.core.interface import Interface
from flytekit.extend.backend.base_connector import AsyncConnectorExecutorMixin

from .config import SageMakerConfig
from .task_types import version_of

__all__ = ["SageMakerConfig", "SageMakerTask"]


class SageMakerTask(AsyncConnectorExecutorMixin, PythonTask):
    """A job of SageMaker.

    It has no image: Flyte calls the service that has its type.
    """

    def __init__(
        self,
        name: str,
        task_config: SageMakerConfig,
        inputs: dict[str, Any] | None = None,
        outputs: dict[str, Any] | None = None,
        task_type: str = "sagemaker-training-job",
        **kwargs: Any,
    ) -> None:
        """Declares a task.

        Args:
            name: Unique in the project.
            task_config: What the service reads from the task's `custom`.
            inputs: The types of the task's inputs by name.
            outputs: The types of its outputs by name; the service must return each of them.
            task_type: One of the service's task types.
            kwargs: What all of flytekit's tasks take, such as `metadata=TaskMetadata(retries=2)`.
        """
        super().__init__(
            task_type=task_type,
            name=name,
            task_config=task_config,
            interface=Interface(inputs, outputs),
            task_type_version=version_of(task_type),
            **kwargs,
        )

    def get_custom(self, settings: SerializationSettings) -> dict[str, Any]:
        custom: dict[str, Any] = self.task_config.custom()
        return custom
