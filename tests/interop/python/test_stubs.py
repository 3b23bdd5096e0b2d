"""Flyte's published stubs call the service: create, get and delete, with golden requests."""

import json

import grpc
import pytest
from flyteidl.admin import agent_pb2
from flyteidl.core import execution_pb2
from flyteidl.service import agent_pb2_grpc
from flyteidl2.connector import connector_pb2, service_pb2_grpc
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc

from conftest import GOLDEN, polls

PHASE = execution_pb2.TaskExecution.Phase
# The service refuses these; the Rust tests check the error messages.
REFUSED = {"bq_empty_sql", "bq_multiline_sql", "bq_no_sql_target", "bq_secret", "bq_newer_version"}


def golden(version):
    names = sorted(path.stem for path in (GOLDEN / version).glob("bq_*.pb"))
    assert names
    return [name for name in names if name not in REFUSED]


def poll(get):
    """Polls until the job ends, as propeller does. Returns all phases."""
    phases = []
    for answer in polls(get):
        resource = answer.resource
        assert resource.phase != PHASE.UNDEFINED
        phases.append(PHASE.Name(resource.phase))
        if resource.phase == PHASE.SUCCEEDED:
            return phases, resource
        assert resource.phase in (PHASE.QUEUED, PHASE.RUNNING), resource
    raise AssertionError(f"never ended: {phases}")


@pytest.mark.parametrize("name", golden("v1"))
def test_flyte_1(service, name):
    request = agent_pb2.CreateTaskRequest.FromString((GOLDEN / "v1" / f"{name}.pb").read_bytes())
    request.output_prefix = f"s3://interop/v1/{name}"
    metadata = service.metadata()
    with service.channel() as channel:
        stub = agent_pb2_grpc.AsyncAgentServiceStub(channel)
        handle = stub.CreateTask(request, metadata=metadata).resource_meta
        assert 0 < len(handle) <= 1024
        category = agent_pb2.TaskCategory(name=request.template.type, version=0)
        get = agent_pb2.GetTaskRequest(
            task_type=request.template.type,
            task_category=category,
            resource_meta=handle,
            output_prefix=request.output_prefix,
        )
        phases, resource = poll(lambda: stub.GetTask(get, metadata=metadata))
        assert phases[:2] == ["QUEUED", "RUNNING"]
        assert resource.state == agent_pb2.SUCCEEDED, "for propellers before 1.11"
        assert resource.log_links[0].name == "BigQuery Console"
        assert resource.custom_info["project"]
        if request.template.sql.statement.startswith("SELECT"):
            results = resource.outputs.literals["results"].scalar.structured_dataset
            assert results.uri.startswith("bq://")
        delete = agent_pb2.DeleteTaskRequest(
            task_type=request.template.type, task_category=category, resource_meta=handle
        )
        stub.DeleteTask(delete, metadata=metadata)


@pytest.mark.parametrize("name", golden("v2"))
def test_flyte_2(service, name):
    request = connector_pb2.CreateTaskRequest.FromString((GOLDEN / "v2" / f"{name}.pb").read_bytes())
    request.output_prefix = f"s3://interop/v2/{name}"
    metadata = service.metadata()
    with service.channel() as channel:
        stub = service_pb2_grpc.AsyncConnectorServiceStub(channel)
        handle = stub.CreateTask(request, metadata=metadata).resource_meta
        category = connector_pb2.TaskCategory(name=request.template.type, version=0)
        get = connector_pb2.GetTaskRequest(
            task_category=category, resource_meta=handle, connection=request.connection
        )
        phases, resource = poll(lambda: stub.GetTask(get, metadata=metadata))
        assert phases[:2] == ["QUEUED", "RUNNING"]
        assert resource.log_links[0].ready
        results = {named.name: named.value for named in resource.outputs.literals}["results"]
        assert results.scalar.structured_dataset.uri.startswith("bq://")
        delete = connector_pb2.DeleteTaskRequest(
            task_category=category, resource_meta=handle, connection=request.connection
        )
        stub.DeleteTask(delete, metadata=metadata)


def test_discovery(service):
    metadata = service.metadata()
    with service.channel() as channel:
        agents = agent_pb2_grpc.AgentMetadataServiceStub(channel)
        (agent,) = agents.ListAgents(agent_pb2.ListAgentsRequest(), metadata=metadata).agents
        assert list(agent.supported_task_types) == ["bigquery_query_job_task"]
        assert not agent.is_sync
        connectors = service_pb2_grpc.ConnectorMetadataServiceStub(channel)
        listed = connectors.ListConnectors(connector_pb2.ListConnectorsRequest(), metadata=metadata)
        (connector,) = listed.connectors
        for one in (agent, connector):
            (category,) = one.supported_task_categories
            assert (category.name, category.version) == ("bigquery_query_job_task", 0)
            assert one.name == "bigquery"


def test_without_a_token(service):
    with service.channel() as channel:
        for call in (
            lambda: agent_pb2_grpc.AsyncAgentServiceStub(channel).CreateTask(agent_pb2.CreateTaskRequest()),
            lambda: agent_pb2_grpc.AgentMetadataServiceStub(channel).ListAgents(agent_pb2.ListAgentsRequest()),
            lambda: service_pb2_grpc.AsyncConnectorServiceStub(channel).GetTask(connector_pb2.GetTaskRequest()),
        ):
            with pytest.raises(grpc.RpcError) as refused:
                call()
            assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", "flyteidl.service.AsyncAgentService", "flyteidl2.connector.AsyncConnectorService"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING, name
    status, problem = service.rest("PUT", "/plugins/v1/bigquery_query_job_task/0", {}, token=False)
    assert (status, problem["error_code"]) == (401, "UNAUTHENTICATED")


def test_unreadable_handle(service):
    metadata = service.metadata()
    with service.channel() as channel:
        stub = agent_pb2_grpc.AsyncAgentServiceStub(channel)
        resource = stub.GetTask(agent_pb2.GetTaskRequest(resource_meta=b"{}"), metadata=metadata).resource
        assert resource.phase == PHASE.FAILED
        assert "handle cannot be read" in resource.message
        stub.DeleteTask(agent_pb2.DeleteTaskRequest(resource_meta=b"{}"), metadata=metadata)
    status, problem = service.rest("GET", "/plugins/v1/bigquery_query_job_task/0?job_id=e30")
    assert (status, problem["error_code"]) == (400, "UNREADABLE_HANDLE")


def test_rest_outputs_are_proto_json(service):
    body = json.loads((GOLDEN / "v1" / "bq_output_columns.json").read_text())
    body["output_prefix"] = "s3://interop/rest"
    path = "/plugins/v1/bigquery_query_job_task/0"
    status, created = service.rest("PUT", path, body)
    assert status == 200, created
    for status, seen in polls(lambda: service.rest("GET", f"{path}?job_id={created['job_id']}")):
        assert status == 200
        if seen["job_state"] != "running":
            break
    assert seen["job_state"] == "succeed"
    from flyteidl.core import literals_pb2

    outputs = json_format.ParseDict(seen["outputs"], literals_pb2.LiteralMap())
    assert outputs.literals["results"].scalar.structured_dataset.uri.startswith("bq://")
    assert service.rest("DELETE", f"{path}?job_id={created['job_id']}")[0] == 200
