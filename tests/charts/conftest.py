"""Charts that differ from those of this repository's plugins: for a sync plugin, and with the longest name."""

import json
import subprocess

import pytest

from cases import EVERYTHING
from charts import ONE_PLUGIN, PROGRAMS, ROOT, flattened

LONGEST = "a-plugin-whose-name-has-forty-characters"


def new_plugin(directory, name, *arguments):
    """The chart of a new plugin, generated from this repository's template."""
    command = [PROGRAMS / "cargo-outrigger", "outrigger", "new-plugin", name, "--no-input", "--no-verify"]
    command += [f"--template={ROOT / 'template'}", f"--root={directory}", "--description=Runs it", *arguments]
    if not any(argument.startswith(("--language", "--kind")) for argument in arguments):
        command += [f"--core={ROOT}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return str(directory / name / "charts" / name)


@pytest.fixture(scope="session")
def sync_plugin(tmp_path_factory):
    return new_plugin(tmp_path_factory.mktemp("sync"), "at-once", "--mode=sync")


@pytest.fixture(scope="session")
def bridge_plugin(tmp_path_factory):
    """A plugin of jobs behind the bridge."""
    return new_plugin(tmp_path_factory.mktemp("bridge"), "shout", "--language=python", "--task-type=shout:1", "--task-type=cry")


@pytest.fixture(scope="session")
def sync_bridge_plugin(tmp_path_factory):
    return new_plugin(tmp_path_factory.mktemp("sync-bridge"), "say", "--language=go", "--mode=sync")


@pytest.fixture(scope="session")
def file_plugin(tmp_path_factory):
    """A plugin that is a YAML file."""
    return new_plugin(tmp_path_factory.mktemp("file"), "acme", "--kind=declarative")


@pytest.fixture(scope="session")
def sync_file_plugin(tmp_path_factory):
    return new_plugin(tmp_path_factory.mktemp("sync-file"), "acme", "--kind=declarative", "--mode=sync")


@pytest.fixture(scope="session")
def long_plugin(tmp_path_factory):
    return new_plugin(tmp_path_factory.mktemp("long"), LONGEST)


def toml(value):
    """A value as plugin.toml has it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(inside)}" for key, inside in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


@pytest.fixture(scope="session")
def override_plugin(tmp_path_factory):
    """A plugin whose plugin.toml sets all that EVERYTHING does."""
    flags = [f"--set=chart.values.{path}={toml(value)}" for path, value in flattened(EVERYTHING)]
    return new_plugin(tmp_path_factory.mktemp("override"), "overridden", "--task-type=bigquery_query_job_task", *flags)


@pytest.fixture(params=["usual", "overridden"])
def plugin(request):
    """A chart with the template's values, and one with overrides of them; the other plugins' are between the two."""
    return ONE_PLUGIN if request.param == "usual" else request.getfixturevalue("override_plugin")
