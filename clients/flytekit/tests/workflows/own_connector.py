"""A task type whose connector runs in the caller's process, flytekit's default."""

from dataclasses import dataclass

from flyteidl.core.execution_pb2 import TaskExecution
from flytekit import kwtypes
from flytekit.core.base_task import PythonTask
from flytekit.core.interface import Interface
from flytekit.extend.backend.base_connector import (
    AsyncConnectorBase,
    AsyncConnectorExecutorMixin,
    ConnectorRegistry,
    Resource,
    ResourceMeta,
)


@dataclass
class Greeted(ResourceMeta):
    name: str


class Greeter(AsyncConnectorBase):
    name = "Greeter"

    def __init__(self):
        super().__init__(task_type_name="greeting", metadata_type=Greeted)

    def create(self, task_template, inputs, **kwargs):
        return Greeted(inputs.literals["name"].scalar.primitive.string_value)

    def get(self, resource_meta, **kwargs):
        outputs = {"words": f"hello {resource_meta.name}, in this process"}
        return Resource(phase=TaskExecution.SUCCEEDED, outputs=outputs)

    def delete(self, resource_meta, **kwargs):
        pass


ConnectorRegistry.register(Greeter())


class Greeting(AsyncConnectorExecutorMixin, PythonTask):
    def __init__(self, name):
        super().__init__("greeting", name, interface=Interface(kwtypes(name=str), kwtypes(words=str)))


greeting = Greeting("greeting")
