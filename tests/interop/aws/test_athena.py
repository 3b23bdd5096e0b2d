"""Athena's happy path at moto, which has queries of its own."""

import json
import urllib.request

import pytest


@pytest.fixture
def slowly(moto):
    """Queries are in each state for one poll."""

    def transition(**how):
        body = {"model_name": "athena::execution", "transition": how}
        request = urllib.request.Request(
            f"{moto.url}/moto-api/state-manager/set-transition", json.dumps(body).encode(), method="POST"
        )
        urllib.request.urlopen(request).close()

    transition(progression="manual", times=1)
    yield
    transition(progression="immediate")


@pytest.fixture
def athena(moto, start):
    return start("athena", moto.administrator)


def query_of(answer):
    """The id of the query that the link leads to."""
    (link,) = answer.body["log_links"]
    return link["uri"].rsplit("/", 1)[-1]


def task(statement, prefix):
    """A typed task whose result is a structured dataset."""
    results = {"results": {"type": {"structured_dataset_type": {"format": "csv"}}}}
    template = {
        "type": "athena",
        "custom": {"database": "sales"},
        "interface": {"outputs": {"variables": results}},
        "sql": {"statement": statement},
    }
    return {"template": template, "output_prefix": prefix}


def test_a_query_is_submitted_polled_and_its_results_are_found(moto, athena, slowly):
    created = athena.call("PUT", body=task("SELECT 42", "s3://flyte/interop/1"))
    assert created.status == 200, created
    job, phases = created.body["job_id"], []
    while not phases or phases[-1] in ("QUEUED", "RUNNING"):
        answer = athena.get(job)
        phases.append(answer.body["phase"])
    assert phases[-1] == "SUCCEEDED" and {"QUEUED", "RUNNING"} & set(phases[:-1]), phases
    found = moto.client("athena").get_query_execution(QueryExecutionId=query_of(answer))["QueryExecution"]
    assert (found["Query"], found["QueryExecutionContext"]["Database"]) == ("SELECT 42", "sales")
    location = found["ResultConfiguration"]["OutputLocation"]
    assert location.startswith("s3://results/") and location.endswith(f"{found['QueryExecutionId']}.csv")
    assert location in json.dumps(answer.body["outputs"])


def test_values_are_parameters_of_the_query(moto, athena):
    body = {"custom": {"parameters": ["day", "n"]}, "sql": "SELECT * FROM e WHERE day = ? AND n = ?"}
    body["inputs"] = {"day": "x'; DROP TABLE e; --", "n": 3}
    created = athena.call("PUT", body=body)
    assert created.status == 200, created
    query = query_of(athena.get(created.body["job_id"]))
    found = moto.client("athena").get_query_execution(QueryExecutionId=query)["QueryExecution"]
    assert found["ExecutionParameters"] == ["'x''; DROP TABLE e; --'", "3"]


def test_a_query_is_stopped(moto, athena, slowly):
    job = athena.run()
    query = query_of(athena.get(job))
    assert athena.delete(job).status == 200
    found = moto.client("athena").get_query_execution(QueryExecutionId=query)["QueryExecution"]
    assert found["Status"]["State"] == "CANCELLED"
    assert athena.get(job).body["job_state"] == "failed"
