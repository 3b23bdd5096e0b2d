"""The built programs, running with a configuration of a test's own."""

import json
import os
import pathlib
import re
import secrets
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request

from issuer import Issuers

ROOT = pathlib.Path(__file__).parents[2]
PROGRAMS = pathlib.Path(os.environ.get("OUTRIGGER_BIN_DIR") or ROOT / "target" / "debug")
IS_RELEASE = PROGRAMS.name != "debug"
# The variables of a caller's shell must not configure a service.
INHERITED = ("PATH", "LD_LIBRARY_PATH", "LLVM_PROFILE_FILE")


def eventually(holds, *, within=10.0, what):
    """Waits until a condition holds, and returns its value."""
    deadline = time.monotonic() + within
    while not (value := holds()):
        assert time.monotonic() < deadline, f"timed out after {within} s: {what}"
        time.sleep(0.02)
    return value


def http_get(url, timeout=10.0):
    """The status and text of an answer; no status if there is none."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()
    except OSError as error:
        return None, str(error)


class Program:
    """A running program. Its log is read as it is written, unless `unread`."""

    def __init__(self, program, flags, environment=None, *, unread=False, before=()):
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self.process = subprocess.Popen(
            [*before, PROGRAMS / program, *flags],
            env={**inherited, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.lines = []
        self.unread = threading.Event()
        if unread:
            self.unread.set()
        self._started = threading.Event()
        threading.Thread(target=self._read_log, daemon=True).start()

    def _is_start(self, line):
        """Whether the line says that the program serves."""
        return False

    def _read_log(self):
        for line in self.process.stdout:
            self.lines.append(line.decode(errors="replace"))
            if self._is_start(self.lines[-1]):
                self._started.set()
                if self.unread.is_set():
                    return
        self._started.set()

    def wait_for_start(self):
        assert self._started.wait(timeout=60), "did not start"
        assert self.is_running(), self.log()

    def log(self):
        """Everything that it has logged. It writes a line up to 20 ms after the event."""
        time.sleep(0.1)
        return "".join(self.lines)

    def is_running(self):
        return self.process.poll() is None

    def memory(self, peak=False):
        """The resident memory in bytes: now, or at its highest."""
        assert self.is_running(), f"it ended with {self.process.returncode}: {self.log()[-2000:]}"
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)" if peak else r"VmRSS:\s+(\d+)", status)[1]) * 1024

    def forget_peak(self):
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def cpu(self):
        """The seconds of processor time used so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def terminate(self):
        """Asks it to end, as Kubernetes does. Returns how long that took, and the exit code."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=120)
        return time.monotonic() - started, code

    def kill(self):
        if self.is_running():
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def metrics(self):
        status, text = http_get(f"http://{self.admin}/metrics")
        assert status == 200, text
        return text

    def metric(self, name, **labels):
        """The sum of a metric's series with these labels."""
        total = 0.0
        for line in self.metrics().splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == name and all(f'{k}="{v}"' in series for k, v in labels.items()):
                total += float(value)
        return total

    def probe(self, path):
        return http_get(f"http://{self.admin}{path}", timeout=5)


class Service(Program):
    """A plugin's service in front of a fake vendor."""

    def __init__(self, files, vendor, *flags, issuers=None, environment=None, auth=None, **options):
        files.mkdir(parents=True, exist_ok=True)
        self.files, self.vendor = files, vendor
        self.secrets = files / "secrets"
        self.secrets.mkdir(exist_ok=True)
        if not (files / "handle.key").exists():
            (files / "handle.key").write_bytes(secrets.token_bytes(32))
        self.issuers = issuers or Issuers(files)
        auth = auth or self.issuers.write(files / "auth.yaml")
        given, variables = vendor.flags(self.secrets)
        own = ["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--drain-delay=0s", f"--auth={auth}"]
        own += [f"--handle-keys={files / 'handle.key'}", f"--secrets-dir={self.secrets}"]
        named = {flag.partition("=")[0] for flag in flags}
        own = [flag for flag in own if flag.partition("=")[0] not in named]
        super().__init__(vendor.program, [*own, *given, *flags], {**variables, **(environment or {})}, **options)
        self.wait_for_start()

    def _is_start(self, line):
        if '"serving ' not in line:
            return False
        started = json.loads(line)
        self.api, self.admin = started["api"], started["admin"]
        self.port = int(self.api.rpartition(":")[2])
        return True

    def wait_until_ready(self):
        eventually(lambda: self.probe("/readyz")[0] == 200, within=30, what="ready")
        return self


class Proxy(Program):
    """The sidecar, with one route. `before` is a command that starts it in surroundings of its own."""

    def __init__(self, files, target, token, *flags, before=()):
        files.mkdir(parents=True, exist_ok=True)
        (files / "token").write_text(token)
        own = [f"--route=127.0.0.1:0={target}", f"--token-file={files / 'token'}"]
        own += ["--admin-listen=127.0.0.1:0", "--drain-delay=0s"]
        super().__init__("propeller-proxy", [*own, *flags], before=before)
        self.wait_for_start()

    def _is_start(self, line):
        if '"message":"forwarding"' in line:
            self.api = json.loads(line)["listen"]
            self.port = int(self.api.rpartition(":")[2])
        if '"message":"serving propeller-proxy"' not in line:
            return False
        self.admin = json.loads(line)["admin"]
        return True
