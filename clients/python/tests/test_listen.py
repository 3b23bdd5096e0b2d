"""`outrigger listen`, as in a pod."""

import json
import signal
import socket
import subprocess
import sys

import pytest

from conftest import TIMEOUT, Caller, eventually
from program import MY_PLUGIN, ends, environment, run


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "my_plugin.py").write_text(MY_PLUGIN.replace("VERSION", "0"))
    return tmp_path


def command(*arguments):
    return [sys.executable, "-m", "outrigger_plugin", "listen", *arguments]


@pytest.fixture
def listener(directory, tmp_path_factory):
    """The program, on a socket that a killed one has left."""
    path = tmp_path_factory.mktemp("s") / "p.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    env = environment(PLUGIN_SOCKET=str(path))
    process = subprocess.Popen(command("my_plugin:app"), cwd=directory, env=env, stderr=subprocess.PIPE, text=True)
    process.path, process.files = path, directory
    assert process.stderr.readline() == f"outrigger: my_plugin:app listens on {path}\n"
    yield process
    process.kill()
    process.wait()
    process.stderr.close()


def test_app_answers_on_the_socket(listener):
    caller = eventually(lambda: accepts(listener.path) and Caller(listener.path), "the socket accepts")
    assert caller.create("shoutout/0", key="k").body == {"job_id": "k"}
    assert oct(listener.path.stat().st_mode)[-3:] == "660"


def accepts(path):
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(path)) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_finishes_calls_and_ends_with_0(listener, number):
    eventually(lambda: accepts(listener.path), "the socket accepts")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT)
        connection.connect(str(listener.path))
        body = json.dumps({"inputs": {}}).encode()
        head = (
            f"PUT /plugins/v1/shoutout/0 HTTP/1.1\r\nhost: x\r\nidempotency-key: k\r\ncontent-length: {len(body)}\r\n"
        )
        connection.send(f"{head}expect: 100-continue\r\n\r\n".encode())
        # The call is under way when the app asks for the body.
        assert connection.recv(1 << 10).startswith(b"HTTP/1.1 100")
        listener.send_signal(number)
        eventually(lambda: not accepts(listener.path), "the socket is closed")
        connection.send(body)
        assert b"200 OK" in connection.recv(1 << 10)
    assert ends(listener) == 0
    assert not listener.path.exists()


def test_app_that_cannot_be_imported_is_an_error(directory):
    (directory / "my_plugin.py").write_text("app = 1 / 0")
    ended = run(command("my_plugin:app", "--socket", str(directory / "s")), cwd=directory, env=environment())
    assert ended.returncode != 0 and "ZeroDivisionError" in ended.stderr
    assert not (directory / "s").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_import_of_the_app(directory, number):
    (directory / "my_plugin.py").write_text('import time\nprint("importing", flush=True)\ntime.sleep(60)')
    arguments = command("my_plugin:app", "--socket", str(directory / "s"))
    with subprocess.Popen(arguments, cwd=directory, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "importing\n"
        process.send_signal(number)
        assert ends(process) == 128 + number


def test_signal_before_the_server_has_taken_over_ends_the_program(directory):
    (directory / "my_plugin.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\napp = None")
    ended = run(command("my_plugin:app", "--socket", str(directory / "s")), cwd=directory, env=environment())
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGTERM, "")


def test_socket_on_which_another_program_listens_is_left_to_it(listener):
    ended = run(command("my_plugin:app", "--socket", str(listener.path)), cwd=listener.files, env=environment())
    expected = f"outrigger: another program listens on {listener.path}; --socket chooses another path\n"
    assert (ended.returncode, ended.stderr) == (1, expected)
    assert accepts(listener.path)


def test_socket_of_another_program_is_not_removed_at_the_end(listener):
    assert Caller(listener.path).send("GET", "").status == 200, "the server has taken over the signals"
    listener.path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(listener.path))
        listener.terminate()
        assert ends(listener) == 0
    assert listener.path.is_socket()


def test_symbolic_link_is_not_followed(directory, listener):
    link = directory / "link"
    link.symlink_to(listener.path)
    ended = run(command("my_plugin:app", "--socket", str(link)), cwd=directory, env=environment())
    expected = f"outrigger: cannot listen on {link}: it is a symbolic link; --socket chooses another path\n"
    assert (ended.returncode, ended.stderr) == (1, expected)
    assert link.is_symlink()


@pytest.mark.parametrize("path", ["no/such/directory/s", "s" * 200])
def test_socket_that_cannot_be_made_is_an_error(directory, path):
    ended = run(command("my_plugin:app", "--socket", path), cwd=directory, env=environment())
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"outrigger: cannot listen on {path}: ") and ended.stderr.count("\n") == 1
    assert ended.stderr.endswith("; --socket chooses another path\n")


def test_wrong_app_is_an_error_of_one_line():
    ended = run(command("my_plugin.py"), env=environment())
    assert ended.returncode == 2 and "expected MODULE:APP, for example my_plugin:app" in ended.stderr
