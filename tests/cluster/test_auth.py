"""The charts' default authentication: calls of the real service with tokens of a real API server."""

import pytest

from kubelet import PROGRAMS, Pod

KEYS = "/openid/v1/jwks"
AUDIENCE = "flyte-connectors"
# The token's ServiceAccount, its audience, and the service's answer.
CALLERS = [
    ("flyte", "flytepropeller", AUDIENCE, 200),
    ("flyte", "flytepropeller", "another", 401),
    ("flyte", "flytepropeller", None, 401),
    ("flyte", "flyteadmin", AUDIENCE, 403),
    ("plugins", "flytepropeller", AUDIENCE, 403),
]


@pytest.fixture
def pod(plugins, tmp_path):
    plugins.install("bigquery")
    pod, _ = plugins.wait_for_pods("bigquery", 2)
    return Pod(plugins, pod, tmp_path)


@pytest.fixture
def service(pod):
    program = PROGRAMS / "bigquery"
    if not program.exists():
        pytest.skip(f"{program} is not there: cargo build -p bigquery")
    with pod.run():
        yield pod


def token(namespace, account, audience):
    for_audience = [f"--audience={audience}"] if audience else []
    return namespace.kubectl("create", "token", account, *for_audience).strip()


def test_plugin_reads_cluster_keys_without_permissions(plane, plugins, pod):
    assert plugins.every("roles,rolebindings") == []
    assert plane.get(KEYS, pod.token()) == 200
    assert plane.get(KEYS, "no token") == 401, "the keys are not public"
    assert plane.get(f"/api/v1/namespaces/{plugins.name}/secrets", pod.token()) == 403


def test_only_flyte_is_accepted(flyte, plugins, service):
    plugins.kubectl("create", "serviceaccount", "flytepropeller")
    namespaces = {"flyte": flyte, "plugins": plugins}
    answers = [(*caller, service.status(token(namespaces[namespace], *caller))) for namespace, *caller, _ in CALLERS]
    assert answers == [(*caller, status) for _, *caller, status in CALLERS]
    assert service.status() == 401


def test_service_rejects_its_own_token(service):
    assert service.status(service.token()) == 401
