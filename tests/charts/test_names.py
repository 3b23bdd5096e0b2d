"""Several releases in one namespace do not collide."""

import functools
import itertools
import re
import shutil

import pytest
import yaml

from cases import EVERYTHING
from charts import CHARTS, PLUGINS, STABLE, container, merged, of_kind, one, render

SERVICE_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
LONGEST = "r" * 53
RELEASES = ["prod", "prod-bigquery", "bigquery", "bigquery-eu", "eu.bigquery", "eu-bigquery", LONGEST, LONGEST[1:] + "s"]
# The name of a Deployment's pod has the hash of a ReplicaSet and five random characters.
POD_SUFFIX = "-0123456789-01234"


@functools.cache
def names(plugin, release):
    objects = render(plugin, EVERYTHING, release=release)
    ours = [document for document in objects if document["metadata"]["name"] not in (f"{release}-map", f"{release}-text")]
    return {(document["kind"], document["metadata"]["name"]) for document in ours}


@pytest.mark.parametrize(("one_release", "other"), itertools.combinations(RELEASES, 2))
def test_two_releases_of_a_chart_share_no_name(one_release, other):
    assert not names("bigquery", one_release) & names("bigquery", other)


@pytest.mark.parametrize(("plugin", "other"), itertools.combinations(PLUGINS, 2))
def test_two_plugins_share_no_name(plugin, other):
    # "prod" for both is a parent chart that contains both.
    for release, its in [(plugin, other), ("prod", "prod"), ("prod", "eu"), (f"{plugin}-eu", f"{other}-eu")]:
        assert not names(plugin, release) & names(other, its), (release, its)


@pytest.mark.parametrize("release", RELEASES)
def test_names_are_valid(long_plugin, release):
    for plugin in ("bigquery", long_plugin):
        for kind, name in names(plugin, release):
            assert len(name) <= 63 and SERVICE_NAME.fullmatch(name), (kind, name)
        deployment = one(render(plugin, EVERYTHING, release=release), "Deployment")
        assert len(deployment["metadata"]["name"] + POD_SUFFIX) <= 63


def test_labels_of_longest_names_are_valid(long_plugin):
    for document in render(long_plugin, EVERYTHING, release=LONGEST):
        assert all(len(value) <= 63 for value in document["metadata"].get("labels", {}).values())


def test_release_named_like_plugin_has_plugin_name():
    for plugin in PLUGINS:
        assert one(render(plugin), "Deployment")["metadata"]["name"] == plugin


def test_two_instances_in_parent_chart_select_their_own_pods(tmp_path):
    parts = [{"name": "bigquery", "version": "*", "alias": alias} for alias in ("eu", "us")]
    about = {"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": parts}
    (tmp_path / "Chart.yaml").write_text(yaml.safe_dump(about))
    shutil.copytree(CHARTS / "bigquery", tmp_path / "charts" / "bigquery")
    values = {alias: merged(STABLE, {"fullnameOverride": f"bigquery-{alias}"}) for alias in ("eu", "us")}
    values["global"] = {"imageRegistry": "registry.example.com"}
    objects = render(tmp_path, values, release="parent")
    for service in of_kind(objects, "Service"):
        pods = [pod["spec"]["template"]["metadata"]["labels"] for pod in of_kind(objects, "Deployment")]
        assert len(pods) == 2 and sum(service["spec"]["selector"].items() <= labels.items() for labels in pods) == 1


def test_fullname_override_names_everything():
    found = {document["metadata"]["name"] for document in render("bigquery", {"fullnameOverride": "sql"})}
    assert found == {"sql", "sql-auth", "sql-key-b38df953f0ae", "sql-headless", "sql-health-check"}


def test_container_name_is_short_enough(long_plugin):
    assert len(container(render(long_plugin))["name"]) <= 63
