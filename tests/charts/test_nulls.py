"""A value without anything behind its colon, or below it, is null: Helm removes the chart's own default then."""

import re

import pytest
import yaml

from charts import CHARTS, PLUGINS, STABLE, Refused, merged, render

# Structures of Kubernetes' own, from which a null takes a default; what Kubernetes has a default for; and variables.
OPEN = {
    ("image", "pullPolicy"),
    ("bridge", "image", "pullPolicy"),
    ("settings",),
    ("bridge", "settings"),
    ("resources",),
    ("strategy",),
    ("podSecurityContext",),
    ("securityContext",),
    ("probes", "startup"),
    ("probes", "readiness"),
    ("probes", "liveness"),
    ("autoscaling", "behavior"),
    ("revisionHistoryLimit",),
    ("bridge", "resources"),
    ("metrics", "dashboard", "labels"),
    # Empty in some charts.
    ("flyte", "taskTypes"),
}


def defaults(values, path=()):
    """The chart's own defaults, by path."""
    for key, value in values.items():
        inside = (*path, key)
        if inside not in OPEN:
            yield inside, value
            yield from defaults(value, inside) if isinstance(value, dict) else ()


def at(path, value):
    for key in reversed(path):
        value = {key: value}
    return value


def nulls(own, wanted):
    """Null at each path of the chart's own defaults that is wanted, level by level: below a null there is nothing."""
    levels = {}
    for path, value in defaults(own):
        if wanted(value):
            levels.setdefault(len(path), []).append(path)
    return levels.values()


def missing(message):
    """The paths that the schema misses, as Helm lists them."""
    for place, names in re.findall(r"^ *- at '([^']*)': missing propert(?:y|ies) (.*)$", message, re.MULTILINE):
        yield from ((*place.split("/")[1:], name) for name in re.findall(r"'([^']+)'", names))


def is_empty(value):
    return value in ("", [], {})


@pytest.mark.parametrize("chart", [*PLUGINS, "sql"])
def test_null_in_place_of_a_default_is_refused_by_name(chart):
    own = yaml.safe_load((CHARTS / chart / "values.yaml").read_text())
    for paths in nulls(own, lambda value: not is_empty(value)):
        with pytest.raises(Refused) as refused:
            render(chart, merged(*(at(path, None) for path in paths)))
        assert sorted(missing(str(refused.value))) == sorted(paths)


@pytest.mark.parametrize("chart", [*PLUGINS, "sql"])
def test_null_in_place_of_an_empty_default_is_that_default(chart):
    own = yaml.safe_load((CHARTS / chart / "values.yaml").read_text())
    # The tests' own values have them.
    given = {("image", "registry"), ("handleKeys", "existingSecret"), ("plugin",)}
    paths = [path for paths in nulls(own, is_empty) for path in paths if path not in given]
    stable = STABLE if "handleKeys" in own else {}
    assert render(chart, merged(*(at(path, None) for path in paths), stable)) == render(chart, stable)


@pytest.mark.parametrize("section", ["ingress", "httpRoute", "grpcRoute"])
def test_open_port_needs_what_opens_it(section):
    name = "hosts" if section == "ingress" else "parentRefs"
    with pytest.raises(Refused, match=f"missing property '{name}'"):
        render("bigquery", {section: {"enabled": True, name: None}})


def test_structures_of_kubernetes_lose_a_default():
    assert render("bigquery", {"strategy": {"type": "Recreate", "rollingUpdate": None}, "resources": {"limits": None}})
