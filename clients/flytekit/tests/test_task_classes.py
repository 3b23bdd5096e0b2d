"""The task classes of new plugins: their own tests, and local runs as their README says, against the plugin."""

import dataclasses
import pathlib
import subprocess
import sys

import pytest
from conftest import HERE, PROGRAMS, ROOT, finish, plugins, program, start
from readme import Readme

# Changes of the README that give its task a number in place of a text.
NO_STRING = {'"text": str': '"text": int', "text: str": "text: int", "good night": "5"}


@dataclasses.dataclass(frozen=True)
class Expected:
    """What the README's workflow prints; the change of the README that makes its task fail, and the message."""

    result: str
    mistake: dict
    message: str


NEW = {
    ("rust", "async"): Expected("train: SUCCEEDED", {'"3"': '"many"'}, "many is not a number of epochs"),
    ("rust", "sync"): Expected("guten Morgen", {"morning": "grief"}, "no translation of 'good grief'"),
    ("bridge", "async"): Expected("GOOD NIGHT", NO_STRING, "inputs.text: expected a string"),
    ("bridge", "sync"): Expected("GOOD NIGHT", NO_STRING, "inputs.text: expected a string"),
}


@dataclasses.dataclass
class NewPlugin:
    """A plugin that the generator made."""

    kind: str
    mode: str
    root: pathlib.Path

    @property
    def name(self):
        return f"acme-{self.kind}-{self.mode}"

    @property
    def tasks(self):
        return self.root / self.name / "tasks"

    @property
    def readme(self):
        return (self.tasks / "README.md").read_text()

    @property
    def server(self):
        """The module of its server. A new plugin behind the bridge has one."""
        return self.root / self.name / "plugin.py" if self.kind == "bridge" else HERE / "app/in_place_of_rust.py"

    def generate(self):
        command = [PROGRAMS / "outrigger", "new", self.name, "--no-input", "--no-verify"]
        command += [f"--kind={self.kind}", f"--mode={self.mode}"]
        command += [f"--root={self.root}", f"--template={ROOT / 'template'}"]
        if self.kind == "rust":
            command += [f"--core={ROOT}"]
        subprocess.run(command, check=True, timeout=60)
        return self

    def install_into(self, directory):
        """Makes the package importable in ``directory``, under the name that it has when it is installed."""
        (directory / f"{self.name.replace('-', '_')}_task").symlink_to(self.tasks / "package")


# All about one plugin is in one process.
@pytest.fixture(
    scope="session",
    params=[pytest.param(new, id="-".join(new), marks=pytest.mark.xdist_group("-".join(new))) for new in NEW],
)
def plugin(request, tmp_path_factory):
    return NewPlugin(*request.param, tmp_path_factory.mktemp("new")).generate()


@pytest.fixture
def expected(plugin):
    return NEW[plugin.kind, plugin.mode]


@pytest.fixture(scope="session")
def service(plugin, tmp_path_factory):
    """What serves the plugin, to callers with a token."""
    with plugins(tmp_path_factory.mktemp("server"), plugin.server) as service:
        yield service


@pytest.fixture
def run_readme(plugin, service, tmp_path):
    """Runs the commands of the changed README side by side."""

    def run(changes, token=None):
        readme = Readme(plugin.readme, {"http://127.0.0.1:8000": service.url, **changes})
        settings = {**readme.settings(), "OUTRIGGER_TOKEN": service.token() if token is None else token}
        plugin.install_into(tmp_path)
        readme.write_files(tmp_path)
        started = [
            start(program(name), *arguments, cwd=tmp_path, **settings) for name, *arguments in readme.runs()
        ]
        assert len(started) == (2 if plugin.mode == "async" else 1), "with every SDK that can call the service"
        return [finish(process) for process in started]

    return run


def test_own_tests_pass(plugin, tmp_path):
    plugin.install_into(tmp_path)
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    run = finish(start(*command, cwd=plugin.tasks, PYTHONPATH=str(tmp_path)))
    assert run.code == 0, run.out
    assert "skipped" not in run.out


def test_workflow_runs_as_the_readme_says(run_readme, expected):
    for run in run_readme({}):
        assert run.code == 0, run.words
        assert expected.result in run.words


def test_token_of_another_audience_is_refused(run_readme, service):
    for run in run_readme({}, token=service.token(aud="vault")):
        assert run.code == 1
        assert "the token is not accepted: it is for another audience" in run.words


def test_failed_task_shows_the_plugins_message(run_readme, expected):
    for run in run_readme(expected.mistake):
        assert run.code == 1
        assert expected.message in run.words


def test_examples_of_the_readme_pass(plugin, tmp_path):
    readme = Readme(plugin.readme, {})
    plugin.install_into(tmp_path)
    readme.write_files(tmp_path)
    assert len(readme.examples) == (1 if plugin.mode == "sync" else 0)
    for example in readme.examples:
        run = finish(start(sys.executable, "-c", example, cwd=tmp_path))
        assert run.code == 0, run.words
