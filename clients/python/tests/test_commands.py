"""`outrigger check` and the commands that need no Python, with programs that say how they were called."""

import json
import pathlib
import re
import sys

import pytest

from conftest import HERE
from outrigger_plugin.cli import main
from program import MY_PLUGIN, environment, run

# Stands for a program: prints its arguments and ends with a code.
FAKE = """#!{python}
import json, os, sys, urllib.request
seen = dict(arguments=sys.argv[1:], name=os.path.basename(sys.argv[0]))
if "--admin-url" in sys.argv:
    seen["offers"] = json.load(open(os.environ["FAKE_BRIDGE_JOURNAL"]))["upstream_answers"]
print(json.dumps(seen))
sys.exit(5)
"""


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "my_plugin.py").write_text(MY_PLUGIN.replace("VERSION", "0"))
    programs = {"outrigger": FAKE.format(python=sys.executable)}
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
    "given",
    [
        ["new", "a"],
        ["new", "a", "--", "b"],
        ["new", "--help"],
        ["flyte-values", "bigquery", "--flyte=2"],
        ["token", "show", "-"],
        ["check"],
        ["check", "--url", "http://h:1", "--time-limit=5m", "--task-type", "a"],
        ["check", "--list"],
        ["serve", "--help"],
        ["serve", "my_plugin:app", "-h", "--", "--x"],
        ["serve", "my_plugin:app", "--bogus"],
        ["listen"],
        [],
        ["-V"],
        ["--help"],
        ["of-a-later-version", "a"],
    ],
)
def test_commands_that_need_no_python_are_the_other_programs(directory, given):
    ended = outrigger(directory, *given)
    assert ended.returncode == 5
    assert json.loads(ended.stdout)["arguments"] == given


def test_check_serves_the_app_and_ends_with_the_verdict(directory):
    (directory / "a.json").write_text("{}")
    ended = outrigger(
        directory, "check", "my_plugin:app", "--task", "a.json", "--junit", "r.xml", "--", "--time-limit", "5m"
    )
    assert ended.returncode == 5, ended.stderr
    seen = json.loads(ended.stdout)
    url, admin = seen["arguments"][2], seen["arguments"][4]
    assert url.startswith("http://127.0.0.1:") and admin.startswith("http://127.0.0.1:") and url != admin
    assert seen["arguments"] == [
        *("check", "--url", url, "--admin-url", admin, "--task", "a.json"),
        *("--output", "text", "--junit", "r.xml", "--time-limit", "5m", "--plugin-findings", seen["arguments"][-1]),
    ]
    assert seen["offers"]
    flags = json.loads((directory / "journal").read_text().splitlines()[0])["arguments"]
    assert "--insecure-no-auth" in flags and flags[flags.index("--listen") + 1] == url.removeprefix("http://")
    findings = pathlib.Path(seen["arguments"][-1])
    assert findings.name == "findings.json" and not findings.parent.exists(), "nothing is left of it"


def test_flags_of_the_suite_are_its_own_to_explain(directory):
    ended = outrigger(directory, "check", "--", "--help")
    assert json.loads(ended.stdout) == {"arguments": ["check", "--help"], "name": "outrigger"}


@pytest.mark.parametrize(
    "flags, expected",
    [
        (["--url", "http://h:1"], "--url: not with MODULE:APP or --command"),
        (["--list"], "--list: not with MODULE:APP or --command"),
        (["--task", "absent.json"], "--task absent.json: No such file or directory"),
        (["--bad-task", "."], "--bad-task .: Is a directory"),
    ],
)
def test_check_of_an_app_says_at_once_what_cannot_be(directory, flags, expected):
    (directory / "outrigger").write_text('#!/bin/sh\necho "$OUTRIGGER_MISUSE"; exit 2\n')
    ended = outrigger(directory, "check", "my_plugin:app", *flags)
    assert ended.returncode == 2 and ended.stdout.startswith(expected)
    assert not (directory / "journal").exists()


def test_flags_of_the_check_need_no_dashes_before_them(directory):
    ended = outrigger(directory, "check", "--time-limit", "5m", "my_plugin:app", "--only=get")
    arguments = json.loads(ended.stdout)["arguments"]
    assert [it for it in arguments if it.startswith(("--time-limit", "--only"))] == ["--time-limit=5m", "--only=get"]


@pytest.fixture
def forgetful(directory):
    """An app that starts a job for each create, and a suite that prints the findings it gets."""
    text = (directory / "my_plugin.py").read_text()
    (directory / "my_plugin.py").write_text(text.replace("return task.key", "return os.urandom(8).hex()"))
    script = "import sys; print(open(sys.argv[sys.argv.index('--plugin-findings') + 1]).read()); sys.exit(1)"
    (directory / "outrigger").write_text(f"#!{sys.executable}\n{script}\n")
    (directory / "task.json").write_text(json.dumps({"template": {"type": "shoutout"}}))
    return directory


@pytest.mark.parametrize("form", ["text", "json"])
def test_report_has_what_was_seen_of_repeated_creates(forgetful, form):
    ended = outrigger(forgetful, "check", "my_plugin:app", "--task", "task.json", "--output", form)
    assert ended.returncode == 1
    # Nothing stands beside the report, which is one document in JSON.
    same, other = json.loads(ended.stdout)
    assert (same["outcome"], same["rule"]) == ("FAIL", "plugin/repeat-is-the-same-job")
    assert same["reason"].startswith('two creates with the Idempotency-Key "')
    assert same["reason"].endswith(": look for the job that has the key before you start one")
    assert (other["outcome"], other["rule"]) == ("PASS", "plugin/other-key-is-another-job")


def test_check_of_an_app_that_does_not_start_is_an_error(directory):
    (directory / "my_plugin.py").write_text("app = 1 / 0")
    ended = outrigger(directory, "check", "my_plugin:app")
    assert ended.returncode == 1 and "ZeroDivisionError" in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize("command", [["new", "a"], ["check", "my_plugin:app"], ["token", "show"]])
def test_missing_program_is_named(directory, command):
    (directory / "outrigger").unlink()
    ended = outrigger(directory, *command)
    assert ended.returncode == 1 and "'outrigger'" in ended.stderr and ended.stderr.count("\n") == 1


def test_own_entry_point_is_passed_over(directory):
    entry = directory / "first"
    entry.mkdir()
    (entry / "outrigger").write_text(f"#!{sys.executable}\nfrom outrigger_plugin.cli.main import main\nmain()\n")
    (entry / "outrigger").chmod(0o755)
    env = environment(FAKE_BRIDGE_JOURNAL=str(directory / "journal"))
    env["PATH"] = f"{entry}:{directory}:{env['PATH']}"
    ended = run([sys.executable, "-m", "outrigger_plugin", "token", "show"], cwd=directory, env=env)
    assert (ended.returncode, json.loads(ended.stdout)["arguments"]) == (5, ["token", "show"])


def test_without_the_program_the_package_explains_its_own_commands(directory):
    (directory / "outrigger").unlink()
    version, help = outrigger(directory, "-V"), outrigger(directory, "--help")
    assert version.stdout.startswith("outrigger 0.") and version.returncode == help.returncode == 0
    assert [name for name in main.COMMANDS if re.search(rf"^    {name}\s", help.stdout, re.MULTILINE)] == [
        "serve",
        "check",
        "listen",
    ]
    misspelt = outrigger(directory, "sevre")
    assert misspelt.returncode == 1 and "'outrigger'" in misspelt.stderr
