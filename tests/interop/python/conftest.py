"""A BigQuery service with a fake BigQuery, as separate programs."""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import random
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.request

import grpc
import pytest

ROOT = pathlib.Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden"
PROGRAMS = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug"
ISSUER = "https://interop.example.com"
AUDIENCE = "connectors"


def free_port():
    # Below the ephemeral ports: the system could assign one of those before a program listens on it.
    for port in random.sample(range(12000, 32000), 100):
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def polls(get, seconds=20):
    """The answers of `get`, ten a second: a status is as old as the service's view of its jobs may get."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield get()
        time.sleep(0.1)


class Service:
    def __init__(self, api, admin, secret):
        self.api, self.admin, self._secret = api, admin, secret

    def token(self, subject="propeller", **claims):
        """An HS256 token that the service accepts."""

        def part(data):
            return base64.urlsafe_b64encode(data).rstrip(b"=")

        header = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "exp": int(time.time()) + 600, **claims}
        message = header + b"." + part(json.dumps(claims).encode())
        signature = hmac.new(self._secret.encode(), message, hashlib.sha256).digest()
        return (message + b"." + part(signature)).decode()

    def metadata(self):
        return (("authorization", f"Bearer {self.token()}"),)

    def channel(self):
        return grpc.insecure_channel(self.api)

    def rest(self, method, path, body=None, token=True):
        request = urllib.request.Request(f"http://{self.api}{path}", method=method)
        if token:
            request.add_header("authorization", f"Bearer {self.token()}")
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, data=data, timeout=20) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)


def wait_until_ready(admin, process):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, "the service ended"
        try:
            urllib.request.urlopen(f"http://{admin}/readyz", timeout=1)
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the service is not ready")


@contextlib.contextmanager
def fake_upstream(*arguments):
    """A fake vendor as a separate program. Returns its URL."""
    fake = subprocess.Popen([PROGRAMS / "fake-upstream", *arguments], stdout=subprocess.PIPE, text=True)
    try:
        yield fake.stdout.readline().strip()
    finally:
        fake.kill()
        fake.wait()


def write_auth(files):
    """Writes an auth file. Returns the secret of its issuer."""
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


@pytest.fixture(scope="session")
def sync_service(tmp_path_factory):
    """A sync plugin; it has no jobs, so it needs no handle key."""
    files = tmp_path_factory.mktemp("sync_service")
    secret = write_auth(files)
    api, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
    flags = [f"--listen={api}", f"--admin-listen={admin}", f"--auth={files}/auth.yaml", "--drain-delay=0s"]
    with open(files / "log", "w") as log:
        process = subprocess.Popen([PROGRAMS / "sync-echo", *flags], stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until_ready(admin, process)
        yield Service(api, admin, secret)
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextlib.contextmanager
def running(files, program, upstream, *flags, **environment):
    """The service `program` in front of `upstream`."""
    secret = write_auth(files)
    (files / "handle.key").write_bytes(secrets.token_bytes(32))
    api, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
    command = [PROGRAMS / program, f"--listen={api}", f"--admin-listen={admin}", f"--auth={files}/auth.yaml"]
    command += [f"--handle-keys={files}/handle.key", f"--endpoint={upstream}", "--drain-delay=0s", *flags]
    own = ("HOME", "GOOGLE_APPLICATION_CREDENTIALS")
    kept = {k: v for k, v in os.environ.items() if k not in own and not k.startswith("AWS_")}
    with open(files / "log", "w") as log:
        process = subprocess.Popen(command, env={**kept, **environment}, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until_ready(admin, process)
        yield Service(api, admin, secret)
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    with fake_upstream("bigquery", "--check", "--polls=2") as upstream:
        host = upstream.removeprefix("http://")
        with running(tmp_path_factory.mktemp("service"), "bigquery", upstream, GCE_METADATA_HOST=host) as service:
            yield service
