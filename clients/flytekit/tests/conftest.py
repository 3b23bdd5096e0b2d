"""Services with fake vendors, as separate programs; the environment of callers."""

import atexit
import base64
import contextlib
import dataclasses
import functools
import hashlib
import hmac
import importlib.metadata
import json
import os
import pathlib
import platform
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from fork_server import ForkServer

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
PROGRAMS = pathlib.Path(os.environ.get("OUTRIGGER_PROGRAMS", TARGET / "debug"))
ISSUER = "https://laptop.example.com"
AUDIENCE = "connectors"
# A shell's background jobs ignore Ctrl-C, and so do their children; those of these tests must not. (Not with
# preexec_fn: that forks, which gRPC's threads do not survive.)
signal.signal(signal.SIGINT, signal.default_int_handler)

UPSTREAM = ("flytekit", "flyteidl", "flyte", "flyteidl2", "grpcio")


def pytest_terminal_summary(terminalreporter):
    """Prints the versions of Flyte's own code that ran."""
    versions = [f"Python {platform.python_version()}"]
    for name in UPSTREAM:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{name} {importlib.metadata.version(name)}")
    terminalreporter.write_line(f"with {', '.join(versions)}")


def free_port():
    # Below the ephemeral ports: the system could assign one of those before a program listens on it.
    for port in random.sample(range(12000, 32000), 100):
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def fetch(url, **headers):
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


@dataclasses.dataclass
class Service:
    """A running service and its fake vendor."""

    url: str
    upstream: str
    secret: str
    process: subprocess.Popen
    files: pathlib.Path

    def token(self, subject="ada", **claims):
        """An HS256 token that the service accepts."""

        def part(data):
            return base64.urlsafe_b64encode(data).rstrip(b"=")

        header = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "exp": int(time.time()) + 600, **claims}
        message = header + b"." + part(json.dumps(claims).encode())
        signature = hmac.new(self.secret.encode(), message, hashlib.sha256).digest()
        return (message + b"." + part(signature)).decode()

    def settings(self, **more):
        """The environment of a caller of this service."""
        return {"OUTRIGGER_ENDPOINT": self.url, "OUTRIGGER_TOKEN": self.token(), **more}

    def jobs(self):
        """The number of jobs that the vendor has started."""
        name = {"databricks": "runs", "snowflake": "statements"}.get(self.vendor, "jobs")
        return fetch(f"{self.upstream}/fake/{name}")

    @property
    def vendor(self):
        return pathlib.Path(self.process.args[0]).name


def wait_until_ready(admin, process, log):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(f"http://{admin}/readyz", timeout=1)
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"the service is not ready: {log.read_text()}")


@contextlib.contextmanager
def fake_upstream(*arguments):
    """A fake vendor; its URL."""
    fake = subprocess.Popen([PROGRAMS / "fake-upstream", *arguments], stdout=subprocess.PIPE, text=True)
    try:
        yield fake.stdout.readline().strip()
    finally:
        fake.kill()
        fake.wait()


def write_auth(files):
    """Writes an authentication file in which everyone except eve is a user. Returns the issuer's secret."""
    secret = secrets.token_hex(32)
    (files / "issuer.secret").write_text(secret)
    (files / "auth.yaml").write_text(
        f"""
issuers:
  - name: laptop
    issuer: {ISSUER}
    audiences: [{AUDIENCE}]
    key: {{hs256_secret_file: {files}/issuer.secret}}
rules:
  - {{issuer: laptop, sub: eve, role: user, verbs: [get, list]}}
  - {{issuer: laptop, role: user}}
"""
    )
    return secret


def without_identities(**more):
    """This environment, without the vendors' credentials."""
    own = ("HOME", "GOOGLE_APPLICATION_CREDENTIALS")
    kept = {k: v for k, v in os.environ.items() if k not in own and not k.startswith("AWS_")}
    return {**kept, **more}


@contextlib.contextmanager
def service(files, vendor, upstream, *flags, port=None, **environment):
    """The service of ``vendor`` in front of ``upstream``."""
    secret = write_auth(files)
    (files / "handle.key").write_bytes(secrets.token_bytes(32))
    api, admin = (f"127.0.0.1:{p}" for p in (port or free_port(), free_port()))
    command = [PROGRAMS / vendor, f"--listen={api}", f"--admin-listen={admin}", f"--auth={files}/auth.yaml"]
    command += [f"--handle-keys={files}/handle.key", "--drain-delay=0s", *flags]
    command += [f"--endpoint={upstream}"] if upstream else []
    with serving(command, files, admin, without_identities(**environment)) as process:
        yield Service(f"http://{api}", upstream, secret, process, files)


@contextlib.contextmanager
def serving(command, files, admin, env, cwd=None):
    """The process of a service that is ready."""
    with open(files / "log", "w") as log:
        process = subprocess.Popen(command, cwd=cwd, env=env, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until_ready(admin, process, files / "log")
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextlib.contextmanager
def plugins(files, module):
    """The bridge before the app in the file ``module``."""
    secret = write_auth(files)
    (files / "handle.key").write_bytes(secrets.token_bytes(32))
    port, admin = free_port(), free_port()
    command = [sys.executable, "-m", "outrigger_plugin", "serve", f"{module.stem}:app", f"--bridge={PROGRAMS}/bridge"]
    command += [f"--auth={files}/auth.yaml", f"--handle-keys={files}/handle.key"]
    command += [f"--port={port}", f"--admin-port={admin}", "--", "--drain-delay=0s"]
    env = environment(PYTHONPATH=str(ROOT / "clients/python/src"))
    with serving(command, files, f"127.0.0.1:{admin}", env, cwd=module.parent) as process:
        yield Service(f"http://127.0.0.1:{port}", "", secret, process, files)


@contextlib.contextmanager
def bigquery(files, *scripted, **more):
    with fake_upstream("bigquery", *scripted) as upstream:
        host = upstream.removeprefix("http://")
        with service(files, "bigquery", upstream, GCE_METADATA_HOST=host, **more) as running:
            yield running


@contextlib.contextmanager
def databricks(files, *scripted, flags=()):
    flags = ("--instances=acme.cloud.databricks.com", *flags)
    with fake_upstream("databricks", *scripted) as upstream:
        with service(files, "databricks", upstream, *flags, _FSEC_DATABRICKS_TOKEN="dapi-test") as running:
            yield running


@contextlib.contextmanager
def snowflake(files, *scripted):
    subprocess.run(
        ["openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-out", files / "user.pem"], check=True, timeout=60
    )
    key = (files / "user.pem").read_text()
    with fake_upstream("snowflake", f"--key={files}/user.pem", *scripted) as upstream:
        with service(
            files, "snowflake", upstream, "--accounts=ACMEORG-ANALYTICS", _FSEC_SNOWFLAKE_PRIVATE_KEY=key
        ) as running:
            yield running


# The keys of AWS's documentation, which belong to nobody.
AWS_KEYS = {
    "_FSEC_AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "_FSEC_AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
}
AWS_FLAGS = {
    "athena": (),
    "aws-batch": ("--job-queues=etl",),
    "redshift": ("--workgroups=sales", "--databases=dev"),
    "sagemaker": ("--execution-roles=arn:aws:iam::111122223333:role/ml-*",),
}


@contextlib.contextmanager
def aws(files, vendor, *scripted):
    """The service of a vendor of AWS."""
    with fake_upstream(vendor, *scripted) as upstream:
        with service(files, vendor, upstream, "--region=eu-central-1", *AWS_FLAGS[vendor], **AWS_KEYS) as running:
            yield running


@pytest.fixture(scope="session")
def bigquery_service(tmp_path_factory):
    with bigquery(tmp_path_factory.mktemp("bigquery")) as running:
        yield running


@pytest.fixture(scope="session")
def databricks_service(tmp_path_factory):
    with databricks(tmp_path_factory.mktemp("databricks"), flags=["--spark"]) as running:
        yield running


@pytest.fixture(scope="session")
def snowflake_service(tmp_path_factory):
    with snowflake(tmp_path_factory.mktemp("snowflake")) as running:
        yield running


@pytest.fixture(scope="session")
def echo_service(tmp_path_factory):
    """A service without a vendor, which answers within the call."""
    with service(tmp_path_factory.mktemp("echo"), "sync-echo", None) as running:
        yield running


@pytest.fixture
def stuck_bigquery(tmp_path):
    with bigquery(tmp_path, "--ending=stuck") as running:
        yield running


def environment(**settings):
    """A caller's environment: the machine's, without variables of other runs."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OUTRIGGER_", "FLYTE"))}
    return {**kept, "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1", **settings}


@dataclasses.dataclass
class Run:
    """The output and exit code of a caller's program."""

    code: int
    out: str
    err: str

    @property
    def words(self):
        """All output in one line, because terminals break lines anywhere."""
        return " ".join((self.out + " " + self.err).split())


def program(name):
    """A program in this Python environment."""
    return str(pathlib.Path(sys.executable).parent / name)


@functools.cache
def fork_server():
    server = ForkServer(environment())
    atexit.register(server.close)
    return server


def start(*command, cwd=None, **settings):
    cwd, env = cwd or HERE / "workflows", environment(**settings)
    # Flyte 2 imports little, and its own release decides what.
    if command[0] == program("pyflyte") and hasattr(os, "pidfd_open"):
        return fork_server().start(*command, cwd=cwd, env=env)
    return subprocess.Popen(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process, timeout=120):
    out, err = process.communicate(timeout=timeout)
    return Run(process.returncode, out, err)


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def pyflyte_run(*arguments, **settings):
    """``pyflyte run`` in a process of its own, which shares what it imports of others with the next."""
    return finish(start(program("pyflyte"), "run", *arguments, **settings))


def flyte_run(*arguments, **settings):
    """Flyte 2's ``flyte run --local`` in a process of its own."""
    return finish(start(program("flyte"), "run", "--local", *arguments, **settings))


@pytest.fixture
def python():
    """Runs a program of workflows/ with this Python."""
    return lambda name, *arguments, **settings: finish(start(sys.executable, name, *arguments, **settings))
