"""Text that YAML would read as something else stays text, wherever it is rendered."""

import json

import pytest

from cases import EVERYTHING, SECRETS
from charts import CHARTS, PLUGINS, STABLE, Refused, merged, render

SCHEMA = json.loads((CHARTS / "bigquery" / "values.schema.json").read_text())
PLAIN = "plain"
# A number, a float, an octal number, a boolean in YAML 1.1, and nothing.
LOOKALIKES = ["123", "1e3", "0777", "true", "no", "null"]
CERTIFICATE = {"tls": {"certificate": {"create": False}, "existingSecret": "certificate"}}
MADE_ELSEWHERE = {"auth": {"issuers": [], "rules": []}, "handleKeys": {"existingSecret": "keys"}, "serviceAccount": {"create": False}}
CSI = {"secrets": {**{name: None for name in SECRETS["existing"]}, "namespaces": [], "externalSecret": {"enabled": False}, **SECRETS["csi"]}}
MONITORED = {"metrics": {"podMonitor": {"enabled": True}}}
# With these, every text is rendered somewhere.
ALL = merged(EVERYTHING, STABLE)
BASES = [ALL, merged(ALL, CERTIFICATE), merged(ALL, MADE_ELSEWHERE), merged(ALL, CSI), merged(ALL, MONITORED)]


def texts(schema, path=()):
    """The paths of all texts in the values."""
    if schema is False or "enum" in schema:
        return
    if "$ref" in schema:
        yield from texts(SCHEMA["definitions"][schema["$ref"].removeprefix("#/definitions/")], path)
    elif schema.get("type") == "string":
        yield path
    for part in schema.get("allOf", []):
        yield from texts(part, path)
    for name, inside in schema.get("properties", {}).items():
        yield from texts(inside, (*path, name))
    if "items" in schema:
        yield from texts(schema["items"], (*path, 0))


PATHS = list(texts(SCHEMA))


def put(values, path, value):
    """`values` with `value` at `path`; `None` if a list there is empty."""
    key, *rest = path
    if isinstance(key, int):
        return [put(values[key], rest, value) if rest else value, *values[1:]] if values else None
    inside = put((values or {}).get(key) or ([] if rest and rest[0] == 0 else {}), rest, value) if rest else value
    return None if inside is None else {**(values or {}), key: inside}


def with_plain(document, text):
    """`document` with `text` in place of the plain one."""
    if isinstance(document, dict):
        return {with_plain(key, text): with_plain(value, text) for key, value in document.items()}
    if isinstance(document, list):
        return [with_plain(value, text) for value in document]
    return document.replace(PLAIN, text) if isinstance(document, str) else document


def rendered(values, **options):
    """Without files, and what is derived from their hashes."""
    objects = render("bigquery", values, **options)
    for document in objects:
        if document["kind"] == "Deployment":
            document["spec"]["template"]["metadata"].get("annotations", {}).pop("checksum/auth", None)
    return [document for document in objects if document["kind"] != "ConfigMap"]


def rendered_or_refused(values):
    """Nothing if the schema has a pattern that such a text does not match."""
    try:
        return rendered(values) if values else []
    except Refused:
        return []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: ".".join(map(str, path)))
def test_text_stays_text(path):
    for base in BASES:
        before = rendered_or_refused(put(base, path, PLAIN))
        if PLAIN not in json.dumps(before):
            continue
        for text in LOOKALIKES:
            after = rendered_or_refused(put(base, path, text))
            assert not after or after == with_plain(before, text)
        return


@pytest.mark.parametrize("text", ["123", "1e3", "777"])
@pytest.mark.parametrize("plugin", PLUGINS)
def test_names_of_release_and_namespace_stay_text(plugin, text):
    for document in render(plugin, {"fullnameOverride": "a"}, release=text, flags=(f"--namespace={text}",)):
        metadata = document["metadata"]
        assert metadata["namespace"] == text
        assert metadata["labels"]["app.kubernetes.io/instance"] == text
