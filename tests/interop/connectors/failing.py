"""A connector of flytekit that raises an exception in the call that its task names."""

from dataclasses import dataclass

import journal
from flyteidl.core.execution_pb2 import TaskExecution
from flytekit.extend.backend.base_connector import AsyncConnectorBase, ConnectorRegistry, Resource, ResourceMeta


def ask_vendor(token):
    try:
        # In the traceback, and not in its last line.
        raise PermissionError(f"the token {token} has expired")
    except PermissionError as error:
        raise ConnectionError("the vendor does not answer") from error


@dataclass
class Failure(ResourceMeta):
    job: str
    fails: str
    token: str


class FailingConnector(AsyncConnectorBase):
    name = "Failing Connector"

    def __init__(self):
        super().__init__(task_type_name="failing", metadata_type=Failure)

    def create(self, task_template, **kwargs):
        failure = Failure(**task_template.custom)
        journal.note("create", failure.job)
        if failure.fails == "create":
            ask_vendor(failure.token)
        return failure

    def get(self, resource_meta, **kwargs):
        journal.note("get", resource_meta.job)
        # The first poll succeeds.
        if resource_meta.fails == "get" and journal.count("get", resource_meta.job) > 1:
            ask_vendor(resource_meta.token)
        return Resource(phase=TaskExecution.INITIALIZING, message="about to fail")

    def delete(self, resource_meta, **kwargs):
        journal.note("delete", resource_meta.job)
        if resource_meta.fails == "delete":
            ask_vendor(resource_meta.token)


ConnectorRegistry.register(FailingConnector())
