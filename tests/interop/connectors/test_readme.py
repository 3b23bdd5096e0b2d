"""What the README of the bridge, and that of the package for authors, tell readers with connectors to do."""

import contextlib
import os
import pathlib
import re
import secrets
import shlex
import signal
import subprocess
import sys
import urllib.request

import pytest
import yaml
from callers import Rest, task
from conftest import PROGRAMS, ROOT, environment, eventually, free_port, write_auth

BRIDGE = ROOT / "services" / "bridge" / "README.md"
PACKAGE = ROOT / "clients" / "python" / "README.md"
MY_CONNECTORS = """
from sleeping import SleepingConnector
from flytekit.extend.backend.base_connector import ConnectorRegistry

ConnectorRegistry.register(SleepingConnector("my_task"))
"""


def block(page, info, word):
    """The fenced block of this type that has `word`."""
    found = re.findall(rf"^```{info}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    (text,) = [text for text in found if word in text]
    return text


@pytest.fixture
def folder(tmp_path):
    """A reader's folder."""
    (tmp_path / "my_connectors.py").write_text(MY_CONNECTORS)
    (tmp_path / "journal").touch()
    return tmp_path


@pytest.fixture
def admin():
    return free_port()


def ports(text, *numbers):
    """`text` with ports that are free, and these."""
    free = [free_port() for _ in numbers]
    for number, port in zip(numbers, free, strict=True):
        text = text.replace(number, str(port))
    return text, *free


def reader(folder, **more):
    """The environment of a reader who has installed everything."""
    own = pathlib.Path(sys.executable).parent
    paths = os.pathsep.join((str(PROGRAMS), str(own), os.environ["PATH"]))
    python = os.pathsep.join(map(str, (folder, pathlib.Path(__file__).parent, ROOT / "clients/python/src")))
    return environment(PATH=paths, PYTHONPATH=python, CONNECTOR_JOURNAL=str(folder / "journal"), **more)


@contextlib.contextmanager
def running(command, folder, env):
    """A command, with whatever it starts."""
    with open(folder / "log", "a") as log:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=40)


def is_ready(admin):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def runs_to_its_end(api, task_type, job):
    caller = Rest(f"http://127.0.0.1:{api}")
    handle = caller.create(task(task_type, job, polls=1))
    return caller.poll_to_end(task_type, handle)[-1].phase


def test_bridge_before_connectors_on_a_laptop(folder, admin, job):
    script, _, _, api = ports(block(BRIDGE, "sh", "pyflyte serve"), "8701", "9701", "8000")
    env = reader(folder, PLUGIN_ADMIN_LISTEN=f"127.0.0.1:{admin}")
    with running(["bash", "-ec", script], folder, env):
        eventually(lambda: is_ready(admin), "the bridge is ready")
        assert runs_to_its_end(api, "my_task", job) == "SUCCEEDED"


def test_containers_of_a_pod(folder):
    secret = write_auth(folder)
    (folder / "handle.key").write_bytes(secrets.token_bytes(32))
    text = block(BRIDGE, "yaml", "containers:")
    text = text.replace("/etc/outrigger/auth", str(folder)).replace("/etc/outrigger/keys", str(folder))
    text, *_ = ports(text, "8701", "9701")
    containers = {container["name"]: container for container in yaml.safe_load(text)["containers"]}
    api, admin = free_port(), free_port()
    assert containers["bridge"]["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": 9090}
    bridge = [PROGRAMS / "bridge", *containers["bridge"]["args"]]
    bridge += [f"--listen=127.0.0.1:{api}", f"--admin-listen=127.0.0.1:{admin}"]
    with running(containers["connectors"]["args"], folder, reader(folder)), running(bridge, folder, reader(folder)):
        eventually(lambda: is_ready(admin), "the bridge is ready")
    assert secret not in (folder / "log").read_text()


def test_connectors_with_outrigger(folder, admin, job):
    install, *serve = block(PACKAGE, "console", "serve --connectors").splitlines()
    # Nothing is installed into the environment of these tests.
    subprocess.check_call([sys.executable, "-m", *shlex.split(install), "--quiet", "--dry-run"])
    assert len(serve) == 2
    for command in serve:
        words = shlex.split(command)
        assert words[0] == "outrigger"
        api = free_port()
        env = reader(folder, OUTRIGGER_PORT=str(api), OUTRIGGER_ADMIN_PORT=str(admin), OPENAI_API_KEY="none")
        with running([sys.executable, "-m", "outrigger_plugin", *words[1:]], folder, env):
            eventually(lambda: is_ready(admin), "the bridge is ready")
            if "my_task" in words:
                assert runs_to_its_end(api, "my_task", job) == "SUCCEEDED"
