"""This package and the program `outrigger` are one program to their users: the same help, versions and errors."""

import argparse
import concurrent.futures
import os
import re
import subprocess
import sys

import pytest

from outrigger_plugin.cli import main
from program import environment, run
from test_bridge import TARGET

NATIVE = TARGET / "debug" / "outrigger"
pytestmark = pytest.mark.skipif(
    not NATIVE.exists() and "CI" not in os.environ, reason="cargo has not built the program"
)
COMMAND = re.compile(r"^  ([a-z][a-z-]+)  +\S", re.MULTILINE)


def native(*arguments, cwd=None):
    return outcome(run([NATIVE, *arguments], env=environment(), cwd=cwd, stdin=subprocess.DEVNULL))


def package(*arguments, cwd=None):
    env = environment(PATH=f"{NATIVE.parent}:{os.environ['PATH']}")
    return outcome(
        run([sys.executable, "-m", "outrigger_plugin", *arguments], env=env, cwd=cwd, stdin=subprocess.DEVNULL)
    )


def outcome(ended):
    return ended.returncode, ended.stdout, ended.stderr


def commands(*path):
    """Each command with its words."""
    listed = native(*path, "--help")[1].partition("\nCommands:\n")[2].partition("\n\n")[0]
    for name in COMMAND.findall(f"\n{listed}"):
        if name != "help":
            yield (*path, name)
            yield from commands(*path, name)


def command_lines():
    yield from ((), ("-h",), ("--help",), ("-V",), ("--version",), ("help",), ("help", "token", "mint"))
    yield from (("--bogus",), ("sevre", "a:b"), ("heath-check",), ("token", "shwo"), ("token",))
    yield from (("new", "--"), ("new", "a", "--", "b"), ("new", "UPPER", "--no-input", "--"), ("completion", "bsh"))
    yield from (("serve", "a:b", "--port", "x"), ("serve", "a:b", "--auth", "x", "--insecure-no-auth"))
    yield from (("listen",), ("check", "a:b", "--url", "http://h"), ("check", "--timeout", "x"), ("check", "--list"))
    for path in commands():
        yield from ((*path, "--help"), (*path, "-h"), (*path, "--bogus"))


def test_help_versions_and_errors_are_those_of_the_program(tmp_path):
    lines = list(command_lines())
    assert ("token", "mint", "--help") in lines and ("serve", "--bogus") in lines
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        wanted = pool.map(lambda line: native(*line, cwd=tmp_path), lines)
        seen = list(pool.map(lambda line: package(*line, cwd=tmp_path), lines))
    for line, want, have in zip(lines, wanted, seen, strict=True):
        assert have == want, line


def test_new_plugin_is_in_python_whichever_program_makes_it(tmp_path):
    for made, program in ((tmp_path / "a", native), (tmp_path / "b", package)):
        made.mkdir()
        assert program("new", "shout", "--no-input", "--no-verify", "--", cwd=made)[0] == 0
    files = [
        {str(file.relative_to(made)): file.read_bytes() for file in made.rglob("*") if file.is_file()}
        for made in (tmp_path / "a" / "shout", tmp_path / "b" / "shout")
    ]
    own = [{name: text for name, text in each.items() if not name.startswith(".git/")} for each in files]
    assert own[0] == own[1] and "plugin.py" in own[0]


@pytest.mark.parametrize("command", main.COMMANDS)
def test_help_has_the_flags_that_the_package_takes(command):
    (subparsers,) = (it for it in main.parser()._actions if isinstance(it, argparse._SubParsersAction))
    taken = {flag for action in subparsers.choices[command]._actions for flag in action.option_strings}
    shown = set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", native(command, "--help")[1], re.MULTILINE))
    assert shown == {flag for flag in taken if flag.startswith("--")}


def test_what_only_python_finds_wrong_looks_like_the_programs_errors(tmp_path):
    code, out, err = package("serve", "my_plugin", "--insecure-no-auth", cwd=tmp_path)
    assert (code, out) == (2, "")
    assert err.startswith(
        "error: expected MODULE:APP, for example my_plugin:app, not 'my_plugin'\n\nUsage: outrigger serve "
    )
    assert err.endswith("\n\nFor more information, try '--help'.\n")
