"""Charts that differ from those of this repository's plugins: for a sync plugin, and with the longest name."""

import subprocess

import pytest

from charts import PROGRAMS, ROOT

LONGEST = "a-plugin-whose-name-has-forty-characters"


def new_plugin(directory, name, *arguments):
    """The chart of a new plugin, generated from this repository's template."""
    command = [PROGRAMS / "cargo-outrigger", "outrigger", "new-plugin", name, "--no-input", "--no-verify"]
    command += [f"--template={ROOT / 'template'}", f"--root={directory}", "--description=Runs it", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return str(directory / name / "charts" / name)


@pytest.fixture(scope="session")
def sync_plugin(tmp_path_factory):
    return new_plugin(tmp_path_factory.mktemp("sync"), "at-once", "--mode=sync")


@pytest.fixture(scope="session")
def long_plugin(tmp_path_factory):
    return new_plugin(tmp_path_factory.mktemp("long"), LONGEST)


@pytest.fixture(scope="session")
def override_plugin(tmp_path_factory):
    values = ["resources.limits.memory=512Mi", "networkPolicy.metadataServer=true", "settings.OVERRIDDEN_REGION=eu"]
    return new_plugin(tmp_path_factory.mktemp("override"), "overridden", *(f"--set=chart.values.{value}" for value in values))
