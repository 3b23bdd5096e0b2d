"""`outrigger serve --connectors`: with flytekit where it is installed, and without."""

import importlib.util
import os
import sys

import pytest

from conftest import TIMEOUT
from program import Outrigger, environment, run

LAUNCHER = [sys.executable, "-m", "outrigger_plugin.connectors", "--socket", "/tmp/absent/x.sock"]
has_flytekit = importlib.util.find_spec("flytekit") is not None
needs_flytekit = pytest.mark.skipif(not has_flytekit, reason="flytekit is not installed")

MY_CONNECTORS = """
from dataclasses import dataclass
from flyteidl.core.execution_pb2 import TaskExecution
from flytekit.extend.backend.base_connector import *

@dataclass
class Meta(ResourceMeta):
    text: str

class Shouting(AsyncConnectorBase):
    name = "Shouting Connector"
    def __init__(self, version):
        super().__init__(metadata_type=Meta, task_type_name="shouting", task_type_version=version)
    async def create(self, task_template, inputs=None, **kwargs):
        return Meta(inputs.literals["text"].scalar.primitive.string_value[:5])
    def get(self, resource_meta, **kwargs):
        return Resource(phase=TaskExecution.SUCCEEDED, outputs={"o0": resource_meta.text.upper()})
    async def delete(self, resource_meta, **kwargs):
        pass

class Greeting(SyncConnectorBase):
    name = "Greeting Connector"
    def __init__(self):
        super().__init__(task_type_name="greeting")
    def do(self, task_template, inputs=None, **kwargs):
        return Resource(phase=TaskExecution.SUCCEEDED, outputs={"o0": "hello"})

for connector in (Shouting(0), Shouting(1), Greeting()):
    ConnectorRegistry.register(connector)
"""


@pytest.fixture
def outrigger(tmp_path):
    (tmp_path / "my_connectors.py").write_text(MY_CONNECTORS)
    return Outrigger(tmp_path)


@pytest.mark.skipif(has_flytekit, reason="flytekit is installed")
def test_missing_flytekit_is_an_error(outrigger):
    ended = outrigger.run("--connectors", "my_connectors", "--task-types", "a", "--insecure-no-auth")
    assert ended.returncode == 1
    first, second = ended.stderr.splitlines()
    install = "pip install 'flytekit[connector]>=1.16,<1.17'"
    assert first == f"outrigger: flytekit is not installed in {sys.executable}: {install}"
    assert second == "outrigger: the server of connectors ended with exit code 1"


def test_old_or_incomplete_flytekit_is_an_error(tmp_path):
    (tmp_path / "flytekit").mkdir()
    (tmp_path / "flytekit/__init__.py").write_text("")
    ended = launch(tmp_path, "a")
    assert ended.returncode == 1
    assert ended.stderr.startswith("outrigger: flytekit cannot serve connectors without flytekit.extend: pip install ")


def launch(directory, *arguments):
    path = os.pathsep.join([str(directory), environment()["PYTHONPATH"]])
    command = [*LAUNCHER, "--task-types", *arguments]
    return run(command, cwd=directory, env=environment(PYTHONPATH=path))


@needs_flytekit
@pytest.mark.parametrize(
    "arguments, expected",
    [
        (
            ["absent,shouting:2,shouting", "my_connectors"],
            "no connector is registered for absent, shouting:2; there are:",
        ),
        (["shouting", "my_conectors"], "no module 'my_conectors'"),
        (["shouting:one", "my_connectors"], "--task-types: expected NAME or NAME:VERSION, not 'shouting:one'"),
        (["shouting", "my_connectors"], "cannot listen on /tmp/absent/x.sock: "),
    ],
)
def test_what_cannot_be_served_is_an_error(outrigger, arguments, expected):
    ended = launch(outrigger.files, *arguments)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith(f"outrigger: {expected}")


@needs_flytekit
def test_connectors_are_served_and_no_others(outrigger):
    import grpc
    from flyteidl.admin import agent_pb2
    from flyteidl.service import agent_pb2_grpc

    types = ("--task-types", "shouting:1", "--sync-task-types", "greeting")
    with outrigger.serving("--connectors", "my_connectors", *types, "--insecure-no-auth") as process:
        assert process.lines[0].startswith("serving shouting:1, greeting on ")
        assert outrigger.arguments[2:6] == list(types) and "--protocol" not in outrigger.arguments
        channel = grpc.insecure_channel(f"unix:{outrigger.socket}")
        listed = agent_pb2_grpc.AgentMetadataServiceStub(channel).ListAgents(agent_pb2.ListAgentsRequest())
        categories = [[(it.name, it.version) for it in agent.supported_task_categories] for agent in listed.agents]
        assert sorted(categories) == [[("greeting", 0)], [("shouting", 1)]]
        jobs = agent_pb2_grpc.AsyncAgentServiceStub(channel)
        request = agent_pb2.CreateTaskRequest()
        request.template.type, request.template.task_type_version = "shouting", 1
        # Larger than gRPC's default limit.
        request.inputs.literals["text"].scalar.primitive.string_value = "a" * (5 << 20)
        assert jobs.CreateTask(request, timeout=TIMEOUT).resource_meta == b'{"text": "aaaaa"}'
        request.template.task_type_version = 0
        with pytest.raises(grpc.RpcError) as refused:
            jobs.CreateTask(request, timeout=TIMEOUT)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        channel.close()
