"""The charts in a cluster: next to each other, over the lifecycle of their releases, unmodified."""

import base64
import contextlib
import json
import shutil

import pytest

from control_plane import eventually
from namespace import REGISTRY, ROOT, Refused

EACH_HELM = pytest.mark.parametrize("helm", ["helm", "helm3"])
HPA = {"autoscaling": {"enabled": True, "minReplicas": 3}}
TWO_KEYS = {"handleKeys": {"files": ["handle.key", "next.key"]}}
ONE_KEY = {"handleKeys": {"files": ["next.key"]}}


@contextlib.contextmanager
def untouched(namespace, release):
    """Asserts that no object of a release changes meanwhile."""
    before = namespace.settled_versions(release)
    yield
    assert namespace.settled_versions(release) == before


def handle_key_secrets(namespace, release="bigquery"):
    found = namespace.every("secrets", release)
    return [secret for secret in found if secret["metadata"]["labels"].get("app.kubernetes.io/component") == "handle-key"]


def handle_keys(namespace, release="bigquery"):
    """All handle keys of a release: each Secret has one."""
    pairs = [pair for secret in handle_key_secrets(namespace, release) for pair in secret["data"].items()]
    assert len(pairs) == len(handle_key_secrets(namespace, release)) == len(dict(pairs))
    return dict(pairs)


def deployed(namespace, release="bigquery"):
    return namespace.get("deployment", release)["spec"]


def variables(namespace):
    (container,) = deployed(namespace)["template"]["spec"]["containers"]
    return {variable["name"]: variable["value"] for variable in container["env"]}


@EACH_HELM
def test_two_plugins_coexist(plugins):
    for plugin in ("bigquery", "snowflake"):
        plugins.install(plugin)
        assert not plugins.warnings
    for plugin in ("bigquery", "snowflake"):
        pods = plugins.wait_for_pods(plugin, 2)
        assert {pod["status"]["phase"] for pod in pods} == {"Pending"}
        assert {key.split("/")[0] for key in plugins.objects(plugin)} >= {"Deployment", "NetworkPolicy", "PodDisruptionBudget"}
    assert plugins.refusals() == []


LOOSENED = {
    "privilege-escalation": ("container", {"allowPrivilegeEscalation": True}),
    "capabilities": ("container", {"capabilities": {}}),
    "root": ("pod", {"runAsUser": 0}),
    "maybe-root": ("pod", {"runAsNonRoot": False}),
    "system-calls": ("pod", {"seccompProfile": {"type": "Unconfined"}}),
}


def loosened(deployment, name, where, change):
    """The chart's Deployment, without one of its security settings."""
    spec = json.loads(json.dumps(deployment["spec"]))
    for labels in (spec["selector"]["matchLabels"], spec["template"]["metadata"]["labels"]):
        labels["app.kubernetes.io/instance"] = name
    pod = spec["template"]["spec"]
    (pod if where == "pod" else pod["containers"][0])["securityContext"] |= change
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def test_pod_without_security_setting_is_rejected(plugins):
    plugins.install("bigquery")
    original = plugins.get("deployment", "bigquery")
    for name, (where, change) in LOOSENED.items():
        plugins.create(loosened(original, name, where, change))
    plugins.create(loosened(original, "the-same", "pod", {}))

    def is_refused(name):
        return any(f'"{name}-' in message and "violates PodSecurity" in message for message in plugins.refusals())

    for name in LOOSENED:
        eventually(lambda name=name: is_refused(name), what=lambda: plugins.refusals())
        assert plugins.pods(name) == []
    plugins.wait_for_pods("the-same", 2)


@EACH_HELM
def test_handle_keys_are_created_once(plugins):
    plugins.install("bigquery")
    first = handle_keys(plugins)
    assert len(base64.b64decode(base64.b64decode(first["handle.key"]))) == 32
    plugins.upgrade("bigquery", {"log": {"level": "debug"}})
    assert handle_keys(plugins) == first
    plugins.upgrade("bigquery", {"handleKeys": {"existingSecret": "another"}})
    assert handle_keys(plugins) == first, "no longer used, but kept"
    plugins.helm("uninstall", "bigquery")
    assert handle_keys(plugins) == first
    plugins.install("bigquery")
    assert handle_keys(plugins) == first


@EACH_HELM
def test_second_handle_key_leaves_first_unchanged(plugins):
    plugins.install("bigquery")
    first = handle_keys(plugins)
    plugins.upgrade("bigquery", TWO_KEYS)
    both = handle_keys(plugins)
    assert both.keys() == {"handle.key", "next.key"} and first.items() < both.items()
    plugins.upgrade("bigquery", ONE_KEY)
    assert handle_keys(plugins) == both


@EACH_HELM
def test_rollback_deletes_no_handle_key(plugins):
    plugins.install("bigquery")
    plugins.upgrade("bigquery", TWO_KEYS)
    both = handle_keys(plugins)
    plugins.upgrade("bigquery", ONE_KEY)
    for revision in (1, 2, 3, 1):
        plugins.helm("rollback", "bigquery", revision)
        assert handle_keys(plugins) == both
        assert set(mounted_secrets(plugins)) <= {secret["metadata"]["name"] for secret in handle_key_secrets(plugins)}


def mounted_secrets(namespace):
    volumes = {volume["name"]: volume for volume in deployed(namespace)["template"]["spec"]["volumes"]}
    return [source["secret"]["name"] for source in volumes["handle-keys"]["projected"]["sources"]]


FORMER = """\
apiVersion: v1
kind: Secret
metadata: {name: bigquery-handle-keys, namespace: "{{ .Release.Namespace }}", annotations: {helm.sh/resource-policy: keep}}
data: {handle.key: Zmlyc3Q=, next.key: c2Vjb25k}
"""


@pytest.fixture
def former_chart(tmp_path):
    """A chart with all handle keys in one Secret of its manifest, like charts of template version 4 and earlier."""
    chart = shutil.copytree(ROOT / "charts" / "bigquery", tmp_path / "bigquery")
    (chart / "templates" / "secrets-handle-keys.yaml").write_text(FORMER)
    return chart


@EACH_HELM
def test_handle_keys_in_shared_secret_are_copied_and_kept(plugins, former_chart):
    plugins.helm("install", "bigquery", former_chart, "--values=-", values={**REGISTRY, **TWO_KEYS})
    former = plugins.get("secret", "bigquery-handle-keys")["data"]
    plugins.upgrade("bigquery", TWO_KEYS)
    assert handle_keys(plugins) == former == {"handle.key": "Zmlyc3Q=", "next.key": "c2Vjb25k"}
    plugins.upgrade("bigquery", ONE_KEY)
    for revision in (1, 2, 3):
        plugins.helm("rollback", "bigquery", revision)
        assert handle_keys(plugins) == plugins.get("secret", "bigquery-handle-keys")["data"] == former
    plugins.helm("uninstall", "bigquery")
    assert plugins.get("secret", "bigquery-handle-keys")["data"] == former


@EACH_HELM
def test_rollback_restores_previous_values(plugins):
    for plugin in ("bigquery", "snowflake"):
        plugins.install(plugin)
        plugins.wait_for_pods(plugin, 2)
    before = deployed(plugins)
    with untouched(plugins, "snowflake"):
        plugins.upgrade("bigquery", {"replicaCount": 4, "log": {"level": "warn"}})
        assert deployed(plugins)["replicas"] == 4 and variables(plugins)["PLUGIN_LOG_LEVEL"] == "warn"
        plugins.helm("rollback", "bigquery", 1)
        assert deployed(plugins) == before


@EACH_HELM
def test_uninstall_keeps_handle_keys(plugins):
    for plugin in ("bigquery", "snowflake"):
        plugins.install(plugin)
        plugins.wait_for_pods(plugin, 2)
    with untouched(plugins, "snowflake"):
        plugins.helm("uninstall", "bigquery")
        kept = {f"Secret/{secret['metadata']['name']}" for secret in handle_key_secrets(plugins)}
        eventually(lambda: plugins.objects("bigquery").keys() == kept, what=lambda: plugins.objects("bigquery").keys())


def test_scaling_one_plugin_does_not_change_the_other(plugins):
    for plugin in ("bigquery", "snowflake"):
        plugins.install(plugin)
        plugins.wait_for_pods(plugin, 2)
    with untouched(plugins, "snowflake"):
        for number in (5, 0, 1):
            plugins.kubectl("scale", "deployment/bigquery", f"--replicas={number}")
            plugins.wait_for_pods("bigquery", number)


@EACH_HELM
def test_autoscaled_plugin_keeps_size_over_upgrades(plugins):
    for plugin in ("bigquery", "snowflake"):
        plugins.install(plugin)
        plugins.wait_for_pods(plugin, 2)
    with untouched(plugins, "snowflake"):
        plugins.upgrade("bigquery", HPA)
        eventually(lambda: plugins.replicas("bigquery") == 3, what="the fewest of the HorizontalPodAutoscaler")
        plugins.kubectl("scale", "deployment/bigquery", "--replicas=5")
        plugins.upgrade("bigquery", {**HPA, "commonLabels": {"team": "data"}})
        assert plugins.replicas("bigquery") == 5
        plugins.helm("rollback", "bigquery", 2)
        assert plugins.replicas("bigquery") == 5
        plugins.upgrade("bigquery")
        # Helm deletes the autoscaler after it has applied the Deployment: its controller may still act once.
        assert plugins.replicas("bigquery") in (2, 3)
    assert "HorizontalPodAutoscaler/bigquery" not in plugins.objects("bigquery")


@EACH_HELM
@pytest.mark.xfail(strict=True, reason="a Deployment without replicas in the manifest is scaled to one pod")
def test_plugin_keeps_size_when_autoscaling_begins(plugins):
    plugins.install("bigquery", {"replicaCount": 4})
    plugins.upgrade("bigquery", HPA)
    # One is below the minimum, which the controller corrects.
    size = eventually(lambda: (found := plugins.replicas("bigquery")) > 1 and found, what="more than one replica")
    assert size == 4


RELEASES = ["bigquery", "bigquery-eu", "prod"]


@EACH_HELM
def test_releases_of_one_chart_do_not_collide(plugins):
    for release in RELEASES:
        plugins.install("bigquery", release=release)
    owners = [{pod["metadata"]["name"] for pod in plugins.wait_for_pods(release, 2)} for release in RELEASES]
    assert len(set().union(*owners)) == 2 * len(RELEASES)
    keys = [handle_keys(plugins, release)["handle.key"] for release in RELEASES]
    assert len(set(keys)) == len(RELEASES)
    with untouched(plugins, "bigquery"), untouched(plugins, "prod"):
        plugins.helm("uninstall", "bigquery-eu")


def test_services_and_policies_select_the_pods_of_their_release(plugins):
    for release in RELEASES:
        plugins.install("bigquery", release=release)
        plugins.wait_for_pods(release, 2)
    for release in RELEASES:
        own = {pod["metadata"]["name"] for pod in plugins.pods(release)}
        for selector in selectors(plugins.every("services,networkpolicies,poddisruptionbudgets", release)):
            found = plugins.kubectl("get", "pods", "--output=name", f"--selector={selector}").split()
            assert {name.removeprefix("pod/") for name in found} == own


def selectors(objects):
    """The objects' pod selectors, in kubectl's syntax."""
    for found in objects:
        selector = found["spec"].get("podSelector") or found["spec"]["selector"]
        labels = selector.get("matchLabels", selector)
        yield ",".join(f"{name}={value}" for name, value in labels.items())


PEER = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}
GATEWAY = {"enabled": True, "parentRefs": [{"name": "gateway", "namespace": "gateways"}], "hostnames": ["plugin.example.com"]}
ISSUER = {"name": "idp", "issuer": "https://idp.example.com", "audiences": ["a"], "jwks": {"url": "https://idp.example.com/keys"}}
MEMORY = {"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 80}}}
CRON = {"type": "cron", "metadata": {"timezone": "UTC", "start": "0 6 * * *", "end": "0 20 * * *", "desiredReplicas": "5"}}
FEATURES = {
    "opened": {
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "hosts": [{"host": "plugin.example.com"}],
            "tls": [{"hosts": ["plugin.example.com"], "secretName": "tls"}],
        },
        "httpRoute": GATEWAY,
        "grpcRoute": GATEWAY,
        "ports": {"host": "[::]"},
        "service": {"ipFamilyPolicy": "PreferDualStack", "trafficDistribution": "PreferClose"},
        "networkPolicy": {
            "clients": [PEER],
            "cidrs": ["10.0.0.0/8", "2001:db8::/32"],
            "metadataServer": True,
            "extraIngress": [{"from": [PEER]}],
            "extraEgress": [{"ports": [{"port": 3128}]}],
        },
        "auth": {"keysSecret": "issuers", "issuers": [ISSUER], "rules": [{"issuer": "idp", "role": "user", "sub": "nightly"}]},
    },
    "tls": {"tls": {"enabled": True, "existingSecret": "certificate"}, "strategy": {"type": "Recreate"}},
    "watched": {
        "metrics": {"serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}, "dashboard": {"enabled": True}},
        "otel": {"endpoint": "http://otel-collector.monitoring:4317"},
    },
    "pods-watched": {"metrics": {"podMonitor": {"enabled": True}, "prometheusNamespace": "prometheus"}},
    "hpa": {"autoscaling": {"enabled": True, "metrics": [MEMORY]}, "podDisruptionBudget": {"maxUnavailable": "50%"}},
    "keda": {
        "autoscaling": {"enabled": True, "keda": {"enabled": True, "prometheusAddress": "http://prometheus:9090", "triggers": [CRON]}},
    },
    "secrets": {
        "secrets": {
            "existingSecret": "credentials",
            "namespaces": [{"namespace": "team-a", "existingSecret": "team-a", "items": [{"key": "token", "path": "token"}]}],
            "externalSecret": {
                "enabled": True,
                "storeName": "vault",
                "data": [{"secretKey": "token", "remoteRef": {"key": "vendor"}}],
                "dataFrom": [{"extract": {"key": "vendor"}}],
            },
        },
        "serviceAccount": {"tokens": [{"audience": "vendor.example.com", "path": "vendor", "expirationSeconds": 3600}]},
    },
    "placed": {
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "plugins", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "dnsConfig": {"options": [{"name": "ndots", "value": "2"}]},
        "topologySpread": {"zone": "DoNotSchedule"},
        "hostUsers": False,
        "imagePullSecrets": [{"name": "registry"}],
        "commonLabels": {"team": "data"},
        "commonAnnotations": {"example.com/contact": "data"},
    },
}


def rendered(namespace, plugin, feature):
    """Rendered by Helm with the API server's capabilities."""
    chart = ROOT / "charts" / plugin
    return namespace.helm("template", plugin, chart, "--dry-run=server", "--values=-", values={**REGISTRY, **FEATURES[feature]})


def try_to_apply(namespace, plugin, documents):
    # A dry run does not create the ServiceAccount, without which the pod of `helm test` is rejected.
    namespace.kubectl("create", "serviceaccount", plugin)
    namespace.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename=-", stdin=documents)


@pytest.mark.parametrize("feature", FEATURES)
def test_api_server_accepts_every_feature(plugins, definitions, feature):
    """One plugin is enough: features come from the template, and tests/charts/test_objects.py compares the plugins' templates."""
    try_to_apply(plugins, "bigquery", rendered(plugins, "bigquery", feature))
    assert not plugins.warnings, "of pods that the namespace would refuse, for one"


@pytest.mark.parametrize("field", ["appProtocol", "scaleTargetRef", "interval", "parentRefs"])
def test_api_server_rejects_unknown_field(plugins, definitions, field):
    documents = (rendered(plugins, "bigquery", feature) for feature in ("opened", "watched", "keda"))
    (document, *_) = (text for text in documents if f" {field}:" in text)
    with pytest.raises(Refused, match="field not declared|unknown field"):
        try_to_apply(plugins, "bigquery", document.replace(f" {field}:", f" {field}s:"))
