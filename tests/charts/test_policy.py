"""checkov reports only findings that checkov-skips.yaml justifies; the pods meet the restricted standard."""

import json
import pathlib
import re
import subprocess
import sys
import textwrap

import pytest
import yaml

from cases import MATRIX
from charts import CHARTS, STABLE, container, merged, of_kind, one, render, text

SKIPS = yaml.safe_load((pathlib.Path(__file__).parent / "checkov-skips.yaml").read_text())
# Of one plugin: checkov looks at kinds and fields, which are the template's.
CASES = ("defaults", "everything", "no-auth", "no-cluster-auth", "hpa", "keda", "secrets-csi", "tls")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    directory = tmp_path_factory.mktemp("checkov")
    for case in CASES:
        (directory / f"{case}.yaml").write_text(text("bigquery", merged(STABLE, MATRIX[case])))
    checkov = pathlib.Path(sys.executable).parent / "checkov"
    command = [sys.executable, checkov, "--framework=kubernetes", "--skip-download", "--output=json", f"--directory={directory}"]
    done = subprocess.run(command, capture_output=True, text=True)
    return json.loads(done.stdout)


def failures(report):
    """Pairs of a check and Kind/name, with the file."""
    for failed in report["results"]["failed_checks"]:
        kind, _, name = failed["resource"].split(".", 2)
        yield failed["check_id"], f"{kind}/{name}", pathlib.Path(failed["file_path"]).stem


def skipped(check, subject):
    return any(skip["check"] == check and re.fullmatch(skip["objects"], subject) for skip in SKIPS)


def test_every_finding_is_justified(report):
    assert report["summary"]["parsing_errors"] == 0 and report["summary"]["passed"] > 1000
    unexplained = [failure for failure in failures(report) if not skipped(*failure[:2])]
    assert not unexplained


def test_every_justification_is_needed(report):
    failed = {check for check, _, _ in failures(report)}
    assert {skip["check"] for skip in SKIPS} == failed
    assert all(skip["reason"] for skip in SKIPS)


def test_image_with_digest_is_pinned(report):
    assert "CKV_K8S_43" not in {check for check, _, file in failures(report) if file == "everything"}


def pods(objects):
    return [one(objects, "Deployment")["spec"]["template"]["spec"], one(objects, "Pod")["spec"]]


def test_pods_meet_the_restricted_standard(plugin):
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    objects = render(plugin)
    volumes = [volume for pod in pods(objects) for volume in pod.get("volumes", [])]
    assert {kind for volume in volumes for kind in volume if kind != "name"} <= {"configMap", "projected", "secret", "csi"}
    for pod in pods(objects):
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            context = container["securityContext"]
            assert not context["allowPrivilegeEscalation"] and context["readOnlyRootFilesystem"]
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert not any("hostPort" in port for port in container.get("ports", []))


def test_openshift_assigns_users_and_groups():
    for pod in pods(render("bigquery", flags=("--api-versions=security.openshift.io/v1",))):
        assert pod["securityContext"].keys() == {"runAsNonRoot", "fsGroupChangePolicy", "seccompProfile"}


def test_no_rbac_permissions():
    for values in MATRIX.values():
        kinds = {document["kind"] for document in render("bigquery", values)}
        assert not kinds & {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}


def test_network_policy_allows_only_flyte():
    ingress = one(render("bigquery"), "NetworkPolicy", "bigquery")["spec"]["ingress"]
    (api,) = ingress
    flyte, health_check = api["from"]
    assert flyte == {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "flyte"}}}
    assert health_check["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == "bigquery-health-check"
    assert api["ports"] == [{"port": "grpc", "protocol": "TCP"}]


def test_network_policy_allows_prometheus_only_to_metrics():
    policy = one(render("bigquery", MATRIX["monitored"]), "NetworkPolicy", "bigquery")
    _, metrics = policy["spec"]["ingress"]
    assert metrics["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    assert metrics["ports"] == [{"port": "http-admin", "protocol": "TCP"}]


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [("http://otel:4317", 4317), ("https://otel.example.com", 443), ("http://otel", 80), ("http://[::1]:4318", 4318)],
)
def test_network_policy_allows_traces(endpoint, port):
    policy = one(render("bigquery", {"otel": {"endpoint": endpoint}}), "NetworkPolicy", "bigquery")
    assert {"ports": [{"port": port, "protocol": "TCP"}]} in policy["spec"]["egress"]


def test_network_policy_allows_openshift_dns_port():
    """OpenShift's is at 5353: https://github.com/openshift/cluster-dns-operator/blob/master/assets/dns/service.yaml"""
    for policy in of_kind(render("bigquery"), "NetworkPolicy"):
        ports = {(port["protocol"], port["port"]) for port in policy["spec"]["egress"][0]["ports"]}
        assert ports == {(protocol, port) for protocol in ("UDP", "TCP") for port in (53, 5353)}


def test_documented_mesh_values_allow_mesh_traffic():
    """docs/operating.md, By mesh."""
    document = (CHARTS.parent / "docs" / "operating.md").read_text()
    section = document.split("### By mesh\n")[1].split("\n### ")[0]
    values = yaml.safe_load(textwrap.dedent(re.search(r"```yaml\n(.*?)```", section, re.DOTALL)[1]))
    objects = render("bigquery", values)
    policy = one(objects, "NetworkPolicy", "bigquery")
    assert policy["spec"]["egress"][-1]["ports"] == [{"port": 15012, "protocol": "TCP"}]
    labels = one(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    allowed = one(objects, "AuthorizationPolicy")
    assert allowed["spec"]["selector"]["matchLabels"].items() <= labels.items()
    ports = {port for rule in allowed["spec"]["rules"] for to in rule["to"] for port in to["operation"]["ports"]}
    assert ports == {str(port["containerPort"]) for port in container(objects)["ports"]}


def test_network_policy_can_be_disabled():
    assert not of_kind(render("bigquery", {"networkPolicy": {"enabled": False}}), "NetworkPolicy")
