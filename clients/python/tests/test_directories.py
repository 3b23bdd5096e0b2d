"""Directories of sockets: each program removes its own, and those that killed ones have left."""

import os
import socket
import stat
import subprocess
import sys
import tempfile

import pytest

from conftest import TIMEOUT
from outrigger_plugin.cli import directories
from outrigger_plugin.cli.directories import private_directory, remove_left
from program import environment

HOLD = "from outrigger_plugin.cli.directories import *\nwith private_directory() as d: print(d, flush=True); input()"


@pytest.fixture
def parent(monkeypatch):
    # Not pytest's: its paths are too long for sockets.
    with tempfile.TemporaryDirectory() as directory:
        monkeypatch.setattr(tempfile, "tempdir", directory)
        yield directories.Path(directory)


@pytest.fixture
def holder(parent):
    """Another program with a directory."""
    command = [sys.executable, "-c", HOLD]
    env = environment(TMPDIR=str(parent))
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.directory = directories.Path(process.stdout.readline().strip())
        yield process
        process.kill()


def left(parent, name="outrigger-abcdefgh"):
    path = parent / name
    path.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path / "plugin.sock"))
    (path / "findings.json").touch()
    return path


def test_directory_is_the_users_alone_and_goes_with_its_program(parent):
    with private_directory() as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        (path / "plugin.sock").touch()
    assert list(parent.iterdir()) == []


def test_directory_of_a_killed_program_goes_with_the_next_one(parent, holder):
    with private_directory() as own:
        assert {own, holder.directory} == set(parent.iterdir()), "a running program keeps its own"
    holder.kill()
    holder.wait(TIMEOUT)
    with private_directory() as own:
        assert [own] == list(parent.iterdir())


def test_directory_whose_server_lives_on_stays(parent):
    path = left(parent)
    (path / "plugin.sock").unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path / "plugin.sock"))
        listener.listen()
        remove_left(parent)
        assert (path / "plugin.sock").exists()
    remove_left(parent)
    assert not path.exists()


def test_what_is_not_this_programs_stays(parent, monkeypatch):
    target = left(parent, "target")
    (parent / "outrigger-linkedto").symlink_to(target)
    other = left(parent, "outrigger-by_other")
    (other / "notes").touch()
    left(parent, "outrigger-openmode").chmod(0o755)
    left(parent, "outrigger-a-name-of-its-own")
    (parent / "outrigger-afile___").touch()
    before = sorted(parent.rglob("*"))
    remove_left(parent)
    assert sorted(parent.rglob("*")) == before
    path = left(parent)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    remove_left(parent)
    assert path.exists(), "another user's"


def test_directory_that_a_cleaning_program_takes_is_replaced_by_another(parent, monkeypatch):
    made = []
    real = tempfile.mkdtemp

    def taken_once(**arguments):
        made.append(directories.Path(real(**arguments)))
        if len(made) == 1:
            remove_left(parent)
            assert not made[0].exists()
        return str(made[-1])

    monkeypatch.setattr(tempfile, "mkdtemp", taken_once)
    with private_directory() as path:
        assert path == made[1] and len(made) == 2


def test_long_path_of_temporary_files_is_not_used(parent, monkeypatch):
    long = parent / ("n" * (directories.MAX_PATH - directories.LONGEST + 1 - len(str(parent)) - 1))
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with private_directory() as path:
        assert path.parent == directories.Path("/tmp")
        assert len(os.fsencode(path / "plugin.sock")) <= directories.MAX_PATH
