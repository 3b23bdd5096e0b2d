"""Strict schemas of what the charts render: of Kubernetes, by version, and of custom resources."""

import functools
import json
import pathlib
import re

import jsonschema
import kubernetes_validate
import yaml
from referencing import Registry, Resource

KUBERNETES = pathlib.Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
CUSTOM = yaml.safe_load((pathlib.Path(__file__).parent / "custom_resources.yaml").read_text())


def versions():
    """Every version of Kubernetes with schemas, oldest first."""
    found = (re.fullmatch(r"v(1\.(\d+)\.0)-local-strict", path.name) for path in KUBERNETES.iterdir())
    return [match[1] for match in sorted(filter(None, found), key=lambda match: int(match[2]))]


def _read(kube, name):
    return json.loads((KUBERNETES / f"v{kube}-local-strict" / f"{name}.json").read_text())


@functools.cache
def _definitions(kube):
    return Resource.from_contents(_read(kube, "_definitions")) @ Registry()


@functools.cache
def _validator(api_version, kind, kube):
    if kind in CUSTOM["$defs"]:
        return jsonschema.Draft202012Validator({**CUSTOM, "$ref": f"#/$defs/{kind}"})
    # networking.k8s.io/v1 is networking-v1; the status of a request belongs to meta/v1.
    group = "meta-v1" if kind == "Status" else re.sub(r"^([^./]*)(\.[^/]*)?/", r"\1-", api_version)
    schema = _read(kube, f"{kind.lower()}-{group}")
    return jsonschema.Draft202012Validator(schema, registry=Resource.from_contents(schema) @ _definitions(kube))


def problems(document, kube):
    """The fields of an object that Kubernetes would reject, including unknown ones."""
    validator = _validator(document["apiVersion"], document["kind"], kube)
    name = f"{document['kind']} {document['metadata'].get('name', '')}"
    return [f"{name}: {error.json_path}: {error.message[:300]}" for error in validator.iter_errors(document)]
