"""Running services: the real programs, on loopback addresses."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from charts import PROGRAMS


def free_port():
    # Below the ephemeral ports: the system could assign one of those before a program listens on it.
    for port in random.sample(range(12000, 32000), 100):
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def eventually(holds, *, within, what):
    """Waits until a condition holds, and returns its value."""
    deadline = time.monotonic() + within
    while not (said := holds()):
        assert time.monotonic() < deadline, f"timed out after {within} s: {what}"
        time.sleep(0.02)
    return said


def http_status(url, token=None, method="GET", data=None, **options):
    """The HTTP status of an answer, or None if there is none."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, method=method, headers=headers, data=data)
    try:
        with urllib.request.urlopen(request, timeout=10, **options) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return None


class Service:
    """A running plugin."""

    def __init__(self, program, environment, log):
        self.log = log
        self.environment = {"PATH": os.environ["PATH"], **environment}
        with open(log, "w") as output:
            self.process = subprocess.Popen(
                [PROGRAMS / program], env=self.environment, stdout=output, stderr=subprocess.STDOUT
            )

    @property
    def api(self):
        return self.environment["PLUGIN_LISTEN"]

    @property
    def admin(self):
        return self.environment["PLUGIN_ADMIN_LISTEN"]

    def is_running(self):
        assert self.process.poll() is None, self.log.read_text()
        return True

    def wait_until_ready(self, path="/readyz"):
        eventually(
            lambda: self.is_running() and http_status(f"http://{self.admin}{path}") == 200, within=30, what="ready"
        )

    def metrics(self):
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def terminate(self):
        """Asks it to terminate, as Kubernetes does."""
        self.process.send_signal(signal.SIGTERM)

    def kill(self):
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def service(program, environment, log):
    running = Service(program, environment, log)
    try:
        yield running
    finally:
        running.kill()


@contextlib.contextmanager
def fake_bigquery():
    """The address of a fake BigQuery."""
    fake = subprocess.Popen([PROGRAMS / "fake-upstream", "bigquery"], stdout=subprocess.PIPE, text=True)
    try:
        yield fake.stdout.readline().strip()
    finally:
        fake.kill()
        fake.wait()
        fake.stdout.close()
