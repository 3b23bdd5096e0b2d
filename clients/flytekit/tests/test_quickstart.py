"""docs/quickstart-workflow-author.md: its blocks, from top to bottom, as a reader runs them."""

import os
import pathlib
import re
import subprocess
import sys

import pytest
from conftest import ROOT, environment
from flyte_backend import flyte_backend

PAGE = ROOT / "docs" / "quickstart-workflow-author.md"
BLOCK = re.compile(r"^```(\S*)( [^\n]*)?\n(.*?)^```$", re.M | re.S)


class Reader:
    """A reader in a folder of their own, who runs the blocks for one of the SDKs."""

    def __init__(self, folder, service, sdk, backend):
        self.folder, self.service, self.sdk, self.backend = folder, service, sdk, backend
        self.output = ""
        self.commands = []
        self.compared = 0
        built = wheel(folder)
        (folder / built.name).symlink_to(built)
        endpoint = f"dns:///{backend.admin}" if sdk == "flytekit" else backend.url
        (folder / "config.yaml").write_text(f"admin:\n  endpoint: {endpoint}\n  insecure: true\n")

    def read(self):
        exports, ran = "", False
        for kind, words, text in BLOCK.findall(PAGE.read_text()):
            words = words.split()
            if kind == "python":
                (self.folder / words[0].removeprefix("file=")).write_text(text)
            elif kind == "sh" and not (ran := not words or words[0] == self.sdk):
                continue
            elif kind == "sh":
                text = text.replace("http://127.0.0.1:8000", self.service.url)
                exports += "".join(re.findall(r"^export .*\n", text, re.M))
                self.run(text if text.startswith("export") else exports + text)
            elif kind == "console" and ran and "kubectl" not in text.partition("\n")[0]:
                self.has_printed(text)

    def run(self, script):
        programs = pathlib.Path(sys.executable).parent
        # The packages are installed: pip only says whether they satisfy the command.
        env = environment(HOME=str(self.folder), PATH=f"{programs}:{os.environ['PATH']}", PIP_DRY_RUN="1")
        env |= {"FLYTECTL_CONFIG": str(self.folder / "config.yaml"), "NO_PROXY": "127.0.0.1"}
        # What a reader pastes, and nothing else asks for.
        pasted = self.service.token() + "\n" if "cat > ~" in script else ""
        done = subprocess.run(
            ["bash", "-euc", script], cwd=self.folder, env=env, input=pasted, capture_output=True, text=True, timeout=120
        )
        self.output = done.stdout + done.stderr
        assert done.returncode == 0, f"{script}\n{self.output}"
        self.commands.append(script)

    def has_printed(self, text):
        """The page shows this output: `…` stands for anything, and so does a number of seconds."""
        self.compared += 1
        for line in text.splitlines():
            pattern = re.escape(line).replace("…", ".*")
            pattern = re.sub(r"\d+\\ s\\\)", r"\\d+ s\\)", pattern)
            assert re.search(pattern, self.output), f"{line}\nis not in\n{self.output}"


def wheel(folder):
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", folder / "wheel", ROOT / "clients/flytekit"], check=True, timeout=120)
    return next((folder / "wheel").glob("*.whl"))


@pytest.mark.parametrize("sdk", ["flytekit", "flyte"])
def test_page_runs_from_top_to_bottom(sdk, bigquery_service, tmp_path):
    before = bigquery_service.jobs()
    with flyte_backend() as backend:
        reader = Reader(tmp_path, bigquery_service, sdk, backend)
        reader.read()
    assert (tmp_path / ".outrigger-token").stat().st_mode & 0o077 == 0, "only the reader can read the token"
    assert bigquery_service.jobs() - before == 1, "the local run; what is submitted to Flyte runs there"
    assert (len(reader.commands), reader.compared) == (5, 1)
    check = submitted_by_flytekit if sdk == "flytekit" else submitted_by_flyte_2
    check(backend)


def submitted_by_flytekit(backend):
    templates = {task.spec.template.id.name: task.spec.template for task in backend.requests("CreateTask")}
    query = templates["orders_of_a_day"]
    assert query.type == "bigquery_query_job_task"
    assert query.custom["ProjectID"] == "acme-analytics"
    assert templates["orders.address"].container.image == "registry.example.com/team/flows:1"
    (execution,) = backend.requests("CreateExecution")
    assert (execution.project, execution.domain) == ("analytics", "development")
    assert execution.inputs.literals["day"].scalar.primitive.string_value == "2026-03-01"
    assert len(backend.uploads) == 1, "the code"


def submitted_by_flyte_2(backend):
    (run,) = backend.requests("CreateRun")
    task = run.task_spec.task_template
    assert task.id.name == "reports.report"
    assert task.container.image == "registry.example.com/team/flows:2"
    assert (task.id.project, task.id.domain) == ("analytics", "development")
    assert backend.uploads, "the code"
