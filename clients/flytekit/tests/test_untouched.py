"""With nothing configured, the plugin is not there; with another SDK than it fits, it says so."""

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


def test_another_flytekit_can_be_imported_and_says_at_its_tasks_what_to_install(python):
    run = python("other_release1.py", OUTRIGGER_ENDPOINT="http://127.0.0.1:1")
    assert run.code == 1
    assert run.out.split() == ["imported"]
    assert "does not support this release of flytekit" in run.words
    assert "install 'outrigger-flytekit[flytekit]'" in run.words and "unset OUTRIGGER_ENDPOINT" in run.words


def test_another_flyte_2_runs_nothing_and_says_what_to_install(python):
    run = python("other_release2.py", OUTRIGGER_ENDPOINT="http://127.0.0.1:1")
    assert run.code == 1
    assert "ran" not in run.out.split()
    assert "does not support this release of flyte" in run.words
    assert "install 'outrigger-flytekit[flyte]'" in run.words


@pytest.mark.parametrize("name", ["other_release1.py", "other_release2.py"])
def test_another_sdk_is_as_ever_with_nothing_configured(python, name):
    run = python(name)
    assert run.code == 0, run.words
    assert run.out.split()[-1] == "ran"
