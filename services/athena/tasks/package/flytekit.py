"""The task for flytekit (Flyte 1)."""

from __future__ import annotations

import contextlib
from typing import Any

from flytekit.configuration import SerializationSettings
from flytekit.core.base_task import PythonTask
from flytekit.core.interface import Interface
from flytekit.extend.backend.base_connector import AsyncConnectorExecutorMixin
from flytekit.models.task import Sql

from .config import AthenaConfig, CreateTable, Encryption, Engine, Parameter, Unload
from .task_types import version_of

# Without pandas, nobody reads tables.
with contextlib.suppress(ImportError):
    from . import decoder  # noqa: F401

__all__ = ["AthenaConfig", "AthenaTask", "CreateTable", "Encryption", "Engine", "Parameter", "Unload"]


class AthenaTask(AsyncConnectorExecutorMixin, PythonTask):
    """A query of Athena.

    It has no image: Flyte calls the service that has its type.
    """

    def __init__(
        self,
        name: str,
        query_template: str,
        task_config: AthenaConfig | None = None,
        inputs: dict[str, Any] | None = None,
        output_type: type | None = None,
        task_type: str = "athena",
        **kwargs: Any,
    ) -> None:
        """Declares a task.

        Args:
            name: Unique in the project.
            query_template: One statement, sent as it is. `{{ .inputs.x }}` is the value of an input as a literal.
            task_config: What the service reads from the task's `custom`.
            inputs: The types of the task's inputs by name.
            output_type: The type of the output `results`: StructuredDataset, FlyteSchema or FlyteFile.
            task_type: The service's task type with this `custom`.
            kwargs: What all of flytekit's tasks take, such as `metadata=TaskMetadata(retries=2)`.
        """
        super().__init__(
            task_type=task_type,
            name=name,
            task_config=task_config or AthenaConfig(),
            interface=Interface(inputs, {"results": output_type} if output_type else None),
            task_type_version=version_of(task_type),
            **kwargs,
        )
        self.query_template = query_template

    def get_custom(self, settings: SerializationSettings) -> dict[str, Any]:
        custom: dict[str, Any] = self.task_config.custom()
        return custom

    def get_sql(self, settings: SerializationSettings) -> Sql:
        return Sql(statement=self.query_template, dialect=Sql.Dialect.ANSI)
