"""docs/flyte-values, through Flyte's own charts: our task types go to us, and everything else stays as it was."""

import subprocess

import pytest
import yaml

import flyte
from charts import ROOT, TOOLS

FLAVOURS = [("1.13", "core"), ("1.13", "binary"), ("1.16", "core"), ("1.16", "binary")]


def configuration(chart, *values):
    """Everything that Flyte is configured with, as it merges its files."""
    command = [TOOLS / "helm", "template", "flyte", chart, "--namespace=flyte"]
    done = subprocess.run([*command, *(f"--values={file}" for file in values)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    merged = {}
    for document in yaml.safe_load_all(done.stdout):
        if document and document["kind"] in ("ConfigMap", "Secret"):
            files = {**(document.get("data") or {}), **(document.get("stringData") or {})}
            for name in sorted(files):
                # Other files hold templates, or are no configuration.
                if name.endswith(".yaml") and ("plugins" in files[name] or "task-plugins" in files[name]):
                    merge(merged, yaml.safe_load(files[name]))
    return merged


def merge(into, more):
    for key, value in (more or {}).items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


@pytest.fixture(scope="module", params=FLAVOURS, ids="-".join)
def rendered(request, tmp_path_factory):
    """A flavour of Flyte: its configuration without and with our values, and what the values say."""
    release, kind = request.param
    values = ROOT / "docs" / "flyte-values" / f"{kind}-{release}.yaml"
    chart = flyte.chart(release, f"flyte-{kind}", tmp_path_factory.mktemp("flyte"))
    section = "agent-service" if release == "1.13" else "connector-service"
    return configuration(chart), configuration(chart, values), section


def test_our_task_types_are_routed_to_their_services(rendered):
    _, after, section = rendered
    service = after["plugins"][section]
    connectors = service.get("connectors") or service["agents"]
    routed = service.get("connectorForTaskTypes") or service["agentForTaskTypes"]
    assert set(routed.values()) == set(connectors) == {"bigquery", "databricks", "snowflake"}
    assert sorted(service["supportedTaskTypes"]) == sorted(routed)
    for name, connector in connectors.items():
        assert connector["endpoint"] == f"dns:///{name}-headless.flyte.svc.cluster.local:8000"
        assert connector["insecure"] is True
        assert "round_robin" in connector["defaultServiceConfig"]
        assert isinstance(connector["timeouts"], list)
    defaults = after["tasks"]["task-plugins"]["default-for-task-types"]
    assert {defaults[task_type] for task_type in routed} == {section}


def test_every_other_task_type_stays_where_it_was(rendered):
    before, after, section = rendered
    were, are = (each["tasks"]["task-plugins"] for each in (before, after))
    assert are["enabled-plugins"] == were["enabled-plugins"]
    assert section in are["enabled-plugins"]
    ours = {"bigquery_query_job_task", "databricks", "snowflake"}
    assert {key: value for key, value in are["default-for-task-types"].items() if key not in ours} == were["default-for-task-types"]
    for name, plugin in before.get("plugins", {}).items():
        if name != section:
            assert after["plugins"][name] == plugin
