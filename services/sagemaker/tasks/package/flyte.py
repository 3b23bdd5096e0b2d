"""The task for Flyte 2."""

from __future__ import annotations

import hashlib
import inspect
import json
from dataclasses import InitVar, dataclass, field, replace
from typing import Any

from flyte import Cache
from flyte.connectors import AsyncConnectorExecutorMixin
from flyte.extend import TaskTemplate
from flyte.models import NativeInterface, SerializationContext

from .config import OUTPUTS, SageMakerConfig, check_requests_type
from .task_types import version_of

__all__ = ["SageMakerConfig", "SageMakerTask"]


@dataclass(kw_only=True, eq=False)
class SageMakerTask(AsyncConnectorExecutorMixin, TaskTemplate[..., Any, Any]):
    """A job or an endpoint of SageMaker, whose output is `result`.

    It has no image: Flyte calls the service that has its type. It is a dataclass because `override` copies a task
    field by field.

    Attributes:
        name: Unique in the project.
        plugin_config: What the service reads from the task's `custom`.
        inputs: The types of the task's inputs by name.
        task_type: One of the service's task types: a job of another kind, or an endpoint.
    """

    plugin_config: SageMakerConfig
    inputs: InitVar[dict[str, Any] | None] = None
    task_type: str = "sagemaker-training-job"
    interface: NativeInterface = field(default_factory=lambda: NativeInterface({}, {}))
    image: None = None

    def __post_init__(self, inputs: dict[str, Any] | None) -> None:
        if not self.interface.outputs:
            # Otherwise `override` copies the task, and its interface.
            required = {name: (type_, inspect.Parameter.empty) for name, type_ in (inputs or {}).items()}
            self.interface = NativeInterface(required, OUTPUTS)
        check_requests_type(self.task_type)
        self.task_type_version = version_of(self.task_type)
        super().__post_init__()
        if isinstance(self.cache, Cache) and self.cache.behavior == "auto":
            # Flyte derives the version of a cached result from the task's function, and this task has none.
            self.cache = replace(self.cache, behavior="override", version_override=self._version(self.cache.salt))

    def _version(self, salt: str) -> str:
        what = json.dumps([salt, self.task_type, self.plugin_config.custom()], sort_keys=True)
        return hashlib.sha256(what.encode()).hexdigest()

    def custom_config(self, sctx: SerializationContext) -> dict[str, Any]:
        return self.plugin_config.custom()
