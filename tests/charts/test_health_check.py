"""`helm test` calls the service from a pod with the plugin's own image."""

import pytest

from cases import EVERYTHING, MATRIX
from charts import container, one, render

HOOKS = {"helm.sh/hook": "test", "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded"}


def health_check(objects):
    (only,) = one(objects, "Pod")["spec"]["containers"]
    return only


def test_pod_calls_the_service():
    objects = render("bigquery", {"ports": {"api": 8001}}, release="prod")
    assert health_check(objects)["args"] == ["health-check", "http://prod-bigquery:8001"]
    ports = one(objects, "Service", "prod-bigquery")["spec"]["ports"]
    assert 8001 in {port["port"] for port in ports}


def test_pod_exists_only_during_the_test():
    for kind in ("Pod", "NetworkPolicy"):
        annotations = one(render("bigquery"), kind, "bigquery-health-check")["metadata"]["annotations"]
        assert HOOKS.items() <= annotations.items()
    assert one(render("bigquery"), "Pod")["spec"]["restartPolicy"] == "Never"


@pytest.mark.parametrize("case", ["defaults", "everything", "scheduled", "bare"])
def test_pod_has_the_usual_pod_settings(case):
    objects = render("bigquery", MATRIX[case])
    deployed, tested = one(objects, "Deployment")["spec"]["template"]["spec"], one(objects, "Pod")["spec"]
    shared = ("serviceAccountName", "automountServiceAccountToken", "enableServiceLinks", "hostUsers")
    for field in (*shared, "imagePullSecrets", "securityContext", "nodeSelector", "tolerations"):
        assert deployed.get(field) == tested.get(field), field
    for field in ("image", "imagePullPolicy", "resources", "securityContext"):
        assert container(objects).get(field) == health_check(objects).get(field), field


@pytest.mark.parametrize("values", [{}, EVERYTHING])
def test_network_policy_allows_pod_to_reach_api(values):
    objects = render("bigquery", values)
    asks, serves = one(objects, "Pod")["metadata"]["labels"], one(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    (into,) = [rule for rule in rules(objects, "bigquery", "ingress") if admits(rule["from"], asks)]
    (out,) = [rule for rule in rules(objects, "bigquery-health-check", "egress") if admits(rule.get("to", []), serves)]
    assert into["ports"] == out["ports"] == [{"port": "grpc", "protocol": "TCP"}]
    of_the_test = one(objects, "NetworkPolicy", "bigquery-health-check")["spec"]["podSelector"]["matchLabels"]
    assert of_the_test.items() <= asks.items()


def rules(objects, policy, direction):
    return one(objects, "NetworkPolicy", policy)["spec"][direction]


def admits(peers, labels):
    """Whether one of the peers selects pods of this namespace with these labels."""
    selectors = [peer["podSelector"]["matchLabels"] for peer in peers if peer.keys() == {"podSelector"}]
    return any(selector.items() <= labels.items() for selector in selectors)
