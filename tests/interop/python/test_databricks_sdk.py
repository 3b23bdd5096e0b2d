"""Databricks' own client against our fake Databricks, as an independent check of the fake."""

import json
import pathlib
import uuid

import pytest

import databricks.sdk as sdk
from conftest import fake_upstream
from databricks.sdk.errors import ResourceDoesNotExist, Unauthenticated
from databricks.sdk.service import compute, jobs

SNAPSHOTS = pathlib.Path(__file__).parents[2] / "it" / "databricks" / "snapshots"


@pytest.mark.parametrize("file", sorted(SNAPSHOTS.glob("*.snap")), ids=lambda file: file.stem.rsplit("__")[-1])
def test_sdk_types_know_every_field_of_requests(file):
    """The SDK's types know every field that the service sends for a golden request."""
    body = json.loads(file.read_text().split("---", 2)[2])
    assert body["tasks"] == [jobs.SubmitTask.from_dict(task).as_dict() for task in body["tasks"]]
    if "git_source" in body:
        assert body["git_source"] == jobs.GitSource.from_dict(body["git_source"]).as_dict()
    entries = body.get("environment_variables", [])
    assert entries == [jobs.JobEnvironmentVariables.from_dict(entry).as_dict() for entry in entries]
    for environment in body.get("environments", []):
        # The connector's field for variables, below version 5.
        environment["spec"].pop("environment_vars", None)
        assert environment == jobs.JobEnvironment.from_dict(environment).as_dict()


@pytest.fixture(scope="module")
def client():
    with fake_upstream("databricks", "--polls=2") as url:
        yield sdk.WorkspaceClient(host=url, token="dapi-of-the-sdk-0123456789", auth_type="pat")


def code(key="flyte_task"):
    return jobs.SubmitTask(
        task_key=key,
        new_cluster=compute.ClusterSpec(
            spark_version="15.4.x-scala2.12",
            node_type_id="m5.large",
            num_workers=1,
            docker_image=compute.DockerImage(url="ghcr.io/acme/etl:1"),
            spark_env_vars={"FLYTE_FAIL_ON_ERROR": "true"},
        ),
        spark_python_task=jobs.SparkPythonTask(
            python_file="entrypoint.py", parameters=["a", "b"], source=jobs.Source.GIT
        ),
        max_retries=1,
    )


GIT = jobs.GitSource(
    git_url="https://github.com/flyteorg/flytetools", git_provider=jobs.GitProvider.GIT_HUB, git_commit="0" * 40
)


def submit(client, *tasks, **fields):
    return client.jobs.submit(run_name="of the SDK", tasks=list(tasks), git_source=GIT, **fields).run_id


def poll_to_the_end(client, run_id):
    seen = []
    for _ in range(20):
        run = client.jobs.get_run(run_id)
        seen.append(run.state.life_cycle_state)
        if run.state.result_state:
            return run, seen
    raise AssertionError(f"never ends: {seen}")


def test_run_to_its_end(client):
    run_id = submit(client, code(), timeout_seconds=3600)
    run, seen = poll_to_the_end(client, run_id)
    state = jobs.RunLifeCycleState
    assert seen[0] == state.PENDING and state.RUNNING in seen
    assert run.state.result_state == jobs.RunResultState.SUCCESS
    assert run.status.termination_details.code == jobs.TerminationCodeCode.SUCCESS
    assert run.run_page_url.endswith(f"run/{run_id}")
    assert run.tasks[0].cluster_instance.cluster_id
    output = client.jobs.get_run_output(run.tasks[0].run_id)
    assert output.metadata.run_id == run_id


def test_notebook_and_serverless(client):
    task = jobs.SubmitTask(
        task_key="notebook",
        environment_key="default",
        environment_variables_key="flyte",
        notebook_task=jobs.NotebookTask(notebook_path="/Workspace/etl", base_parameters={"day": "2026-03-01"}),
    )
    environment = jobs.JobEnvironment("default", compute.Environment(environment_version="5"))
    variables = jobs.JobEnvironmentVariables("flyte", jobs.JobEnvironmentVariablesSpec(variables={"A": "1"}))
    run_id = submit(client, task, environments=[environment], environment_variables=[variables])
    run, _ = poll_to_the_end(client, run_id)
    assert client.jobs.get_run_output(run.tasks[0].run_id).notebook_output.result == "42"


def test_idempotency_token_starts_one_run(client):
    token = uuid.uuid4().hex * 2
    first = submit(client, code(), idempotency_token=token)
    assert submit(client, code(), idempotency_token=token) == first
    assert submit(client, code(), idempotency_token=token[::-1]) != first


def test_cancel_and_list(client):
    run_id = submit(client, code())
    listed = client.jobs.list_runs(active_only=True, run_type=jobs.RunType.SUBMIT_RUN, limit=1)
    assert run_id in [run.run_id for run in listed]
    client.jobs.cancel_run(run_id)
    run, _ = poll_to_the_end(client, run_id)
    assert run.state.result_state == jobs.RunResultState.CANCELED
    assert run_id not in [run.run_id for run in client.jobs.list_runs(active_only=True)]
    client.jobs.cancel_run(run_id)


def test_errors_are_parsed(client):
    with pytest.raises(ResourceDoesNotExist):
        client.jobs.get_run(1)
    stranger = sdk.WorkspaceClient(host=client.config.host, token="None", auth_type="pat")
    with pytest.raises(Unauthenticated):
        stranger.jobs.get_run(1)
