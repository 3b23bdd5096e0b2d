"""Helm and Kubernetes accept the charts, with default values and with those of cases.py."""

import pytest
import yaml

import schemas
from cases import MATRIX
from charts import CHARTS, HELMS, NEWEST, PLUGINS, Refused, render, run_tool

CHART = yaml.safe_load((CHARTS / PLUGINS[0] / "Chart.yaml").read_text())
OLDEST = CHART["kubeVersion"].removeprefix(">=").removesuffix("-0")
SUPPORTED = schemas.versions()[schemas.versions().index(OLDEST) :]


def assert_accepted(objects, kube):
    found = [problem for document in objects for problem in schemas.problems(document, kube)]
    assert not found, "\n".join(found)


def test_newest_kubernetes_is_tested():
    assert NEWEST == SUPPORTED[-1]
    assert {"1.28.0", "1.30.0"} < set(SUPPORTED)


@pytest.mark.parametrize("helm", HELMS)
def test_lint(plugin, helm):
    """Of the others, the schema of their values is checked whenever they are rendered."""
    done = run_tool(helm, "lint", "--strict", CHARTS / plugin)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kube", SUPPORTED)
def test_defaults_on_every_supported_kubernetes(plugin, kube):
    """Which fields a version knows depends on the template; the values of each plugin are tried on the newest, below."""
    assert_accepted(render(plugin, kube=kube), kube)


@pytest.mark.parametrize("name", PLUGINS)
def test_each_plugins_own_defaults(name):
    assert_accepted(render(name), NEWEST)


# 1.30 is the first version with the sleep action of preStop.
@pytest.mark.parametrize("kube", [OLDEST, "1.30.0", NEWEST])
@pytest.mark.parametrize("case", MATRIX)
def test_values(case, kube):
    assert_accepted(render("bigquery", MATRIX[case], kube=kube), kube)


@pytest.mark.parametrize("case", MATRIX)
def test_both_helms_render_the_same(case):
    values = {**MATRIX[case], "handleKeys": {"existingSecret": "keys"}}
    assert render("bigquery", values) == render("bigquery", values, helm="helm3")


def test_newer_fields_need_newer_kubernetes():
    values = {"service": {"trafficDistribution": "PreferClose"}}
    assert_accepted(render("bigquery", values, kube="1.31.0"), "1.31.0")
    assert any("trafficDistribution" in problem for o in render("bigquery", values) for problem in schemas.problems(o, "1.27.0"))


@pytest.mark.parametrize("case", ["defaults", "everything", "keda", "monitored"])
def test_sync_plugin(sync_plugin, case):
    values = {name: value for name, value in MATRIX[case].items() if name != "handleKeys"}
    objects = render(sync_plugin, values)
    assert_accepted(objects, NEWEST)
    assert "handle-key" not in str(objects)
    assert run_tool("helm", "lint", "--strict", sync_plugin).returncode == 0


def test_older_kubernetes_is_rejected():
    with pytest.raises(Refused, match="incompatible with Kubernetes"):
        render("bigquery", kube="1.26.0")
