"""Renders the charts with the Helm that tools.py installed."""

import copy
import functools
import json
import os
import pathlib
import re
import subprocess
import tempfile

import yaml

ROOT = pathlib.Path(__file__).parents[2]
VERSION = re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE).group(1)
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
TOOLS = pathlib.Path(os.environ.get("OUTRIGGER_TOOLS_DIR", TARGET / "charts")) / "bin"
PROGRAMS = pathlib.Path(os.environ.get("OUTRIGGER_BIN_DIR", TARGET / "debug"))
CHARTS = ROOT / "charts"
# The bridge's charts have two containers: test_bridge.py.
BRIDGED = sorted(path.parent.name for path in CHARTS.glob("*/Chart.yaml") if "outrigger/kind: bridge" in path.read_text())
PLUGINS = sorted(path.name for path in CHARTS.iterdir() if path.name not in BRIDGED)
# Has plugins' files in its values: test_declarative.py.
DECLARATIVE = "declarative"
# Stands for all plugins where a case depends on the template alone: test_objects.py checks that their templates differ in names
# only, and golden/ has what each renders with its own values.
ONE_PLUGIN = "bigquery"
# Helm 4, and the oldest Helm 3 that the charts support.
HELMS = ["helm", "helm3"]
NEWEST = "1.37.0"
# The C implementation, if PyYAML has it.
YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# The registry of images, without which a chart is refused: nobody's.
REGISTRY = {"image": {"registry": "registry.example.com/team"}}
# Required settings whose values the charts check.
EXAMPLES = {"PLUGIN_BUNDLE_PLUGINS": "bigquery"}
# The file of a plugin, without which its chart is refused.
PLUGIN_FILE = (ROOT / "services/declarative/examples/openai-batch.yaml").read_text()
# Without it, every rendering has a different key.
STABLE = {"handleKeys": {"existingSecret": "handle-keys"}}


class Refused(Exception):
    """Helm's error message."""


def name_of(plugin):
    """A plugin is the name of one of ours, or the directory of a chart."""
    return pathlib.Path(plugin).name


def run_tool(program, *arguments, stdin=None, **options):
    """Runs one of our tools, without the settings of the user who runs the tests."""
    environment = {"PATH": os.environ["PATH"], "HOME": tempfile.gettempdir(), "KUBECONFIG": ""}
    command = [str(TOOLS / program), *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, env=environment, **options)


@functools.cache
def _helm(program, command, release, chart, flags, values):
    chart = CHARTS / chart
    done = run_tool(program, command, release, chart, "--namespace=flyte", "--values=-", *flags, stdin=values)
    if done.returncode:
        raise Refused(done.stderr)
    return done.stdout


def text(plugin, values=None, *, release=None, kube=NEWEST, helm="helm", flags=()):
    """What `helm template` prints, with an example for each required setting."""
    flags = (f"--kube-version={kube}", *flags)
    release = release or name_of(plugin)
    return _helm(helm, "template", release, plugin, flags, json.dumps(merged(required(plugin), values or {})))


def render(plugin, values=None, **options):
    """The objects, as a list."""
    return [document for document in yaml.load_all(text(plugin, values, **options), YAML) if document]


def notes(plugin, values=None, release=None):
    """The notes printed after an install."""
    values = merged(required(plugin), values or {})
    printed = _helm("helm", "install", release or plugin, plugin, ("--dry-run=client",), json.dumps(values))
    return printed.split("\nNOTES:\n", 1)[1]


@functools.cache
def required(plugin):
    """A registry, a plugin's file, and an example for each setting that is required: those that are empty in the chart's values."""
    if not (CHARTS / plugin / "values.yaml").exists():
        return REGISTRY
    settings = default_values(plugin).get("settings") or {}
    examples = {name: EXAMPLES.get(name, f"{name.lower()}.example.com") for name, value in settings.items() if value == ""}
    file = {"plugin": PLUGIN_FILE} if name_of(plugin) == DECLARATIVE else {}
    return {**REGISTRY, **file, "settings": examples}


def merged(*values):
    """Merges values as Helm does."""
    result = {}
    for layer in values:
        for key, value in layer.items():
            both = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = merged(result[key], value) if both else copy.deepcopy(value)
    return result


def nested(path, value):
    """`a.b` and 1 make `{a: {b: 1}}`."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


def flattened(values, path=""):
    """Values by their paths. A map whose keys are not the chart's, such as labels, is one value."""
    for key, value in values.items():
        if isinstance(value, dict) and all(inside.isalnum() and inside[0].islower() for inside in value):
            yield from flattened(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def of_kind(objects, kind):
    return [document for document in objects if document["kind"] == kind]


def one(objects, kind, name=None):
    """The only object of a kind, or of a kind and name."""
    (found,) = (o for o in of_kind(objects, kind) if name in (None, o["metadata"]["name"]))
    return found


def container(objects):
    (only,) = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return only


def default_values(plugin):
    return yaml.safe_load((CHARTS / plugin / "values.yaml").read_text())
