"""Task types whose connectors run in the caller's process, flytekit's default."""

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
    SyncConnectorBase,
    SyncConnectorExecutorMixin,
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


class GreeterAtOnce(SyncConnectorBase):
    name = "Greeter at once"

    def __init__(self):
        super().__init__(task_type_name="greeting_at_once")

    def do(self, task_template, inputs, **kwargs):
        name = inputs.literals["name"].scalar.primitive.string_value
        return Resource(phase=TaskExecution.SUCCEEDED, outputs={"words": f"hello {name}, in this process"})


ConnectorRegistry.register(Greeter())
ConnectorRegistry.register(GreeterAtOnce())


class Greeting(AsyncConnectorExecutorMixin, PythonTask):
    def __init__(self, name):
        super().__init__("greeting", name, interface=Interface(kwtypes(name=str), kwtypes(words=str)))


class GreetingAtOnce(SyncConnectorExecutorMixin, PythonTask):
    def __init__(self, name):
        super().__init__("greeting_at_once", name, interface=Interface(kwtypes(name=str), kwtypes(words=str)))


greeting = Greeting("greeting")
greeting_at_once = GreetingAtOnce("greeting_at_once")
