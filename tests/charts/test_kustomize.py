"""The Kustomize bases match the charts' output, and can be customised as their README shows."""

import re
import shutil

import pytest
import yaml

import kustomize
import schemas
from charts import NEWEST, container, of_kind, one, render, run_tool

README = (kustomize.BASES / "README.md").read_text()


def build(directory):
    done = run_tool("kubectl", "kustomize", directory)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def names(objects):
    return sorted((document["kind"], document["metadata"]["name"]) for document in objects)


@pytest.mark.parametrize("plugin", kustomize.BASED)
def test_base_matches_chart(plugin):
    """If it fails, run: python tests/charts/kustomize.py"""
    committed = {file.name: file.read_text() for file in (kustomize.BASES / plugin).iterdir()}
    assert committed == kustomize.rendered(plugin)


def test_every_plugin_has_a_base():
    assert sorted(path.name for path in kustomize.BASES.iterdir() if path.is_dir()) == kustomize.BASED


@pytest.mark.parametrize("kube", ["1.30.0", NEWEST])
def test_kubernetes_accepts_a_base(kube):
    """For one plugin: each base is the rendering of its chart, which test_render.py covers."""
    objects = build(kustomize.BASES / "bigquery")
    assert not [problem for document in objects for problem in schemas.problems(document, kube)]
    assert {document["metadata"]["namespace"] for document in objects} == {"flyte"}
    assert "Helm" not in str([document["metadata"] for document in objects])


@pytest.mark.parametrize("plugin", kustomize.BASED)
def test_base_has_the_objects_of_the_chart(plugin):
    chart = render(plugin, kustomize.values_of(plugin), flags=kustomize.FLAGS)
    base = build(kustomize.BASES / plugin)
    # The name of the ConfigMap ends in a hash of its content.
    (config,) = of_kind(base, "ConfigMap")
    hashed, config["metadata"]["name"] = config["metadata"]["name"], f"{plugin}-auth"
    assert names(base) == names(chart)
    assert yaml.safe_load(config["data"]["auth.yaml"]) == yaml.safe_load(one(chart, "ConfigMap")["data"]["auth.yaml"])
    volumes = one(base, "Deployment")["spec"]["template"]["spec"]["volumes"]
    assert {"name": "auth", "configMap": {"name": hashed}} in volumes
    based, wanted = container(base), container(chart)
    # What each installation must set itself.
    wanted["env"] = [variable for variable in wanted["env"] if variable["name"] not in kustomize.required(plugin)["settings"]]
    assert based == wanted


def test_readme_overlay_builds(tmp_path):
    shutil.copytree(kustomize.BASES, tmp_path / "kustomize")
    mine = tmp_path / "my-databricks"
    mine.mkdir()
    (overlay,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (mine / "kustomization.yaml").write_text(overlay)
    (mine / "auth.yaml").write_text("issuers: []\nrules: []\n")
    objects = build(mine)
    assert not [problem for document in objects for problem in schemas.problems(document, NEWEST)]
    assert one(objects, "Deployment")["spec"]["replicas"] == 3
    assert one(objects, "ConfigMap")["data"]["auth.yaml"] == "issuers: []\nrules: []\n"
    base = container(build(kustomize.BASES / "databricks"))
    added = [variable for variable in container(objects)["env"] if variable not in base["env"]]
    assert added == [{"name": "DATABRICKS_INSTANCES", "value": "dbc-1234.cloud.databricks.com"}]
    assert {mount["name"] for mount in container(objects)["volumeMounts"]} == {"auth", "handle-keys", "cluster", "secrets"}
