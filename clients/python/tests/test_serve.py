"""`outrigger serve` before a fake bridge."""

import argparse
import asyncio
import contextlib
import http.client
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from conftest import TIMEOUT, Caller, eventually, served
from outrigger_plugin.cli import guard as guarding
from outrigger_plugin.cli import serving
from outrigger_plugin.cli.children import Child
from outrigger_plugin.cli.errors import Failure
from outrigger_plugin.cli.offer import Offer, of_app
from program import Outrigger, ends, environment, run

APP = ("my_plugin:app", "--insecure-no-auth")


@pytest.fixture
def outrigger(tmp_path):
    return Outrigger(tmp_path)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_bridge_serves_what_the_app_has(outrigger):
    with outrigger.serving(*APP) as process:
        assert process.lines[0] == f"serving shoutout, chat on http://127.0.0.1:{outrigger.port}\n"
        assert process.lines[1] == "  # replace the inputs by those of your task\n"
        assert process.lines[2] == (
            f"  curl -sS -X PUT http://127.0.0.1:{outrigger.port}/plugins/v1/shoutout/0 "
            """-d '{"inputs": {"text": "good night"}}' -H "idempotency-key: try-$RANDOM"\n"""
        )
        host = "127.0.0.1"
        assert outrigger.arguments == [
            *("--upstream", f"unix:{outrigger.socket}", "--protocol", "rest"),
            *("--task-types=shoutout", "--sync-task-types=chat"),
            *("--listen", f"{host}:{outrigger.port}", "--admin-listen", f"{host}:{outrigger.admin}"),
            *("--insecure-no-auth", "--drain-delay", "0s"),
        ]
        assert outrigger.journal[0]["upstream_answers"] and outrigger.journal[0]["mode"] == "0o700"
        assert Caller(outrigger.socket).create("shoutout/0", key="k").body == {"job_id": "k"}
        assert "a line of the bridge's log" in outrigger.log


def test_server_in_another_language_listens_on_the_socket_that_it_is_told(outrigger):
    program = (
        f'{sys.executable} -c \'import os, uvicorn; uvicorn.run("my_plugin:app", uds=os.environ["PLUGIN_SOCKET"])\''
    )
    with outrigger.serving("--command", program, "--insecure-no-auth") as process:
        assert process.lines[0] == f"serving shoutout, chat on http://127.0.0.1:{outrigger.port}\n"
        assert Caller(outrigger.socket).create("shoutout/0", key="k").body == {"job_id": "k"}


def test_ports_can_come_from_the_environment(outrigger):
    command = [sys.executable, "-m", "outrigger_plugin", "serve", "my_plugin:app"]
    ended = run(command, cwd=outrigger.files, env=environment(OUTRIGGER_PORT="0"))
    assert ended.returncode == 2 and "argument --port: expected a port from 1 to 65535, not '0'" in ended.stderr
    ended = run(command, cwd=outrigger.files, env=environment(OUTRIGGER_PORT="8", OUTRIGGER_ADMIN_PORT="8"))
    assert ended.returncode == 2 and "--port and --admin-port are both 8" in ended.stderr


@pytest.mark.parametrize(("code", "expected"), [(3, 3), (0, 1)])
def test_command_that_ends_is_an_error(outrigger, code, expected):
    ended = outrigger.run("--command", f"sh -c 'exit {code}'", "--insecure-no-auth")
    assert ended.returncode == expected
    assert ended.stderr == f"outrigger: the command \"sh -c 'exit {code}'\" ended with exit code {code}\n"
    assert outrigger.journal == []


def test_bridge_with_tokens_listens_on_every_interface(outrigger):
    outrigger.write(version=3)
    for file in ("auth.yaml", "a.key", "b.key"):
        (outrigger.files / file).touch()
    flags = ("--auth", "auth.yaml", "--handle-keys", "a.key,b.key", "--", "--log-level", "warn", "--tls-certificate=x")
    with outrigger.serving("my_plugin:app", *flags) as process:
        assert process.lines[0] == f"serving shoutout:3, chat on https://127.0.0.1:{outrigger.port}\n"
        assert "/plugins/v1/shoutout/3 " in process.lines[2]
        assert process.lines[2].endswith('-H "authorization: Bearer $TOKEN"\n')
        assert outrigger.arguments[4:] == [
            *("--task-types=shoutout:3", "--sync-task-types=chat"),
            *("--listen", f"0.0.0.0:{outrigger.port}", "--admin-listen", f"0.0.0.0:{outrigger.admin}"),
            *("--auth", "auth.yaml", "--handle-keys", "a.key,b.key"),
            *("--log-level", "warn", "--tls-certificate=x"),
        ]


def test_sync_task_types_alone_have_an_example(outrigger):
    with outrigger.serving("my_plugin:only_chat", "--insecure-no-auth") as process:
        assert process.lines[2].startswith("  curl -sS -X POST") and "--task-types" not in outrigger.arguments


def test_flags_and_environment_of_the_bridge_come_first(outrigger):
    with outrigger.serving(*APP, "--", "--drain-delay=3s"):
        assert "0s" not in outrigger.arguments
    (outrigger.files / "journal").unlink()
    with outrigger.serving("my_plugin:app", PLUGIN_INSECURE_NO_AUTH="true", PLUGIN_DRAIN_DELAY="3s"):
        assert "--drain-delay" not in outrigger.arguments and "--insecure-no-auth" not in outrigger.arguments
        # Anybody could submit jobs there.
        assert f"127.0.0.1:{outrigger.port}" in outrigger.arguments


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_the_bridge_before_the_server(outrigger, number):
    with outrigger.serving(*APP) as process:
        directory = outrigger.socket.parent
        process.send_signal(number)
        assert ends(process) == 0
    assert outrigger.journal[1:] == [{"signal": signal.SIGTERM, "upstream_answers": True}]
    assert not directory.exists()


def test_ctrl_c_in_a_terminal_reaches_the_bridge_through_the_program_only(outrigger):
    with outrigger.serving(*APP) as process:
        assert os.getpgid(outrigger.journal[0]["pid"]) != os.getpgid(process.pid)


def test_exit_code_after_a_signal_is_the_bridges(outrigger):
    with outrigger.serving(*APP, "--", "--exit-on-signal-with=5") as process:
        process.terminate()
        assert ends(process) == 5


def test_second_signal_ends_everything_at_once(outrigger):
    with outrigger.serving(*APP, "--", "--deaf") as process:
        process.terminate()
        eventually(lambda: len(outrigger.journal) == 2, "the bridge has seen the first signal")
        words = "outrigger: the bridge has not ended its calls yet; press Ctrl-C again to stop now\n"
        eventually(lambda: words in outrigger.log, "the log says what a second signal does")
        process.terminate()
        assert ends(process) == 128 + signal.SIGKILL
    assert not outrigger.socket.exists()


def test_bridge_that_ends_ends_everything(outrigger):
    ended = outrigger.run(*APP, "--", "--exit-with=3")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.endswith("outrigger: the bridge ended with exit code 3\n")


def test_bridge_that_is_killed_ends_everything(outrigger):
    with outrigger.serving(*APP) as process:
        os.kill(outrigger.journal[0]["pid"], signal.SIGKILL)
        assert ends(process) == 128 + signal.SIGKILL
    assert not outrigger.socket.exists()


def test_server_that_ends_ends_everything(outrigger):
    with outrigger.serving(*APP) as process:
        with pytest.raises(OSError):
            Caller(outrigger.socket).poll("shoutout/0", "end")
        assert ends(process) == 7
    assert outrigger.log.endswith("outrigger: the server of my_plugin:app ended with exit code 7\n")
    assert not alive(outrigger.journal[0]["pid"])


def test_app_is_reloaded_when_its_file_changes(outrigger):
    with outrigger.serving(*APP, "--reload"):
        caller = Caller(outrigger.socket)

        def version():
            try:
                return caller.send("GET", "").body["plugins"][0]["version"]
            except OSError:
                return None

        assert version() == 0
        # The second and third as soon as the one before is served.
        for number in (42, 43, 44):
            outrigger.write(version=number)
            eventually(lambda number=number: version() == number, "the app is reloaded")
    assert not outrigger.socket.exists()


@pytest.mark.parametrize(
    "app, seen",
    [
        ("absent:app", "Could not import module"),
        ("my_plugin:absent", "Attribute"),
        ("broken:app", "has no task type: write task_type"),
        ("wrong:number", "it is of the type int, not an app"),
        ("wrong:Bare", "it is the class Bare, not an app"),
    ],
)
def test_app_that_cannot_be_imported_is_an_error(outrigger, app, seen):
    text = (outrigger.files / "my_plugin.py").read_text()
    (outrigger.files / "broken.py").write_text(text.replace('"shoutout"', '""'))
    (outrigger.files / "wrong.py").write_text("number = 5\nclass Bare: pass\n")
    ended = outrigger.run(app, "--insecure-no-auth")
    assert ended.returncode == 1 and seen in ended.stderr
    assert ended.stderr.startswith(f"outrigger: {app} cannot be loaded: ")
    assert ended.stderr.endswith(f"outrigger: the server of {app} ended with exit code 1\n")
    # The author's own lines, and none of uvicorn's or Python's.
    assert ended.stderr.count("File ") == ended.stderr.count('broken.py", line ')
    assert outrigger.journal == []


def test_syntax_error_shows_its_line(outrigger):
    (outrigger.files / "my_plugin.py").write_text("import os\ndef broken(:\n")
    ended = outrigger.run(*APP)
    assert 'my_plugin.py", line 2\n    def broken(:' in ended.stderr
    assert len(ended.stderr.splitlines()) < 8


def asking(caller):
    """Two functions that create a job: its answer, None where nobody listens; and its answer if that is a refusal."""

    def ask():
        with contextlib.suppress(OSError, http.client.HTTPException):
            return caller.create("shoutout/0", key="k")

    def refused():
        return answer if (answer := ask()) and answer.status == 503 else None

    return ask, refused


@pytest.mark.parametrize(
    "line, expected",
    [
        ("import absent_{}", "ModuleNotFoundError: No module named 'absent_"),
        ("raise SystemExit('a setting is missing: {}')", "SystemExit: a setting is missing: "),
    ],
)
def test_broken_file_answers_calls_until_it_is_repaired(outrigger, line, expected):
    with outrigger.serving(*APP, "--reload"):
        caller = Caller(outrigger.socket)

        ask, refused = asking(caller)
        assert ask().body == {"job_id": "k"}
        (outrigger.files / "my_plugin.py").write_text(line.format(1))
        answer = eventually(refused, "calls are answered")
        assert answer.body["error_code"] == "APP_NOT_LOADED"
        assert answer.body["message"].startswith(f"my_plugin:app cannot be loaded: {expected}")
        outrigger.write(version=0)
        eventually(lambda: (answer := ask()) and answer.status == 200, "the app is back")


@pytest.mark.parametrize(
    ("line", "ending"),
    [
        ("os._exit(3)", "ended with exit code 3"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "was ended by SIGSEGV"),
    ],
)
def test_process_of_an_app_that_ends_answers_calls_until_the_file_is_repaired(outrigger, line, ending):
    with outrigger.serving(*APP, "--reload"):
        caller = Caller(outrigger.socket)

        ask, refused = asking(caller)
        (outrigger.files / "my_plugin.py").write_text(f"import os, signal\n{line}\n")
        answer = eventually(refused, "calls are answered")
        assert answer.body["error_code"] == "APP_ENDED"
        assert answer.body["message"] == f"the process of my_plugin:app {ending}; save a file to start it again"
        assert ask().status == 503
        assert outrigger.log.count(ending) == 1
        outrigger.write(version=0)
        eventually(lambda: (answer := ask()) and answer.status == 200, "the app is back")
        with pytest.raises((OSError, http.client.HTTPException)):
            caller.poll("shoutout/0", "end")
        assert ask().body["message"].startswith("the process of my_plugin:app ended with exit code 7")
    assert not outrigger.socket.exists()


def test_process_that_is_deaf_is_replaced_when_the_file_is_repaired(outrigger):
    with outrigger.serving(*APP, "--reload"):
        caller = Caller(outrigger.socket)
        ask, _ = asking(caller)
        mark = outrigger.files / "imported"
        loop = f"open({str(mark)!r}, 'w').close()\nwhile True:\n    pass\n"
        (outrigger.files / "my_plugin.py").write_text(loop)
        eventually(mark.exists, "the broken file is imported")
        outrigger.write(version=0)
        eventually(lambda: (answer := ask()) and answer.status == 200, "the app is back")
        assert outrigger.log.count("the process of my_plugin:app has not ended within 5 s, and is killed") == 1


def test_app_whose_process_ends_at_the_start_is_waited_for(outrigger):
    (outrigger.files / "my_plugin.py").write_text("import os\nos._exit(3)\n")
    log = outrigger.files / "log"

    def repair():
        eventually(lambda: log.exists() and "ended with exit code 3" in outrigger.log, "the log says so")
        for number in itertools.count():
            outrigger.write(version=number)
            if stop.wait(1):
                return

    stop = threading.Event()
    repairing = threading.Thread(target=repair)
    repairing.start()
    try:
        with outrigger.serving(*APP, "--reload") as process:
            assert process.lines[0].startswith("serving shoutout")
    finally:
        stop.set()
        repairing.join(TIMEOUT)


def test_program_that_is_killed_leaves_nothing(outrigger):
    with outrigger.serving(*APP) as process:
        socket, pid = outrigger.socket, outrigger.journal[0]["pid"]
        process.kill()
        eventually(lambda: not alive(pid), "the bridge ends")

        def is_closed():
            try:
                Caller(socket).send("GET", "")
            except OSError:
                return True
            return False

        eventually(is_closed, "the server of plugins ends")


def test_child_that_is_deaf_is_killed_in_the_end():
    script = "trap '' TERM; echo deaf; while :; do sleep 0.1; done"
    deaf = subprocess.Popen(["sh", "-c", script], start_new_session=True, stdout=subprocess.PIPE)
    with deaf.stdout as said:
        said.readline()
    guard = ["sh", "-c", guarding.SCRIPT, "guard", str(deaf.pid), "1"]
    subprocess.run(guard, stdin=subprocess.DEVNULL, check=True, timeout=TIMEOUT)
    assert deaf.wait(TIMEOUT) == -signal.SIGKILL


def test_child_that_has_just_ended_keeps_its_exit_code(caplog):
    async def stopped():
        child = await Child.start("it", ["sh", "-c", "echo running; exec sleep 100"], stdout=write)
        os.read(read, 100)
        child.kill()
        # The loop has not noticed yet that it has ended.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, child.process.pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - it must not run
        await child.stop()
        return child.exit_code

    read, write = os.pipe()
    try:
        assert [asyncio.run(stopped()) for _ in range(5)] == [128 + signal.SIGKILL] * 5
    finally:
        os.close(read)
        os.close(write)
    assert caplog.records == []


def test_app_without_plugins_is_an_error(outrigger):
    ended = outrigger.run("my_plugin:silent", "--insecure-no-auth")
    assert ended.returncode == 1
    assert ended.stderr == ("outrigger: my_plugin:silent serves no plugins: it answered GET /plugins/v1 with 418\n")


def test_port_in_use_is_an_error(outrigger):
    with socket.socket() as other:
        other.bind(("127.0.0.1", outrigger.admin))
        other.listen()
        ended = outrigger.run(*APP)
    assert ended.returncode == 1
    expected = f"outrigger: cannot listen on 127.0.0.1:{outrigger.admin}: Address already in use; "
    assert ended.stderr.startswith(expected) and ended.stderr.count("\n") == 1


def test_bridge_is_found_on_path_behind_another_program_of_its_name(outrigger):
    other = outrigger.files / "other"
    other.mkdir()
    (other / "bridge").write_text('#!/bin/sh\necho "Option is unknown"\nexit 255\n')
    (other / "bridge").chmod(0o755)
    missing = outrigger.run(*APP, bridge=False, PATH=str(other))
    assert missing.returncode == 1 and outrigger.journal == []
    assert missing.stderr.startswith("outrigger: Outrigger's program 'bridge' is neither in ")
    assert missing.stderr.endswith("nor on PATH; name it with --bridge PATH\n")
    path = f"{other}:{outrigger.files}:{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    found = outrigger.run(*APP, "--", "--exit-with=9", bridge=False, PATH=path)
    assert found.returncode == 9 and len(outrigger.journal) == 1


def test_flags_of_the_bridge_are_its_own_to_explain(outrigger):
    (outrigger.files / "bridge").write_text('#!/bin/sh\necho "bridge $*"\n')
    ended = outrigger.run("--", "--help")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "bridge --help\n", "")


def test_bridge_that_is_no_program_is_an_error(outrigger):
    ended = outrigger.run(*APP, "--bridge", "/absent", bridge=False, PATH="")
    expected = "outrigger serve: --bridge: /absent is not a program (see outrigger serve --help)\n"
    assert (ended.returncode, ended.stderr) == (2, expected)


@pytest.mark.parametrize(
    "flags, expected",
    [
        (["--auth", "absent.yaml", "--handle-keys", "a.key"], "--auth absent.yaml: No such file or directory"),
        (["--auth", ".", "--handle-keys", "a.key"], "--auth .: Is a directory"),
        (["--insecure-no-auth", "--handle-keys", "a.key,absent.key"], "--handle-keys absent.key: No such file or"),
    ],
)
def test_file_that_cannot_be_read_is_an_error_before_anything_starts(outrigger, flags, expected):
    (outrigger.files / "a.key").touch()
    ended = outrigger.run("my_plugin:app", *flags, PATH="")
    assert ended.returncode == 2 and ended.stderr.startswith(f"outrigger serve: {expected}")
    assert outrigger.journal == []


def test_terminal_gets_colours_and_logs_for_people(outrigger):
    ours, theirs = os.openpty()
    command = outrigger.command(*APP)
    env = outrigger.settings({"TERM": "xterm"})
    process = subprocess.Popen(command, cwd=outrigger.files, env=env, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        seen = b""
        while b"curl" not in seen:
            seen += os.read(ours, 4096)
    finally:
        process.terminate()
        process.wait(TIMEOUT)
        os.close(ours)
    assert b"\033[1mserving shoutout, chat on " in seen
    assert outrigger.arguments[-4:] == ["--log-format", "pretty", "--drain-delay", "0s"]


def test_wait_has_a_reason_now_and_then(monkeypatch, capsys):
    monkeypatch.setattr(serving, "PATIENCE", 0)
    answers = iter(["not yet", "still not", Offer((), ())])
    asyncio.run(serving.patiently(lambda: next(answers), None))
    assert capsys.readouterr().err == "outrigger: not yet; waiting for 0 s\noutrigger: still not; waiting for 0 s\n"


@pytest.mark.parametrize("app, command, name", [(None, "sleep 9", "'sleep 9'"), ("a:b", None, "a:b")])
def test_wait_for_a_server_has_an_end(tmp_path, app, command, name):
    options = argparse.Namespace(app=app, command=command, connectors=None, limit=0)
    with pytest.raises(Failure) as failure:
        asyncio.run(serving.listening(options, tmp_path / "s"))
    assert str(failure.value) == f"{name} does not listen on $PLUGIN_SOCKET ({tmp_path}/s)"


def test_answer_of_an_app_has_a_bound():
    async def endless(scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b" " * (1 << 20) + b" "})

    with served(endless) as caller, pytest.raises(Failure) as failure:
        of_app("my_plugin:endless", caller.path)
    expected = "my_plugin:endless serves no plugins: its answer to GET /plugins/v1 has more than 1048576 bytes"
    assert str(failure.value) == expected


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ([], "expected MODULE:APP, --command or --connectors"),
        (["my_plugin", "--insecure-no-auth"], "expected MODULE:APP, for example my_plugin:app, not 'my_plugin'"),
        (["my_plugin.py:app", "--insecure-no-auth"], "expected MODULE:APP, for example"),
        (["a/b:app", "--insecure-no-auth"], "expected MODULE:APP, for example"),
        (["my_plugin:app"], "expected --insecure-no-auth (this machine only), or --auth FILE"),
        (["my_plugin:app", "--task-types", "a"], "--task-types and --sync-task-types: only with --connectors"),
        (["my_plugin:app", "--port", "0"], "argument --port: expected a port from 1 to 65535, not '0'"),
        (["my_plugin:app", "--port", "1", "--admin-port", "1"], "--port and --admin-port are both 1"),
        (["my_plugin:app", "--auth", "x", "--insecure-no-auth"], "argument --insecure-no-auth: not allowed with"),
        (["--connectors", "a", "--insecure-no-auth"], "--connectors: needs --task-types or --sync-task-types"),
        (["--connectors", "--task-types", "a", "--reload"], "--reload: only for an app"),
        (["a:b", "--connectors", "c"], "MODULE:APP, --command and --connectors: expected one of them"),
        (["a:b", "--command", "c"], "MODULE:APP and --command: expected one of them"),
        (["--command", "a", "--connectors", "c"], "MODULE:APP, --command and --connectors: expected one of them"),
        (["--command", "it's"], "--command: expected a command, as a shell reads it"),
        (["--command", ""], "--command: expected a command, as a shell reads it"),
        (["--command", "a", "--reload"], "--reload: only for an app"),
        (["--command", "a", "--task-types", "b"], "--task-types and --sync-task-types: only with --connectors"),
        (["my_plugin:app", "--unknown"], "unrecognized arguments: --unknown"),
    ],
)
def test_wrong_arguments_are_an_error_of_one_line(arguments, expected):
    alone = environment(PATH="")
    ended = run([sys.executable, "-m", "outrigger_plugin", "serve", *arguments], env=alone)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert expected in ended.stderr and ended.stderr.count("\n") == 1
    assert ended.stderr.endswith(" (see outrigger serve --help)\n")
