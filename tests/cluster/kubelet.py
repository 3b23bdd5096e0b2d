"""Runs a pod's program as a kubelet would, on loopback addresses: its volumes below a directory, and its environment."""

import base64
import contextlib
import os
import pathlib
import re

from control_plane import ROOT, eventually, free_port, http_status, running

PROGRAMS = pathlib.Path(os.environ.get("OUTRIGGER_BIN_DIR", ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug"))
# The API server, as pods know it.
API_SERVER = "https://kubernetes.default.svc/"


class Pod:
    """The files and environment variables of a pod in the API server."""

    def __init__(self, namespace, pod, root):
        self.namespace, self.pod, self.root = namespace, pod, root
        (self.container,) = pod["spec"]["containers"]
        self.api, self.admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        for mount in self.container["volumeMounts"]:
            for path, content in self.files(volumes[mount["name"]]):
                self.write(f"{mount['mountPath']}/{path}", content)

    def write(self, path, content):
        file = pathlib.Path(f"{self.root}{path}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.relocated(content))

    def relocated(self, text):
        """Replaces addresses and paths with ours."""
        mounts = "|".join(re.escape(mount["mountPath"]) for mount in self.container["volumeMounts"])
        text = re.sub(mounts, lambda mount: f"{self.root}{mount[0]}", text)
        return text.replace(API_SERVER, f"{self.namespace.plane.url}/")

    def files(self, source):
        """Names and contents of the files of a volume, or of a source of a projected one."""
        for part in source.get("projected", {}).get("sources", []):
            yield from self.files(part)
        if "serviceAccountToken" in source:
            yield source["serviceAccountToken"]["path"], self.token(source["serviceAccountToken"])
        for kind in {"configMap", "secret"} & source.keys():
            data = self.data_of(kind, source[kind].get("secretName") or source[kind]["name"])
            items = source[kind].get("items") or [{"key": key, "path": key} for key in data]
            yield from ((item["path"], data[item["key"]]) for item in items)

    def data_of(self, kind, name):
        data = self.namespace.get(kind, name)["data"]
        return data if kind == "configMap" else {key: base64.b64decode(value).decode() for key, value in data.items()}

    def token(self, source=None):
        """A token of the pod's ServiceAccount, valid only as long as the pod exists."""
        source = source or {}
        of = [f"--bound-object-{key}={self.pod['metadata'][key]}" for key in ("name", "uid")]
        of += [f"--duration={source.get('expirationSeconds', 3600)}s", "--bound-object-kind=Pod"]
        of += [f"--audience={audience}" for audience in {source.get("audience")} - {None}]
        return self.namespace.kubectl("create", "token", self.pod["spec"]["serviceAccountName"], *of).strip()

    def environment(self):
        variables = {variable["name"]: self.relocated(variable["value"]) for variable in self.container["env"]}
        ours = {"PLUGIN_LISTEN": self.api, "PLUGIN_ADMIN_LISTEN": self.admin}
        assert ours.keys() <= variables.keys()
        return {**variables, **ours}

    @contextlib.contextmanager
    def run(self):
        """The container's program, once it is ready."""
        log = self.root / "log"
        program = PROGRAMS / self.container["name"]
        with running(program, log=log, environment=self.environment()) as process:

            def is_ready():
                assert process.poll() is None, log.read_text()
                return http_status(f"http://{self.admin}/readyz") == 200

            eventually(is_ready, what=log.read_text)
            yield self

    def status(self, token=None, path="/plugins/v1"):
        """The HTTP status of a call."""
        return http_status(f"http://{self.api}{path}", token)
