"""A namespace of the cluster, and Helm and kubectl in it."""

import functools
import json
import os
import pathlib
import subprocess

from control_plane import ROOT, eventually

# The directory of tests/charts/tools.py.
TOOLS = pathlib.Path(os.environ.get("OUTRIGGER_TOOLS_DIR", ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "charts")) / "bin"
# The label that identifies a release's objects; Kubernetes copies it to the objects derived from them.
OF_RELEASE = "app.kubernetes.io/instance={}"

# The registry of images: nobody's, because no node pulls them.
REGISTRY = {"image": {"registry": "registry.example.com/team"}}
# The settings without which a chart is refused.
REQUIRED = {"databricks": {"DATABRICKS_INSTANCES": "acme.cloud.databricks.com"}, "snowflake": {"SNOWFLAKE_ACCOUNTS": "acme"}}


class Refused(Exception):
    """The error output of the program."""


class Namespace:
    def __init__(self, plane, name, helm="helm"):
        self.plane, self.name, self.helm_program = plane, name, helm

    def run(self, program, *arguments, stdin=None):
        """The output of one of our tools, without the settings of the user who runs the tests."""
        home = str(self.plane.directory)
        environment = {"PATH": os.environ["PATH"], "HOME": home, "KUBECONFIG": str(self.plane.kubeconfig)}
        command = [str(TOOLS / program), *map(str, arguments), f"--namespace={self.name}"]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, env=environment, timeout=120)
        if done.returncode:
            raise Refused(done.stderr)
        # Helm's client of Kubernetes logs the end of its own watches.
        self.warnings = "".join(line for line in done.stderr.splitlines(True) if " reflector.go:" not in line)
        return done.stdout

    def kubectl(self, *arguments, **options):
        return self.run("kubectl", *arguments, **options)

    def helm(self, *arguments, values=None):
        return self.run(self.helm_program, *arguments, stdin=None if values is None else json.dumps(values))

    def install(self, plugin, values=None, *, release=None):
        required = {"settings": REQUIRED[plugin]} if plugin in REQUIRED else {}
        values = {**REGISTRY, **required, **(values or {})}
        self.helm("install", release or plugin, ROOT / "charts" / plugin, "--values=-", values=values)

    def upgrade(self, plugin, values=None):
        # Otherwise Helm reuses the previous values if there are no new ones.
        self.helm("upgrade", plugin, ROOT / "charts" / plugin, "--reset-values", "--values=-", values={**REGISTRY, **(values or {})})

    def create(self, document):
        self.kubectl("create", "--filename=-", stdin=json.dumps(document))

    def get(self, kind, name):
        return json.loads(self.kubectl("get", kind, name, "--output=json"))

    def every(self, kinds, release=None):
        """The objects of some kinds, `a,b`; those of a release if one is given."""
        of_release = [f"--selector={OF_RELEASE.format(release)}"] if release else []
        return json.loads(self.kubectl("get", kinds, "--output=json", *of_release))["items"]

    @functools.cached_property
    def kinds(self):
        """Every kind of namespaced object, except events."""
        kinds = self.kubectl("api-resources", "--namespaced", "--verbs=list", "--output=name").split()
        return ",".join(kind for kind in kinds if not kind.startswith("events"))

    def objects(self, release):
        """All objects of a release, by kind and name."""
        return {f"{found['kind']}/{found['metadata']['name']}": found for found in self.every(self.kinds, release)}

    def pods(self, release):
        return self.every("pods", release)

    def wait_for_pods(self, release, number):
        """Waits until the controllers have created this many pods. Without nodes they stay pending."""
        eventually(lambda: len(self.pods(release)) == number, what=lambda: f"{number} pods of {release}: {self.refusals()}")
        return self.pods(release)

    def refusals(self):
        """Why pods were not created."""
        return [event["message"] for event in self.every("events") if event["reason"] == "FailedCreate"]

    def replicas(self, name):
        return self.get("deployment", name)["spec"]["replicas"]

    def versions(self, release):
        """The versions of a release's objects, which change with every update of an object."""
        names = ("uid", "generation", "resourceVersion")
        return {key: tuple(found["metadata"].get(name) for name in names) for key, found in self.objects(release).items()}

    def settled_versions(self, release):
        """The objects once the controllers have settled."""
        seen = [self.versions(release)]

        def are_still():
            seen.append(self.versions(release))
            return seen[-1] == seen[-2] and seen[-1]

        return eventually(are_still, what=lambda: f"calm: {seen[-2:]}")
