"""The same connectors with Flyte 2's SDK, which has none that answer within the call."""

from dataclasses import dataclass

import journal
from flyte.connectors import AsyncConnector, ConnectorRegistry, Resource, ResourceMeta
from flyte.io import DataFrame
from flyteidl2.core.execution_pb2 import TaskExecution, TaskLog
from google.protobuf import json_format


@dataclass
class Sleep(ResourceMeta):
    job: str
    polls: int
    text: str


class SleepingConnector(AsyncConnector[Sleep]):
    name = "Sleeping Connector"
    task_type_name = "sleeping"
    metadata_type = Sleep

    async def create(self, task_template, inputs=None, **kwargs):
        custom = json_format.MessageToDict(task_template.custom)
        journal.note("create", custom["job"])
        return Sleep(job=custom["job"], polls=int(custom["polls"]), text=inputs["text"])

    async def get(self, resource_meta, **kwargs):
        job = resource_meta.job
        journal.note("get", job)
        link = TaskLog(name="Console", uri=f"https://vendor.example.com/jobs/{job}")
        if journal.count("delete", job):
            return Resource(phase=TaskExecution.ABORTED, log_links=[link])
        if journal.count("get", job) <= resource_meta.polls:
            return Resource(phase=TaskExecution.INITIALIZING, message="asleep", log_links=[link])
        outputs = {
            "results": DataFrame(uri="bq://project:dataset.table"),
            "seconds": 3.0,
            "text": resource_meta.text.upper(),
            "details": {"naps": 2, "dreams": None},
        }
        info = {"naps": 2, "bed": {"name": "größer"}}
        return Resource(TaskExecution.SUCCEEDED, "awake", [link], outputs, info)

    async def delete(self, resource_meta, **kwargs):
        journal.note("delete", resource_meta.job)


@dataclass
class Account(ResourceMeta):
    job: str


class ConnectedConnector(AsyncConnector[Account]):
    """Notes the connection that each call came with."""

    name = "Connected Connector"
    task_type_name = "connected"
    metadata_type = Account

    async def create(self, task_template, inputs=None, token=None, region=None, **kwargs):
        job = json_format.MessageToDict(task_template.custom)["job"]
        journal.note(f"create as {token} in {region}", job)
        return Account(job=job)

    async def get(self, resource_meta, token=None, region=None, **kwargs):
        journal.note(f"get as {token} in {region}", resource_meta.job)
        return Resource(phase=TaskExecution.RUNNING)

    async def delete(self, resource_meta, token=None, region=None, **kwargs):
        journal.note(f"delete as {token} in {region}", resource_meta.job)


class FailingConnector(AsyncConnector[Account]):
    name = "Failing Connector"
    task_type_name = "failing"
    metadata_type = Account

    async def create(self, task_template, inputs=None, **kwargs):
        raise ConnectionError("the vendor does not answer")

    async def get(self, resource_meta, **kwargs):
        raise NotImplementedError

    async def delete(self, resource_meta, **kwargs):
        raise NotImplementedError


for connector in (SleepingConnector(), ConnectedConnector(), FailingConnector()):
    ConnectorRegistry.register(connector)
