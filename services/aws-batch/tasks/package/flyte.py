"""The task for Flyte 2: a function whose container is a job of AWS Batch.

Functions of an environment with `plugin_config=AwsBatchConfig(...)` are such tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flyte.connectors import AsyncConnectorExecutorMixin
from flyte.extend import AsyncFunctionTaskTemplate, TaskPluginRegistry
from flyte.models import SerializationContext

from .config import AwsBatchConfig
from .task_types import TASK_TYPES, version_of

__all__ = ["AwsBatchConfig", "AwsBatchFunctionTask"]

(TASK_TYPE,) = TASK_TYPES


@dataclass(kw_only=True)
class AwsBatchFunctionTask(AsyncConnectorExecutorMixin, AsyncFunctionTaskTemplate[..., Any, Any]):
    """A function as a job of AWS Batch. Its image, its resources and its command are the job's."""

    plugin_config: AwsBatchConfig
    task_type: str = TASK_TYPE

    def __post_init__(self) -> None:
        super().__post_init__()
        self.task_type_version = version_of(self.task_type)

    def custom_config(self, sctx: SerializationContext) -> dict[str, Any]:
        return self.plugin_config.custom()


TaskPluginRegistry.register(AwsBatchConfig, AwsBatchFunctionTask)
