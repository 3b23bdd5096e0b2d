"""Flyte's published stub executes sync tasks, in the same ways as Flyte's propellers."""

import threading

import grpc
import pytest
from flyteidl.admin import agent_pb2
from flyteidl.core import execution_pb2, literals_pb2, tasks_pb2
from flyteidl.service import agent_pb2_grpc
from google.protobuf import json_format

PHASE = execution_pb2.TaskExecution.Phase


def header(task_type="echo", **custom):
    template = tasks_pb2.TaskTemplate(type=task_type)
    template.custom.update(custom)
    head = agent_pb2.CreateRequestHeader(
        template=template, output_prefix="s3://interop/sync", max_dataset_size_bytes=1
    )
    return agent_pb2.ExecuteTaskSyncRequest(header=head)


def inputs(*names):
    literal = json_format.ParseDict({"scalar": {"primitive": {"integer": "1"}}}, literals_pb2.Literal())
    return agent_pb2.ExecuteTaskSyncRequest(inputs=literals_pb2.LiteralMap(literals=dict.fromkeys(names, literal)))


def execute(service, messages):
    with service.channel() as channel:
        stub = agent_pb2_grpc.SyncAgentServiceStub(channel)
        answer = stub.ExecuteTaskSync(messages, metadata=service.metadata(), timeout=10)
        first = next(answer)
        assert first.WhichOneof("res") == "header"
        return first.header.resource


def test_header_and_inputs(sync_service):
    resource = execute(sync_service, iter([header(text="hi"), inputs("a", "b")]))
    assert resource.phase == PHASE.SUCCEEDED
    assert resource.state == agent_pb2.SUCCEEDED, "for propellers that do not read the phase"
    assert resource.outputs.literals["text"].scalar.primitive.string_value == "hi"
    assert resource.custom_info["inputs"] == 2


def test_stream_that_ends_after_the_answer(sync_service):
    answered = threading.Event()

    def messages():
        yield header(text="hi")
        yield inputs()
        answered.wait(10)

    resource = execute(sync_service, messages())
    assert not answered.is_set()
    answered.set()
    assert resource.phase == PHASE.SUCCEEDED


def test_refusal_is_failed_task_with_code(sync_service):
    resource = execute(sync_service, iter([header(text="hi", refuse="not today"), inputs()]))
    assert resource.phase == PHASE.FAILED
    assert resource.message == "REFUSED: not today"
    assert resource.agent_error.code == "REFUSED"


def test_discovery(sync_service):
    with sync_service.channel() as channel:
        stub = agent_pb2_grpc.AgentMetadataServiceStub(channel)
        (agent,) = stub.ListAgents(agent_pb2.ListAgentsRequest(), metadata=sync_service.metadata()).agents
    assert agent.is_sync
    assert [(one.name, one.version) for one in agent.supported_task_categories] == [("echo", 0)]


def test_jobs_are_not_executed(service):
    with pytest.raises(grpc.RpcError) as refused:
        execute(service, iter([header(task_type="bigquery_query_job_task"), inputs()]))
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND
    assert "runs as a job" in refused.value.details()


def test_rest(sync_service):
    body = {"custom": {"text": "hi"}}
    status, answer = sync_service.rest("POST", "/plugins/v1/echo/0", body)
    assert (status, answer["job_state"]) == (200, "succeed")
    outputs = json_format.ParseDict(answer["outputs"], literals_pb2.LiteralMap())
    assert outputs.literals["text"].scalar.primitive.string_value == "hi"
    status, problem = sync_service.rest("PUT", "/plugins/v1/echo/0", body)
    assert (status, problem["error_code"]) == (404, "NOT_FOUND")
