"""Like own_connector.py, for Flyte 2."""

from dataclasses import dataclass

import flyte
from flyte.connectors import AsyncConnector, AsyncConnectorExecutorMixin, ConnectorRegistry, Resource, ResourceMeta
from flyte.extend import TaskTemplate
from flyte.models import NativeInterface
from flyteidl2.core.execution_pb2 import TaskExecution


@dataclass
class Greeted(ResourceMeta):
    name: str


class Greeter(AsyncConnector):
    name = "Greeter"
    task_type_name = "greeting"
    metadata_type = Greeted

    async def create(self, task_template, output_prefix, inputs=None, **kwargs):
        return Greeted(inputs["name"])

    async def get(self, resource_meta, **kwargs):
        outputs = {"words": f"hello {resource_meta.name}, in this process"}
        return Resource(phase=TaskExecution.SUCCEEDED, outputs=outputs)

    async def delete(self, resource_meta, **kwargs):
        pass


ConnectorRegistry.register(Greeter())


class Greeting(AsyncConnectorExecutorMixin, TaskTemplate):
    def __init__(self, name):
        interface = NativeInterface({"name": (str, None)}, {"words": str})
        super().__init__(name=name, interface=interface, task_type="greeting", image=None)


greeting = Greeting("greeting")
here = flyte.TaskEnvironment(name="here", depends_on=[flyte.TaskEnvironment.from_task("greetings", greeting)])


@here.task
async def greet(name: str) -> str:
    words = await greeting(name=name)
    return words[0] if isinstance(words, tuple) else words
