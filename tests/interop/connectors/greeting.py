"""A connector of flytekit that answers within the call."""

import journal
from failing import ask_vendor
from flyteidl.core.execution_pb2 import TaskExecution
from flytekit.extend.backend.base_connector import ConnectorRegistry, Resource, SyncConnectorBase


class GreetingConnector(SyncConnectorBase):
    name = "Greeting Connector"

    def __init__(self):
        super().__init__(task_type_name="greeting")

    def do(self, task_template, inputs=None, **kwargs):
        journal.note("do", task_template.custom["job"])
        if "token" in task_template.custom:
            ask_vendor(task_template.custom["token"])
        name = inputs.literals["text"].scalar.primitive.string_value
        outputs = {"greeting": f"Hello, {name}!", "letters": len(name)}
        return Resource(phase=TaskExecution.SUCCEEDED, message="greeted", outputs=outputs)


ConnectorRegistry.register(GreetingConnector())
