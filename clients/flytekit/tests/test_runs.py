"""Successful runs: ``pyflyte run`` and ``flyte run --local`` with real services."""

import re

import pytest
from conftest import flyte_run, pyflyte_run

REPORT = ("flyte1.py", "report", "--day", "2026-03-01", "--ids", "[1, 2]")
REPORT_2 = ("flyte2.py", "report", "--word", "hello")
CONSOLE = re.compile(
    r"BigQuery Console: https://console\.cloud\.google\.com/\S+&page=queryresults \(\d+ s\)$", re.M
)


# Tests that share the runs are in one process, if there are several.
SHARED = pytest.mark.xdist_group("runs")


@pytest.fixture(params=[(pyflyte_run, REPORT), (flyte_run, REPORT_2)], ids=["flyte1", "flyte2"], scope="module")
def runs(request, bigquery_service):
    """Two runs of a workflow, the second in a narrow terminal, and the number of jobs they started.

    The workflow has a query, and a task that runs here on what it gave.
    """
    run, arguments = request.param
    before = bigquery_service.jobs()
    runs = [run(*arguments, **bigquery_service.settings(COLUMNS=width)) for width in ("200", "40")]
    return runs, bigquery_service.jobs() - before


@SHARED
def test_query_runs_at_service(runs):
    wide, narrow = runs[0]
    assert (wide.code, narrow.code) == (0, 0), wide.words + narrow.words
    assert "bq://acme-analytics:" in wide.out, "the next task got the table"


@SHARED
def test_each_run_is_a_new_job_even_with_seeded_random_numbers(runs):
    assert runs[1] == 2


@SHARED
def test_progress_and_console_link_are_shown(runs):
    for run in runs[0]:
        assert CONSOLE.search(run.err), "one line, independent of the terminal's width"
        phases = re.findall(r"^\w+: (QUEUED|RUNNING|SUCCEEDED)", run.err, re.M)
        assert phases == ["QUEUED", "RUNNING", "SUCCEEDED"]


def test_snowflake_of_flyte_1(snowflake_service):
    run = pyflyte_run("flyte1.py", "users", "--country", "NL", **snowflake_service.settings())
    assert run.code == 0, run.words
    assert "Snowflake Console: https://app.snowflake.com/ACMEORG/ANALYTICS/" in run.err
    assert "users_of_a_country: SUCCEEDED" in run.err


def test_snowflake_of_flyte_2_with_a_secret_of_this_machine(snowflake_service, user_key):
    settings = snowflake_service.settings(LAPTOP_KEY=user_key)
    run = flyte_run("flyte2.py", "people", "--country", "NL", **settings)
    assert run.code == 0, run.words
    assert "snowflake://FLYTE_SVC/ACMEORG-ANALYTICS/" in run.out
    assert user_key.splitlines()[1] not in run.words


@pytest.fixture
def user_key(snowflake_service):
    return (snowflake_service.files / "user.pem").read_text()


def test_notebook_needs_no_bucket(databricks_service):
    run = pyflyte_run("flyte1.py", "notebook", **databricks_service.settings())
    assert run.code == 0, run.words
    assert "42" in run.out.split(), "the exit value of the notebook"
    assert "Databricks Console: https://" in run.err


def test_code_without_bucket_fails_and_does_not_run_locally(databricks_service):
    before = databricks_service.jobs()
    run = pyflyte_run("flyte1.py", "on_databricks", "--day", "2026-03-01", **databricks_service.settings())
    assert run.code == 1
    assert "pyflyte run --raw-output-data-prefix s3://BUCKET/PATH" in run.words
    assert "not here" not in run.words and databricks_service.jobs() == before


def test_flyte_2_code_without_bucket_fails_and_does_not_run_locally(databricks_service):
    run = flyte_run("flyte2.py", "daily", "--day", "2026-03-01", **databricks_service.settings())
    assert run.code == 1
    assert "flyte run --local --raw-data-path s3://BUCKET/PATH" in run.words
    assert "not here" not in run.words


def test_old_databricks_task_runs_where_spark_is_served(databricks_service):
    before = databricks_service.jobs()
    arguments = ("--raw-output-data-prefix", "memory://bucket/runs", "flyte1.py", "on_old_databricks")
    run = pyflyte_run(*arguments, "--day", "2026-03-01", **databricks_service.settings())
    assert run.code == 0, run.words
    assert databricks_service.jobs() == before + 1


def test_map_task_is_rejected_and_does_not_run_locally(databricks_service):
    before = databricks_service.jobs()
    run = pyflyte_run("flyte1.py", "on_each_day", "--days", '["2026-03-01"]', **databricks_service.settings())
    assert run.code == 1
    assert "flytekit does not support map tasks of connectors" in run.words
    assert "call it for each item in a @dynamic" in run.words
    assert "not here" not in run.words and databricks_service.jobs() == before


def test_links_are_recorded_in_flyte_2_tracker(bigquery_service, python):
    run = python("tracked2.py", **bigquery_service.settings())
    assert run.code == 0, run.words
    assert "BigQuery Console https://console.cloud.google.com/bigquery?project=acme-analytics" in run.out
