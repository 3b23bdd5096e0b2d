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
from flyteidl2.core.tasks_pb2 import Sql

from .config import AthenaConfig, CreateTable, Encryption, Engine, Parameter, Unload
from .task_types import version_of

__all__ = ["AthenaConfig", "AthenaTask", "CreateTable", "Encryption", "Engine", "Parameter", "Unload"]


@dataclass(kw_only=True, eq=False)
class AthenaTask(AsyncConnectorExecutorMixin, TaskTemplate[..., Any, Any]):
    """A query of Athena.

    It has no image: Flyte calls the service that has its type. It is a dataclass because `override` copies a task
    field by field.

    Attributes:
        name: Unique in the project.
        query_template: One statement, sent as it is. `{{ .inputs.x }}` is the value of an input as a literal.
        plugin_config: What the service reads from the task's `custom`.
        inputs: The types of the task's inputs by name.
        output_type: The type of the output `results`: a DataFrame or a File.
        task_type: The service's task type with this `custom`.
    """

    query_template: str
    plugin_config: AthenaConfig = field(default_factory=AthenaConfig)
    inputs: InitVar[dict[str, Any] | None] = None
    output_type: InitVar[type | None] = None
    task_type: str = "athena"
    interface: NativeInterface = field(default_factory=lambda: NativeInterface({}, {}))
    image: None = None

    def __post_init__(self, inputs: dict[str, Any] | None, output_type: type | None) -> None:
        if inputs or output_type:
            required = {name: (type_, inspect.Parameter.empty) for name, type_ in (inputs or {}).items()}
            self.interface = NativeInterface(required, {"results": output_type} if output_type else {})
        self.task_type_version = version_of(self.task_type)
        super().__post_init__()
        if isinstance(self.cache, Cache) and self.cache.behavior == "auto":
            # Flyte derives the version of a cached result from the task's function, and this task has none.
            self.cache = replace(self.cache, behavior="override", version_override=self._version(self.cache.salt))

    def _version(self, salt: str) -> str:
        what = json.dumps([salt, self.task_type, self.query_template, self.plugin_config.custom()], sort_keys=True)
        return hashlib.sha256(what.encode()).hexdigest()

    def custom_config(self, sctx: SerializationContext) -> dict[str, Any]:
        return self.plugin_config.custom()

    def sql(self, sctx: SerializationContext) -> Sql:
        return Sql(statement=self.query_template, dialect=Sql.Dialect.ANSI)
