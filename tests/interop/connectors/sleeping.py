"""A connector of flytekit whose job takes as many polls as its task says."""

from dataclasses import dataclass

import journal
from flyteidl.core.execution_pb2 import TaskExecution, TaskLog
from flytekit import StructuredDataset
from flytekit.extend.backend.base_connector import AsyncConnectorBase, ConnectorRegistry, Resource, ResourceMeta


@dataclass
class Sleep(ResourceMeta):
    job: str
    polls: int
    text: str


class SleepingConnector(AsyncConnectorBase):
    name = "Sleeping Connector"

    def __init__(self, task_type="sleeping", metadata_type=Sleep):
        super().__init__(task_type_name=task_type, metadata_type=metadata_type)

    async def create(self, task_template, inputs=None, **kwargs):
        job = task_template.custom["job"]
        journal.note("create", job)
        text = inputs.literals["text"].scalar.primitive.string_value
        return self.metadata_type(job=job, polls=int(task_template.custom["polls"]), text=text)

    # Not async: flytekit runs such methods in threads.
    def get(self, resource_meta, **kwargs):
        job = resource_meta.job
        journal.note("get", job)
        link = TaskLog(name="Console", uri=f"https://vendor.example.com/jobs/{job}")
        if journal.count("delete", job):
            return Resource(phase=TaskExecution.ABORTED, log_links=[link])
        if journal.count("get", job) <= resource_meta.polls:
            return Resource(phase=TaskExecution.INITIALIZING, message="asleep", log_links=[link])
        outputs = {
            "results": StructuredDataset(uri="bq://project:dataset.table"),
            "seconds": 3.0,
            "text": resource_meta.text.upper(),
            "details": {"naps": 2, "dreams": None},
        }
        info = {"naps": 2, "bed": {"name": "größer"}}
        return Resource(TaskExecution.SUCCEEDED, "awake", [link], outputs, info)

    async def delete(self, resource_meta, **kwargs):
        journal.note("delete", resource_meta.job)


ConnectorRegistry.register(SleepingConnector())
