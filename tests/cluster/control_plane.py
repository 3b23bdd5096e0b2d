"""A Kubernetes control plane on loopback addresses: etcd, the API server and the controller manager. It has no nodes."""

import contextlib
import ctypes
import json
import os
import pathlib
import random
import secrets
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).parents[2]
BUILT = pathlib.Path(os.environ.get("OUTRIGGER_CLUSTER_DIR", ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "cluster"))
# As that of a managed cluster: neither kubeadm's name for it, nor a default of ours.
ISSUER = "https://oidc.example.com/id/0123456789ABCDEF"
NAMES = "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,IP:127.0.0.1"


def free_port():
    # Below the ephemeral ports: the system could assign one of those before a program listens on it.
    for port in random.sample(range(12000, 32000), 100):
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def eventually(holds, *, within=30, what):
    """Waits until a condition holds, and returns its value."""
    deadline = time.monotonic() + within
    while not (said := holds()):
        assert time.monotonic() < deadline, f"timed out after {within} s: {what() if callable(what) else what}"
        time.sleep(0.05)
    return said


def http_status(url, token=None, **options):
    """The HTTP status of an answer, or None if there is none."""
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=10, **options) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return None


def die_with_parent():
    """Ends the process with the tests, even if they are killed."""
    set_death_signal = 1
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)


@contextlib.contextmanager
def running(program, *arguments, log, environment=None):
    """A running program. It is killed at the end, because nothing that it would clean up is used again."""
    with open(log, "w") as output:
        process = subprocess.Popen(
            [program, *arguments], env=environment, stdout=output, stderr=subprocess.STDOUT, preexec_fn=die_with_parent
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def openssl(directory, *arguments):
    done = subprocess.run(["openssl", *arguments], cwd=directory, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def make_keys(directory):
    """A CA, the API server's certificate, and the key that signs ServiceAccount tokens."""
    new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days=2"]
    openssl(directory, *new, "-subj=/CN=kubernetes-ca", "-keyout=ca.key", "-out=ca.crt")
    of_server = ["-subj=/CN=kube-apiserver", f"-addext=subjectAltName={NAMES}", "-addext=basicConstraints=CA:FALSE"]
    openssl(directory, *new, *of_server, "-CA=ca.crt", "-CAkey=ca.key", "-keyout=server.key", "-out=server.crt")
    openssl(directory, "genrsa", "-out", "service-accounts.key", "2048")


class ControlPlane:
    """The address of the control plane, and its administrator."""

    def __init__(self, directory):
        self.directory = directory
        self.url = f"https://127.0.0.1:{free_port()}"
        self.etcd, self.etcd_peers, self.manager = (f"127.0.0.1:{free_port()}" for _ in range(3))
        self.tokens = {user: secrets.token_hex(16) for user in ("admin", "system:kube-controller-manager")}
        self.kubeconfig = self.write_kubeconfig("admin")
        self.logs = [directory / f"{program}.log" for program in ("etcd", "kube-apiserver", "kube-controller-manager")]

    def write_kubeconfig(self, user):
        cluster = {"server": self.url, "certificate-authority": str(self.directory / "ca.crt")}
        config = {
            "clusters": [{"name": "it", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": self.tokens[user]}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": user}}],
            "current-context": "it",
        }
        file = self.directory / f"{user.replace(':', '-')}.kubeconfig"
        file.write_text(json.dumps(config))
        # Helm warns about other permissions.
        file.chmod(0o600)
        return file

    def write_users(self):
        groups = {"admin": "system:masters"}
        lines = (f'{token},{user},{user},"{groups.get(user, "")}"\n' for user, token in self.tokens.items())
        (self.directory / "users.csv").write_text("".join(lines))

    def etcd_flags(self):
        client, peers = f"http://{self.etcd}", f"http://{self.etcd_peers}"
        urls = [f"--{kind}-client-urls={client}" for kind in ("listen", "advertise")]
        urls += [f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}", f"--initial-cluster=it={peers}"]
        # The data need not survive a crash.
        return ["--name=it", f"--data-dir={self.directory}/etcd", "--unsafe-no-fsync", "--log-level=warn", *urls]

    def server_flags(self):
        """Admission and feature gates are Kubernetes' defaults, which include PodSecurity."""
        files = self.directory
        return [
            f"--etcd-servers=http://{self.etcd}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.url.rsplit(':', 1)[1]}",
            # Not used; a Service cannot have loopback addresses, and the machine may have no other.
            "--advertise-address=192.0.2.1",
            "--endpoint-reconciler-type=none",
            f"--tls-cert-file={files}/server.crt",
            f"--tls-private-key-file={files}/server.key",
            f"--token-auth-file={files}/users.csv",
            "--authorization-mode=Node,RBAC",
            f"--service-account-issuer={ISSUER}",
            f"--service-account-key-file={files}/service-accounts.key",
            f"--service-account-signing-key-file={files}/service-accounts.key",
            "--service-cluster-ip-range=10.96.0.0/16,fd00:96::/108",
        ]

    def manager_flags(self):
        files = self.directory
        return [
            f"--kubeconfig={self.write_kubeconfig('system:kube-controller-manager')}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.manager.rsplit(':', 1)[1]}",
            f"--cert-dir={files}/manager",
            f"--root-ca-file={files}/ca.crt",
            f"--service-account-private-key-file={files}/service-accounts.key",
            # Every controller runs with its own RBAC permissions only.
            "--use-service-account-credentials",
            "--leader-elect=false",
            # Fifteen times as often as the default.
            "--horizontal-pod-autoscaler-sync-period=1s",
        ]

    def is_ready(self, process):
        assert process.poll() is None, self.tail()
        return self.get("/readyz") == 200

    def get(self, path, token=None):
        """The HTTP status of an answer to the administrator, or to the holder of a token."""
        context = ssl.create_default_context(cafile=self.directory / "ca.crt")
        return http_status(f"{self.url}{path}", token or self.tokens["admin"], context=context)

    def tail(self):
        """The ends of the logs, without errors about missing pod metrics."""
        lines = {log: log.read_text().splitlines() for log in self.logs if log.exists()}
        shown = {log: [line[:400] for line in lines[log] if "pods.metrics.k8s.io" not in line] for log in lines}
        return "\n".join("\n".join([f"{log}:", *shown[log][-12:]]) for log in shown)


@contextlib.contextmanager
def control_plane(directory):
    """A control plane that is ready; its data and logs are in the directory."""
    make_keys(directory)
    plane = ControlPlane(directory)
    plane.write_users()
    flags = [plane.etcd_flags(), plane.server_flags(), plane.manager_flags()]
    with contextlib.ExitStack() as programs:
        etcd, server, manager = plane.logs
        programs.enter_context(running(BUILT / "bin" / etcd.stem, *flags[0], log=etcd))
        process = programs.enter_context(running(BUILT / "bin" / server.stem, *flags[1], log=server))
        eventually(lambda: plane.is_ready(process), within=60, what=plane.tail)
        programs.enter_context(running(BUILT / "bin" / manager.stem, *flags[2], log=manager))
        yield plane
