"""Connectors of both versions of Flyte, as their own SDKs serve them, and bridges before them."""

import base64
import contextlib
import dataclasses
import hashlib
import hmac
import importlib.metadata
import json
import os
import pathlib
import platform
import random
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid

import fake_bigquery
import fake_openai
import fake_slurm
import moto_sagemaker
import pytest
from callers import CALLERS, TIMEOUT, Flyte1, Flyte2

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
PROGRAMS = pathlib.Path(os.environ.get("OUTRIGGER_PROGRAMS", TARGET / "debug"))
ISSUER = "https://interop.example.com"
AUDIENCE = "connectors"
SDKS = ("flytekit", "flyteidl", "flyte", "flyteidl2", "grpcio")


def pytest_configure(config):
    # From Flyte 2's SDK, which the requests are made with.
    config.addinivalue_line("filterwarnings", "ignore:Support for class-based `config`:DeprecationWarning")


def pytest_terminal_summary(terminalreporter):
    """Prints the versions of Flyte's own code that ran."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in SDKS]
    terminalreporter.write_line(f"with Python {platform.python_version()}, {', '.join(versions)}")


def free_port():
    # Below the ephemeral ports: the system could assign one of those before a program listens on it.
    for port in random.sample(range(12000, 32000), 100):
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def eventually(condition, what):
    """Waits until `condition()` is true, and returns what it gave."""
    until = time.monotonic() + TIMEOUT
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not in time: {what}")


def environment(**more):
    """This environment without what configures Flyte or a service."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BRIDGE_", "FLYTE", "PLUGIN_"))}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", **more}


def program(name):
    """A program in this Python environment."""
    return str(pathlib.Path(sys.executable).parent / name)


@dataclasses.dataclass
class Connectors:
    """A process that serves connectors."""

    address: str
    command: list
    files: pathlib.Path
    dialect: type = Flyte1
    env: dict = dataclasses.field(default_factory=dict)
    process: subprocess.Popen = None

    def start(self):
        env = environment(CONNECTOR_JOURNAL=str(self.files / "journal"), PYTHONPATH=str(HERE), **self.env)
        (self.files / "journal").touch()
        with open(self.files / "log", "a") as log:
            self.process = subprocess.Popen(self.command, cwd=self.files, env=env, stdout=log, stderr=subprocess.STDOUT)
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def directly(self):
        """A caller without a bridge between."""
        return self.dialect(self.address)

    def calls(self, job):
        """The calls about `job`, in their order."""
        lines = (line.rsplit(" ", 1) for line in (self.files / "journal").read_text().splitlines())
        return [verb for verb, about in lines if about == job]

    @property
    def log(self):
        return (self.files / "log").read_text()


def on_socket(files, *modules):
    path = files / "connectors.sock"
    return Connectors(f"unix:{path}", [sys.executable, HERE / "serve_on_socket.py", path, *modules], files)


def on_port(files, command, dialect, *modules):
    port = free_port()
    command = [*command, f"--port={port}", f"--prometheus_port={free_port()}"]
    command += [f"--modules={module}" for module in modules]
    return Connectors(f"http://127.0.0.1:{port}", command, files, dialect)


@pytest.fixture(scope="session")
def openai():
    with fake_openai.running() as fake:
        yield fake
        assert fake.invalid == []


@pytest.fixture(scope="session")
def sagemaker():
    with moto_sagemaker.running() as moto:
        yield moto
        assert moto.unsigned == []


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    with fake_slurm.running(tmp_path_factory.mktemp("slurm")) as fake:
        yield fake
        assert fake.problems == []


@pytest.fixture(scope="session")
def vendors(openai, sagemaker, slurm, tmp_path_factory):
    """The environment in which connectors call the fakes."""
    with fake_bigquery.running(PROGRAMS / "fake-upstream", tmp_path_factory.mktemp("google")) as google:
        yield {**google, **openai.environment, **sagemaker.environment, **slurm.environment}


@pytest.fixture(scope="session")
def processes(vendors, tmp_path_factory):
    """All connectors. They start side by side, because each takes seconds to import its SDK."""
    files = {name: tmp_path_factory.mktemp(name) for name in ("flytekit", "pyflyte", "flyte2", "mortal")}
    pyflyte = [program("pyflyte"), "serve", "connector"]
    started = {
        "flytekit": on_socket(files["flytekit"], "sleeping", "failing", "pickled", "greeting"),
        "pyflyte": on_port(files["pyflyte"], pyflyte, Flyte1, "sleeping", "failing", "greeting"),
        "flyte2": on_port(files["flyte2"], [program("c0")], Flyte2, "flyte2_connectors"),
        "mortal": on_socket(files["mortal"], "sleeping"),
    }
    try:
        for connectors in started.values():
            connectors.env = vendors
            connectors.start()
        yield started
    finally:
        for connectors in started.values():
            if connectors.process:
                connectors.kill()


@dataclasses.dataclass
class Bridge:
    """A running bridge and the connectors behind it."""

    connectors: Connectors
    process: subprocess.Popen
    api: str
    admin: str
    secret: str
    files: pathlib.Path

    def token(self, subject="propeller"):
        """An HS256 token that the bridge accepts."""

        def part(data):
            return base64.urlsafe_b64encode(data).rstrip(b"=")

        header = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "exp": int(time.time()) + 600}
        message = header + b"." + part(json.dumps(claims).encode())
        signature = hmac.new(self.secret.encode(), message, hashlib.sha256).digest()
        return (message + b"." + part(signature)).decode()

    def caller(self, kind=Flyte1, **more):
        return kind(self.api, self.token(), **more)

    @property
    def readiness(self):
        """The status and body of /readyz."""
        try:
            with urllib.request.urlopen(f"{self.admin}/readyz", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    @property
    def log(self):
        """Everything that it has logged. It writes a line up to 20 ms after the event."""
        time.sleep(0.1)
        return (self.files / "log").read_text()

    def is_ready(self):
        assert self.process.poll() is None, self.log
        assert self.connectors.process.poll() is None, self.connectors.log
        return self.readiness[0] == 200


def write_auth(files):
    """Writes an authentication file. Returns the issuer's secret."""
    secret = secrets.token_hex(32)
    (files / "issuer.secret").write_text(secret)
    (files / "auth.yaml").write_text(
        f"""
issuers:
  - name: interop
    issuer: {ISSUER}
    audiences: [{AUDIENCE}]
    key: {{hs256_secret_file: {files}/issuer.secret}}
rules:
  - {{issuer: interop, sub: propeller, role: propeller}}
"""
    )
    return secret


@contextlib.contextmanager
def bridge_before(connectors, files, *flags, wait=True):
    secret = write_auth(files)
    (files / "handle.key").write_bytes(secrets.token_bytes(32))
    api, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
    command = [PROGRAMS / "bridge", f"--listen={api}", f"--admin-listen={admin}", f"--auth={files}/auth.yaml"]
    command += [f"--handle-keys={files}/handle.key", "--drain-delay=0s"]
    command += [f"--upstream={connectors.address}", *flags]
    with open(files / "log", "w") as log:
        process = subprocess.Popen(command, env=environment(), stdout=log, stderr=subprocess.STDOUT)
    bridge = Bridge(connectors, process, f"http://{api}", f"http://{admin}", secret, files)
    try:
        if wait:
            eventually(bridge.is_ready, "the bridge is ready")
        yield bridge
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="session")
def flytekit_bridge(processes, tmp_path_factory):
    """Before flytekit's connectors on a Unix socket."""
    flags = ["--task-types=sleeping,failing,pickled,sensor,bigquery_query_job_task", "--sync-task-types=greeting"]
    with bridge_before(processes["flytekit"], tmp_path_factory.mktemp("bridge"), *flags) as bridge:
        yield bridge


@pytest.fixture(scope="session")
def pyflyte_bridge(processes, tmp_path_factory):
    """Before `pyflyte serve connector` on loopback."""
    flags = ["--task-types=sleeping,bigquery_query_job_task,openai-batch,sagemaker-endpoint"]
    flags += ["--sync-task-types=greeting,webhook,chatgpt,boto"]
    with bridge_before(processes["pyflyte"], tmp_path_factory.mktemp("bridge"), *flags) as bridge:
        yield bridge


@pytest.fixture(scope="session")
def flyte2_bridge(processes, tmp_path_factory):
    """Before Flyte 2's `c0` on loopback."""
    flags = ["--task-types=sleeping,failing,connected,bigquery_query_job_task,slurm,slurm_script"]
    with bridge_before(processes["flyte2"], tmp_path_factory.mktemp("bridge"), *flags) as bridge:
        yield bridge


@pytest.fixture(params=["flytekit_bridge", "pyflyte_bridge", "flyte2_bridge"])
def bridge(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(params=CALLERS, ids=lambda kind: kind.__name__)
def kind(request):
    """How a caller calls."""
    return request.param


@pytest.fixture
def job():
    """The name of a job of this test alone: the processes are shared."""
    return f"job-{uuid.uuid4().hex}"
