"""With nothing configured, the plugin is not there."""

import pytest
from conftest import flyte_run, pyflyte_run

NOTHING = [{}, {"OUTRIGGER_ENDPOINT": " "}, {"OUTRIGGER_TOKEN": "a.b.c"}]


@pytest.mark.parametrize("settings", NOTHING)
def test_flytekits_classes_are_its_own(python, settings):
    run = python("own_classes.py", **settings)
    assert run.code == 0, run.words


def test_they_are_changed_where_something_is_configured(python):
    run = python("own_classes.py", OUTRIGGER_ENDPOINT="http://127.0.0.1:1")
    assert run.code == 1
    assert "['flytekit', 'flyte']" in run.words


@pytest.mark.parametrize("settings", [{}, {"OUTRIGGER_ENDPOINTS": "snowflake=http://127.0.0.1:1"}])
def test_connectors_run_in_this_process(settings):
    run = pyflyte_run("own_connector.py", "greeting", "--name", "ada", **settings)
    assert run.code == 0, run.words
    assert "hello ada, in this process" in run.words


def test_connectors_of_flyte_2_run_in_this_process():
    run = flyte_run(
        "own_connector2.py", "greet", "--name", "ada", OUTRIGGER_ENDPOINTS="snowflake=http://127.0.0.1:1"
    )
    assert run.code == 0, run.words
    assert "hello ada, in this process" in run.words


def test_a_plain_spark_task_goes_to_no_service(python):
    run = python("plain_spark.py", OUTRIGGER_ENDPOINT="http://127.0.0.1:1")
    assert run.code == 0, run.words
    assert run.out.split()[-1] == "None"


def test_a_task_in_a_cluster_goes_to_no_service(python):
    run = python("in_a_cluster.py", OUTRIGGER_ENDPOINT="http://127.0.0.1:1")
    assert run.code == 0, run.words
    assert run.out.split()[-1] == "None"
