"""`outrigger new`, `sync` and `check`, with programs that say how they were called."""

import json
import sys

import pytest

from conftest import HERE
from program import MY_PLUGIN, environment, run

# Stands for a program: prints its arguments and ends with a code.
FAKE = """#!{python}
import json, os, sys, urllib.request
seen = dict(arguments=sys.argv[1:], name=os.path.basename(sys.argv[0]))
if "--url" in sys.argv:
    seen["offers"] = json.load(open(os.environ["FAKE_BRIDGE_JOURNAL"]))["upstream_answers"]
print(json.dumps(seen))
sys.exit(5)
"""


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "my_plugin.py").write_text(MY_PLUGIN.replace("VERSION", "0"))
    programs = {name: FAKE.format(python=sys.executable) for name in ("cargo-outrigger", "plugin-conformance")}
    programs["bridge"] = (HERE / "fake_bridge.py").read_text()
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def outrigger(directory, *arguments):
    env = environment(FAKE_BRIDGE_JOURNAL=str(directory / "journal"))
    env["PATH"] = f"{directory}:{env['PATH']}"
    return run([sys.executable, "-m", "outrigger_plugin", *arguments], cwd=directory, env=env)


@pytest.mark.parametrize(
    "given, passed",
    [
        (["new", "a"], ["new", "a", "--language=python"]),
        (["new", "a", "--language", "go"], ["new", "a", "--language", "go"]),
        (["new", "a", "--kind=rust"], ["new", "a", "--kind=rust"]),
        (["new", "a", "--from", "b/plugin.toml"], ["new", "a", "--from", "b/plugin.toml"]),
        (["new", "--help"], ["new", "--help", "--language=python"]),
        (["sync", "--check"], ["sync", "--check"]),
    ],
)
def test_new_and_sync_are_the_generators(directory, given, passed):
    ended = outrigger(directory, *given)
    assert ended.returncode == 5
    assert json.loads(ended.stdout)["arguments"] == passed


def test_check_serves_the_app_and_ends_with_the_verdict(directory):
    ended = outrigger(
        directory, "check", "my_plugin:app", "--task", "a.json", "--junit", "r.xml", "--", "--time-limit", "5m"
    )
    assert ended.returncode == 5, ended.stderr
    seen = json.loads(ended.stdout)
    url, admin = seen["arguments"][1], seen["arguments"][3]
    assert url.startswith("http://127.0.0.1:") and admin.startswith("http://127.0.0.1:") and url != admin
    assert seen["arguments"] == [
        *("--url", url, "--admin-url", admin, "--task", "a.json"),
        *("--output", "text", "--junit", "r.xml", "--time-limit", "5m"),
    ]
    assert seen["offers"]
    flags = json.loads((directory / "journal").read_text().splitlines()[0])["arguments"]
    assert "--insecure-no-auth" in flags and flags[flags.index("--listen") + 1] == url.removeprefix("http://")


def test_check_of_an_app_that_does_not_start_is_an_error(directory):
    (directory / "my_plugin.py").write_text("app = 1 / 0")
    ended = outrigger(directory, "check", "my_plugin:app")
    assert ended.returncode == 1 and "ZeroDivisionError" in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize("missing", ["cargo-outrigger", "plugin-conformance"])
def test_missing_program_is_named(directory, missing):
    (directory / missing).unlink()
    command = {"cargo-outrigger": ["new", "a"], "plugin-conformance": ["check", "my_plugin:app"]}[missing]
    ended = outrigger(directory, *command)
    assert ended.returncode == 1 and missing in ended.stderr and ended.stderr.count("\n") == 1
