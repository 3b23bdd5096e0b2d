"""Without configuration the package changes nothing; with an unsupported SDK, tasks fail with an error."""

import pytest
from conftest import flyte_run, pyflyte_run

NOTHING = [{}, {"OUTRIGGER_ENDPOINT": " "}, {"OUTRIGGER_TOKEN": "a.b.c"}]


@pytest.mark.parametrize("settings", NOTHING)
def test_classes_are_unchanged_without_configuration(python, settings):
    run = python("own_classes.py", **settings)
    assert run.code == 0, run.words


def test_classes_are_changed_with_configuration(python):
    run = python("own_classes.py", OUTRIGGER_ENDPOINT="http://127.0.0.1:1")
    assert run.code == 1
    assert "['flytekit', 'flytekit', 'flyte']" in run.words


@pytest.mark.parametrize("task", ["greeting", "greeting_at_once"])
@pytest.mark.parametrize("settings", [{}, {"OUTRIGGER_ENDPOINTS": "snowflake=http://127.0.0.1:1"}])
def test_connectors_run_in_process_without_configuration(settings, task):
    run = pyflyte_run("own_connector.py", task, "--name", "ada", **settings)
    assert run.code == 0, run.words
    assert "hello ada, in this process" in run.words


def test_flyte_2_connectors_run_in_process_without_configuration():
    run = flyte_run(
        "own_connector2.py", "greet", "--name", "ada", OUTRIGGER_ENDPOINTS="snowflake=http://127.0.0.1:1"
    )
    assert run.code == 0, run.words
    assert "hello ada, in this process" in run.words


def test_plain_spark_task_uses_no_service(python):
    run = python("plain_spark.py", OUTRIGGER_ENDPOINT="http://127.0.0.1:1")
    assert run.code == 0, run.words
    assert run.out.split()[-1] == "None"


def test_task_in_cluster_uses_no_service(python):
    run = python("in_a_cluster.py", OUTRIGGER_ENDPOINT="http://127.0.0.1:1")
    assert run.code == 0, run.words
    assert run.out.split()[-1] == "None"


def test_unsupported_flytekit_imports_but_tasks_fail(python):
    run = python("other_release1.py", OUTRIGGER_ENDPOINT="http://127.0.0.1:1")
    assert run.code == 1
    assert run.out.split() == ["imported"]
    assert "does not support this release of flytekit" in run.words
    assert "install 'outrigger-flytekit[flytekit]'" in run.words and "unset OUTRIGGER_ENDPOINT" in run.words


def test_unsupported_flyte_2_tasks_fail(python):
    run = python("other_release2.py", OUTRIGGER_ENDPOINT="http://127.0.0.1:1")
    assert run.code == 1
    assert "ran" not in run.out.split()
    assert "does not support this release of flyte" in run.words
    assert "install 'outrigger-flytekit[flyte]'" in run.words


@pytest.mark.parametrize("name", ["other_release1.py", "other_release2.py"])
def test_unsupported_sdk_is_unchanged_without_configuration(python, name):
    run = python(name)
    assert run.code == 0, run.words
    assert run.out.split()[-1] == "ran"
