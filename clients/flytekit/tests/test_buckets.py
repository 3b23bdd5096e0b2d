"""Code that runs on Databricks: its inputs, its outputs and its failures pass through a bucket."""

import pytest
from conftest import databricks, flyte_run, pyflyte_run
from forwarder import forwarder

# The program that runs a task and plays its cluster; tasks with an output and without.
PROGRAMS = {"bucket1.py": ("on_databricks", "export"), "bucket2.py": ("daily", "export")}
SOME = [(program, tasks[0]) for program, tasks in PROGRAMS.items()]
ALL = [(program, task) for program, tasks in PROGRAMS.items() for task in tasks]


@pytest.mark.parametrize(("program", "task"), SOME)
def test_code_reads_its_inputs_from_a_bucket_and_writes_its_outputs_there(databricks_service, python, program, task):
    run = python(program, task, "returns", **databricks_service.settings())
    assert run.code == 0, run.words
    assert run.out.split()[-2:] == ["2026-03-01", "42"], "what the cluster read, and what it wrote"


@pytest.mark.parametrize(("program", "task"), ALL)
def test_code_that_raised_is_a_failure_though_its_job_succeeded(databricks_service, python, program, task):
    run = python(program, task, "raises", **databricks_service.settings())
    assert run.code == 1, run.words
    assert "failed on http://" in run.words and "ValueError: no orders on this day" in run.words
    assert "cannot be read" not in run.words, "the bucket is not to blame"


@pytest.fixture(scope="module")
def failing_databricks(tmp_path_factory):
    with databricks(tmp_path_factory.mktemp("databricks"), "--ending=RUN_EXECUTION_ERROR") as running:
        yield running


@pytest.mark.parametrize(("program", "task"), SOME)
def test_what_the_code_raised_tells_more_than_the_vendor(failing_databricks, python, program, task):
    run = python(program, task, "raises", **failing_databricks.settings())
    assert run.code == 1, run.words
    assert "ValueError: no orders on this day" in run.words


@pytest.mark.parametrize(("program", "task"), SOME)
def test_a_job_that_failed_before_its_code_is_told_in_the_vendors_words(failing_databricks, python, program, task):
    run = python(program, task, "returns", **failing_databricks.settings())
    assert run.code == 1, run.words
    assert "failed on http://" in run.words and "RUN_EXECUTION_ERROR" in run.words


def test_a_job_that_writes_no_outputs_says_so(databricks_service):
    arguments = ("--raw-output-data-prefix", "memory://bucket/runs", "flyte1.py", "on_databricks")
    run = pyflyte_run(*arguments, "--day", "2026-03-01", **databricks_service.settings())
    assert run.code == 1
    assert "the job succeeded, but memory://bucket/runs/" in run.words


def without_outputs(resource):
    resource.ClearField("outputs")


def test_a_notebook_that_gave_no_value_is_not_looked_for_on_this_machine(databricks_service):
    with forwarder(databricks_service) as (network, port):
        network.edit_polls(without_outputs)
        settings = databricks_service.settings(OUTRIGGER_ENDPOINT=f"http://127.0.0.1:{port}")
        run = pyflyte_run("flyte1.py", "notebook", **settings)
    assert run.code == 1
    assert "returned no value for the outputs o0" in run.words and "outputs.pb" not in run.words


def test_a_query_of_flyte_2_that_gave_no_value_is_not_looked_for_on_this_machine(bigquery_service):
    with forwarder(bigquery_service) as (network, port):
        network.edit_polls(without_outputs)
        settings = bigquery_service.settings(OUTRIGGER_ENDPOINT=f"http://127.0.0.1:{port}")
        run = flyte_run("flyte2.py", "report", "--word", "hello", **settings)
    assert run.code == 1
    assert "returned no value for the outputs" in run.words and "outputs.pb" not in run.words
