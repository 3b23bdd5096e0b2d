"""Code that runs on Databricks: inputs, outputs and errors pass through a bucket."""

import pytest
from conftest import databricks, flyte_run, pyflyte_run
from forwarder import forwarder

# Programs that run a task and simulate its cluster; tasks with and without an output.
PROGRAMS = {"bucket1.py": ("on_databricks", "export"), "bucket2.py": ("daily", "export")}
SOME = [(program, tasks[0]) for program, tasks in PROGRAMS.items()]
ALL = [(program, task) for program, tasks in PROGRAMS.items() for task in tasks]


@pytest.mark.parametrize(("program", "task"), SOME)
def test_code_reads_inputs_from_and_writes_outputs_to_bucket(databricks_service, python, program, task):
    run = python(program, task, "returns", **databricks_service.settings())
    assert run.code == 0, run.words
    assert run.out.split()[-2:] == ["2026-03-01", "42"], "the input that the cluster read, and its output"


@pytest.mark.parametrize(("program", "task"), ALL)
def test_raised_code_fails_although_job_succeeded(databricks_service, python, program, task):
    run = python(program, task, "raises", **databricks_service.settings())
    assert run.code == 1, run.words
    assert "failed on http://" in run.words and "ValueError: no orders on this day" in run.words
    assert "cannot be read" not in run.words, "the bucket was readable"


@pytest.fixture(scope="module")
def failing_databricks(tmp_path_factory):
    with databricks(tmp_path_factory.mktemp("databricks"), "--ending=RUN_EXECUTION_ERROR") as running:
        yield running


@pytest.mark.parametrize(("program", "task"), SOME)
def test_error_of_code_takes_precedence_over_vendor(failing_databricks, python, program, task):
    run = python(program, task, "raises", **failing_databricks.settings())
    assert run.code == 1, run.words
    assert "ValueError: no orders on this day" in run.words


@pytest.mark.parametrize(("program", "task"), SOME)
def test_failure_before_code_ran_has_vendor_message(failing_databricks, python, program, task):
    run = python(program, task, "returns", **failing_databricks.settings())
    assert run.code == 1, run.words
    assert "failed on http://" in run.words and "RUN_EXECUTION_ERROR" in run.words


def test_missing_outputs_file_is_an_error(databricks_service):
    arguments = ("--raw-output-data-prefix", "memory://bucket/runs", "flyte1.py", "on_databricks")
    run = pyflyte_run(*arguments, "--day", "2026-03-01", **databricks_service.settings())
    assert run.code == 1
    assert "the job succeeded, but memory://bucket/runs/" in run.words


def without_outputs(resource):
    resource.ClearField("outputs")


def test_notebook_without_value_is_an_error(databricks_service):
    with forwarder(databricks_service) as (network, port):
        network.edit_polls(without_outputs)
        settings = databricks_service.settings(OUTRIGGER_ENDPOINT=f"http://127.0.0.1:{port}")
        run = pyflyte_run("flyte1.py", "notebook", **settings)
    assert run.code == 1
    assert "returned no value for the outputs o0" in run.words and "outputs.pb" not in run.words


def test_flyte_2_query_without_value_is_an_error(bigquery_service):
    with forwarder(bigquery_service) as (network, port):
        network.edit_polls(without_outputs)
        settings = bigquery_service.settings(OUTRIGGER_ENDPOINT=f"http://127.0.0.1:{port}")
        run = flyte_run("flyte2.py", "report", "--word", "hello", **settings)
    assert run.code == 1
    assert "returned no value for the outputs" in run.words and "outputs.pb" not in run.words
