"""Old names of values, until 0.3: the same objects, and a note. And images, by the names that people give them."""

import pytest

from cases import PEER
from charts import HELMS, REGISTRY, VERSION, container, notes, render

DIGEST = "sha256:" + "1" * 64
# Old values, and the new ones that mean the same.
RENAMED = [
    ({"replicas": 3}, {"replicaCount": 3}, "replicas -> replicaCount"),
    ({"autoscaling": {"mode": "hpa"}}, {"autoscaling": {"enabled": True}}, "autoscaling.mode -> "),
    ({"autoscaling": {"mode": "keda"}}, {"autoscaling": {"enabled": True, "keda": {"enabled": True}}}, "autoscaling.mode -> "),
    (
        {"autoscaling": {"mode": "hpa", "cpuUtilization": 60}},
        {"autoscaling": {"enabled": True, "targetCPUUtilizationPercentage": 60}},
        "autoscaling.cpuUtilization -> autoscaling.targetCPUUtilizationPercentage",
    ),
    (
        {"ingress": {"enabled": True, "hosts": ["a.example.com"]}, "networkPolicy": {"clients": [PEER]}},
        {"ingress": {"enabled": True, "hosts": [{"host": "a.example.com"}]}, "networkPolicy": {"clients": [PEER]}},
        "ingress.hosts: a.example.com -> ",
    ),
    (
        {"metrics": {"monitor": "service", "monitorLabels": {"a": "b"}, "interval": "9s"}},
        {"metrics": {"serviceMonitor": {"enabled": True, "labels": {"a": "b"}, "interval": "9s"}}},
        "metrics.monitorLabels -> metrics.serviceMonitor.labels",
    ),
    ({"metrics": {"monitor": "pod"}}, {"metrics": {"podMonitor": {"enabled": True}}}, "metrics.monitor -> "),
    (
        {"metrics": {"rules": {"enabled": True, "labels": {"a": "b"}, "extra": [{"record": "a", "expr": "1"}]}}},
        {"metrics": {"prometheusRule": {"enabled": True, "labels": {"a": "b"}, "rules": [{"record": "a", "expr": "1"}]}}},
        "metrics.rules -> metrics.prometheusRule",
    ),
    (
        {"image": {"registry": "", "repository": "mirror.example.com/a/bigquery"}},
        {"image": {"registry": "mirror.example.com", "repository": "a/bigquery"}},
        "image.repository with a registry -> image.registry",
    ),
]


@pytest.mark.parametrize(("old", "new", "note"), RENAMED, ids=[note for _, _, note in RENAMED])
@pytest.mark.parametrize("helm", HELMS)
def test_old_name_means_the_same_and_is_noted(helm, old, new, note):
    stable = {"handleKeys": {"existingSecret": "keys"}}
    assert render("bigquery", {**stable, **old}, helm=helm) == render("bigquery", {**stable, **new}, helm=helm)
    assert note in notes("bigquery", old)
    assert "RENAMED VALUES" not in notes("bigquery", new)


# Values, and the image's name.
IMAGES = [
    ({}, f"registry.example.com/team/bigquery:{VERSION}"),
    ({"image": {"registry": "other.example.com:5000/"}}, f"other.example.com:5000/bigquery:{VERSION}"),
    ({"image": {"registry": ""}, "global": {"imageRegistry": "mirror.example.com"}}, f"mirror.example.com/bigquery:{VERSION}"),
    ({"image": {"repository": "other/bigquery", "tag": "1"}}, "registry.example.com/team/other/bigquery:1"),
    ({"image": {"repository": "localhost/bigquery", "digest": DIGEST}}, f"localhost/bigquery@{DIGEST}"),
]


@pytest.mark.parametrize(("values", "name"), IMAGES, ids=[name for _, name in IMAGES])
def test_image_is_in_the_registry_that_the_values_name(values, name):
    assert container(render("bigquery", values))["image"] == name


def test_bridge_may_come_from_another_registry(bridge_plugin):
    values = {"bridge": {"image": {"registry": "mirror.example.com"}}}
    (pod,) = (each["spec"]["template"]["spec"] for each in render(bridge_plugin, values) if each["kind"] == "Deployment")
    plugin, bridge = pod["initContainers"][0]["image"], pod["containers"][0]["image"]
    # A new plugin has a version of its own.
    assert plugin == "registry.example.com/team/shout:0.1.0" and bridge.startswith("mirror.example.com/bridge:")


def test_registry_is_in_the_notes_sidecar():
    assert REGISTRY["image"]["registry"] + "/propeller-proxy:" in notes("bigquery")
    assert "YOUR-REGISTRY/propeller-proxy:" in notes("bigquery", {"image": {"registry": "", "repository": "a.example.com/b"}})
