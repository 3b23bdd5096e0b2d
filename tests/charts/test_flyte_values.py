"""docs/flyte-values, rendered with Flyte's own charts: our task types are routed to our services, and nothing else changes."""

import subprocess

import pytest
import yaml

import flyte
import schemas
from charts import ROOT, TOOLS

FLAVOURS = [("1.13", "core"), ("1.13", "binary"), ("1.16", "core"), ("1.16", "binary")]


def render(chart, *values):
    """Every object of Flyte's chart."""
    command = [TOOLS / "helm", "template", "flyte", chart, "--namespace=flyte"]
    done = subprocess.run([*command, *(f"--values={file}" for file in values)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def configuration(chart, *values):
    """Flyte's whole configuration, merged from its files as Flyte does."""
    merged = {}
    for document in render(chart, *values):
        if document["kind"] in ("ConfigMap", "Secret"):
            files = {**(document.get("data") or {}), **(document.get("stringData") or {})}
            for name in sorted(files):
                # Other files contain templates, or are not configuration.
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
    """A flavour of Flyte: its configuration without and with our values, and the values."""
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
    assert set(routed.values()) == set(connectors) == {"athena", "aws-batch", "bigquery", "databricks", "emr-serverless", "redshift", "sagemaker", "snowflake"}
    assert sorted(service["supportedTaskTypes"]) == sorted(routed)
    for name, connector in connectors.items():
        assert connector["endpoint"] == f"dns:///{name}-headless.flyte.svc.cluster.local:8000"
        assert connector["insecure"] is True
        assert "round_robin" in connector["defaultServiceConfig"]
        assert isinstance(connector["timeouts"], list)
    defaults = after["tasks"]["task-plugins"]["default-for-task-types"]
    assert {defaults[task_type] for task_type in routed} == {section}


SAGEMAKER = {
    f"sagemaker-{name}"
    for name in (
        "endpoint",
        "hyperparameter-tuning-job",
        "inference-recommender-job",
        "processing-job",
        "processing-task",
        "training-job",
        "training-task",
        "transform-job",
    )
}


def test_other_task_types_are_unchanged(rendered):
    before, after, section = rendered
    were, are = (each["tasks"]["task-plugins"] for each in (before, after))
    assert are["enabled-plugins"] == were["enabled-plugins"]
    assert section in are["enabled-plugins"]
    ours = {"athena", "aws-batch", "bigquery_query_job_task", "databricks", "emr_serverless", "hive", "presto", "redshift", "snowflake"} | SAGEMAKER
    assert {key: value for key, value in are["default-for-task-types"].items() if key not in ours} == were["default-for-task-types"]
    for name, plugin in before.get("plugins", {}).items():
        if name != section:
            assert after["plugins"][name] == plugin


def containers(objects, name):
    """The pod with a container of that name."""
    pods = [each["spec"]["template"]["spec"] for each in objects if each["kind"] == "Deployment"]
    return [pod for pod in pods if name in [container["name"] for container in pod["containers"]]]


@pytest.mark.parametrize(("release", "kind"), FLAVOURS, ids=map("-".join, FLAVOURS))
def test_sidecar_is_in_propellers_pod_and_is_called(release, kind, tmp_path):
    values = ROOT / "docs" / "flyte-values" / f"{kind}-{release}-proxy.yaml"
    chart = flyte.chart(release, f"flyte-{kind}", tmp_path)
    objects = render(chart, values)
    (pod,) = containers(objects, "propeller-proxy")
    ours = {"core": "flytepropeller", "binary": "flyte"}[kind]
    main, proxy = ({each["name"]: each for each in pod["containers"]}[name] for name in (ours, "propeller-proxy"))
    alone = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "alone"}, "spec": {"containers": [proxy]}}
    assert [problem for kube in schemas.versions() for problem in schemas.problems(alone, kube)] == []

    listens = [arg.removeprefix("--route=").split("=") for arg in proxy["args"] if arg.startswith("--route=")]
    service = configuration(chart, values)["plugins"]
    service = service["agent-service" if release == "1.13" else "connector-service"]
    called = {each["endpoint"] for each in (service.get("connectors") or service["agents"]).values()}
    assert {f"dns:///{listen}" for listen, _ in listens} == called
    ports = {port["containerPort"] for port in main.get("ports", [])}
    assert ports.isdisjoint(int(listen.rpartition(":")[2]) for listen, _ in listens)

    (token,) = [volume for volume in pod["volumes"] if volume["name"] == "outrigger-token"]
    (mount,) = [mount for mount in proxy["volumeMounts"] if mount["name"] == "outrigger-token"]
    (source,) = token["projected"]["sources"]
    assert source["serviceAccountToken"]["audience"] == "flyte-connectors"
    path = f"{mount['mountPath']}/{source['serviceAccountToken']['path']}"
    assert f"--token-file={path}" in proxy["args"]
