"""Every value has an effect, and is documented in values.yaml's comments and the README's table."""

import json
import re
import tomllib

import pytest

from cases import EVERYTHING, GATEWAY, ISSUER, PEER, RULE, SECRETS, TLS, TLS_MADE_ELSEWHERE
from charts import CHARTS, PLUGINS, ROOT, STABLE, Refused, container, default_values, flattened, merged, nested, notes, render, text

LABELS = {"example.com/a": "b"}
OPENSHIFT = ("--api-versions=security.openshift.io/v1",)
INGRESS = {"ingress": {"enabled": True, "hosts": [{"host": "a.example.com"}]}}
EXTERNAL = {"secrets": SECRETS["external"]}
HPA = {"autoscaling": {"enabled": True}}
KEDA = {"autoscaling": {"enabled": True, "keda": {"enabled": True, "prometheusAddress": "http://prometheus:9090"}}}
MONITOR = {"metrics": {"serviceMonitor": {"enabled": True}}}
RULES = {"metrics": {"prometheusRule": {"enabled": True}}}
DASHBOARD = {"metrics": {"dashboard": {"enabled": True}}}
NO_CLUSTER = {"auth": {"issuers": [ISSUER], "rules": [RULE]}}

# A value other than the default, for each path.
ANOTHER = {
    "image.registry": "other.example.com",
    "image.repository": "registry.example.com/plugin",
    "image.tag": "1.2.3",
    "image.digest": "sha256:" + "1" * 64,
    "image.pullPolicy": "Always",
    "imagePullSecrets": [{"name": "registry"}],
    "fullnameOverride": "other",
    "commonLabels": LABELS,
    "commonAnnotations": LABELS,
    "replicaCount": 5,
    "flyte.namespace": "other",
    "flyte.serviceAccount": "other",
    "flyte.chart": "flyte-binary",
    "flyte.proxy.image.registry": "other.example.com",
    "flyte.proxy.image.repository": "other",
    "flyte.proxy.image.tag": "1.2.3",
    "flyte.proxy.image.digest": "sha256:" + "1" * 64,
    "flyte.proxy.port": 18002,
    "flyte.podLabels": LABELS,
    "flyte.taskTypes": ["other"],
    "clusterDomain": "other.local",
    "auth.insecureNoAuth": True,
    "auth.existingConfigMap": "other",
    "auth.keysSecret": "keys",
    "auth.cluster.enabled": False,
    "auth.cluster.issuer": "https://other.example.com",
    "auth.cluster.audience": "other",
    "auth.cluster.algorithms": ["ES256"],
    "auth.issuers": [ISSUER],
    "auth.rules": [RULE],
    "handleKeys.existingSecret": "other",
    "handleKeys.files": ["a.key", "b.key"],
    "settings": {"PLUGIN_MAX_REQUESTS": 5},
    "secrets.existingSecret": "other",
    "secrets.namespaces": SECRETS["of-a-namespace"]["namespaces"],
    "secrets.externalSecret.enabled": True,
    "secrets.externalSecret.refreshInterval": "2h",
    "secrets.externalSecret.storeKind": "SecretStore",
    "secrets.externalSecret.storeName": "other",
    "secrets.externalSecret.data": [{"secretKey": "b", "remoteRef": {"key": "b"}}],
    "secrets.externalSecret.dataFrom": [{"extract": {"key": "b"}}],
    "secrets.csi.secretProviderClass": "other",
    "secrets.csi.driver": "other.example.com",
    "secrets.forbidInRequests": True,
    "serviceAccount.create": False,
    "serviceAccount.name": "other",
    "serviceAccount.annotations": LABELS,
    "serviceAccount.tokens": [{"audience": "a", "path": "p"}],
    "ports.host": "[::]",
    "ports.api": 8001,
    "ports.admin": 9091,
    "tls.enabled": True,
    "tls.existingSecret": "other",
    "tls.caKey": "other.crt",
    "tls.certificate.create": True,
    "tls.certificate.issuerRef.name": "other",
    "tls.certificate.issuerRef.kind": "Other",
    "tls.certificate.issuerRef.group": "other.example.com",
    "tls.certificate.duration": "24h",
    "tls.certificate.renewBefore": "8h",
    "tls.certificate.dnsNames": ["b.example.com"],
    "tls.certificate.privateKey.algorithm": "Ed25519",
    "tls.certificate.privateKey.size": 384,
    "service.appProtocol": "grpc",
    "service.annotations": LABELS,
    "service.trafficDistribution": "PreferClose",
    "service.ipFamilyPolicy": "SingleStack",
    "ingress.enabled": True,
    "ingress.className": "nginx",
    "ingress.annotations": LABELS,
    "ingress.hosts": [{"host": "b.example.com"}],
    "ingress.tls": [{"secretName": "tls"}],
    **{f"{route}.enabled": True for route in ("httpRoute", "grpcRoute")},
    **{f"{route}.annotations": LABELS for route in ("httpRoute", "grpcRoute")},
    **{f"{route}.parentRefs": [{"name": "other"}] for route in ("httpRoute", "grpcRoute")},
    **{f"{route}.hostnames": ["b.example.com"] for route in ("httpRoute", "grpcRoute")},
    "networkPolicy.enabled": False,
    "networkPolicy.clients": [PEER],
    "networkPolicy.cidrs": ["10.0.0.0/8"],
    "networkPolicy.ports": [8443],
    "networkPolicy.dnsPorts": [8053],
    "networkPolicy.apiServerPort": 8443,
    "networkPolicy.metadataServer": True,
    "networkPolicy.extraIngress": [{"from": [PEER]}],
    "networkPolicy.extraEgress": [{"ports": [{"port": 3128}]}],
    "autoscaling.enabled": True,
    "autoscaling.minReplicas": 3,
    "autoscaling.maxReplicas": 11,
    "autoscaling.targetCPUUtilizationPercentage": 50,
    "autoscaling.behavior": {"scaleUp": {"stabilizationWindowSeconds": 9}},
    "autoscaling.metrics": [{"type": "Resource"}],
    "autoscaling.keda.enabled": True,
    "autoscaling.keda.pollingInterval": 31,
    "autoscaling.keda.prometheusAddress": "http://other:9090",
    "autoscaling.keda.activeRequests": 7,
    "autoscaling.keda.triggers": [{"type": "cron", "metadata": {}}],
    "podDisruptionBudget.enabled": False,
    "podDisruptionBudget.maxUnavailable": 2,
    "topologySpread.zone": "DoNotSchedule",
    "topologySpread.host": "",
    "strategy": {"type": "Recreate"},
    "revisionHistoryLimit": 1,
    "drain.preStopSeconds": 1,
    "drain.delaySeconds": 1,
    "drain.timeoutSeconds": 1,
    "probes.startup": {"periodSeconds": 9},
    "probes.readiness": {"periodSeconds": 9},
    "probes.liveness": {"periodSeconds": 9},
    "resources": {"limits": {"cpu": "1"}},
    "podSecurityContext": {"runAsUser": 1000},
    "securityContext": {"privileged": False},
    "adaptToOpenShift": False,
    "hostUsers": False,
    "podLabels": LABELS,
    "podAnnotations": LABELS,
    "priorityClassName": "high",
    "nodeSelector": LABELS,
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "dnsConfig": {"searches": ["other.example.com"]},
    "log.level": "debug",
    "log.format": "pretty",
    "otel.endpoint": "https://collector.example.com",
    "otel.traceRatio": 0.5,
    **{f"metrics.{monitor}.enabled": True for monitor in ("serviceMonitor", "podMonitor")},
    **{f"metrics.{monitor}.labels": LABELS for monitor in ("serviceMonitor", "podMonitor")},
    **{f"metrics.{monitor}.interval": "9s" for monitor in ("serviceMonitor", "podMonitor")},
    "metrics.prometheusNamespace": "other",
    "metrics.prometheusRule.enabled": True,
    "metrics.prometheusRule.labels": LABELS,
    "metrics.prometheusRule.rules": [{"record": "a", "expr": "1"}],
    "metrics.dashboard.enabled": True,
    "metrics.dashboard.labels": LABELS,
    "metrics.dashboard.annotations": LABELS,
    "extraEnv": [{"name": "A", "value": "b"}],
    "extraEnvFrom": [{"secretRef": {"name": "a"}}],
    "extraVolumes": [{"name": "a", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "a", "mountPath": "/a"}],
    "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}],
}

# What else must be set for a value, or all values below a path, to have an effect.
NEEDS = {
    "auth.cluster.enabled": NO_CLUSTER,
    "secrets.externalSecret": EXTERNAL,
    "secrets.externalSecret.enabled": {"secrets": {"externalSecret": {"storeName": "a", "data": [{"secretKey": "a"}]}}},
    "secrets.csi.driver": {"secrets": SECRETS["csi"]},
    "tls": TLS,
    "tls.enabled": {"tls": {"existingSecret": "a"}},
    "tls.existingSecret": TLS_MADE_ELSEWHERE,
    "tls.certificate.create": {"tls": {"enabled": True, "certificate": {"issuerRef": {"name": "a"}}}},
    "ingress": INGRESS,
    "ingress.enabled": {"ingress": {"hosts": [{"host": "a.example.com"}]}},
    **{route: {route: GATEWAY} for route in ("httpRoute", "grpcRoute")},
    **{f"{route}.enabled": {route: {**GATEWAY, "enabled": False}} for route in ("httpRoute", "grpcRoute")},
    "autoscaling": HPA,
    "autoscaling.enabled": {},
    "autoscaling.keda.enabled": HPA,
    "autoscaling.keda": KEDA,
    "otel.traceRatio": {"otel": {"endpoint": "http://collector:4317"}},
    "metrics.serviceMonitor": MONITOR,
    "metrics.serviceMonitor.enabled": {},
    "metrics.podMonitor": {"metrics": {"podMonitor": {"enabled": True}}},
    "metrics.podMonitor.enabled": {},
    "metrics.prometheusNamespace": MONITOR,
    "metrics.prometheusRule": RULES,
    "metrics.prometheusRule.enabled": {},
    "metrics.dashboard": DASHBOARD,
    "metrics.dashboard.enabled": {},
}


def described(lines):
    """Paths and comments of values.yaml: `# -- …`, possibly several lines, before the key."""
    above, comment = [], None
    for line in lines:
        indent, words = len(line) - len(line.lstrip()), line.strip()
        if words.startswith("# -- "):
            comment = words.removeprefix("# -- ")
        elif words.startswith("#") and comment:
            comment += " " + words.removeprefix("# ")
        elif key := re.fullmatch(r"([A-Za-z]+):.*", words):
            above = above[: indent // 2] + [key[1]]
            if comment:
                yield ".".join(above), comment
            comment = None


def values_of(plugin):
    return dict(described((CHARTS / plugin / "values.yaml").read_text().splitlines()))


def at(values, path):
    for key in path.split("."):
        values = values[key]
    return values


def undescribed(values, described_paths, above=""):
    for key, value in values.items():
        path = above + key
        if path in described_paths:
            continue
        if isinstance(value, dict) and value:
            yield from undescribed(value, described_paths, f"{path}.")
        else:
            yield path


def what_else(path):
    while path not in NEEDS:
        if "." not in path:
            return {}
        path = path.rsplit(".", 1)[0]
    return NEEDS[path]


def everything_shown(path, values):
    if path == "adaptToOpenShift":
        return text("bigquery", values, flags=OPENSHIFT)
    return text("bigquery", values) + notes("bigquery", values)


@pytest.mark.parametrize("path", ANOTHER)
def test_value_has_an_effect(path):
    before = merged(STABLE, what_else(path))
    after = merged(before, nested(path, ANOTHER[path]))
    assert before != after
    assert shown_or_refused(path, before) != everything_shown(path, after)


def shown_or_refused(path, values):
    """Some values are required by others."""
    try:
        return everything_shown(path, values)
    except Refused:
        return None


def test_every_value_is_tested():
    assert set(ANOTHER) == set(values_of("bigquery"))


@pytest.fixture(params=PLUGINS + ["behind the bridge"])
def chart(request):
    """Each chart, and one of a plugin behind the bridge."""
    return request.getfixturevalue("bridge_plugin") if request.param == "behind the bridge" else request.param


def test_every_value_is_described(chart):
    assert not list(undescribed(default_values(chart), values_of(chart)))


def shown(default):
    if default == "":
        return ""
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def changed_values(chart):
    """What plugin.toml sets: the README's table has the template's defaults."""
    if chart == "bundle":
        return {"settings": {"PLUGIN_BUNDLE_PLUGINS": ""}}
    manifest = ROOT / "services" / chart / "plugin.toml"
    return tomllib.loads(manifest.read_text()).get("chart", {}).get("values", {}) if manifest.exists() else {}


def test_readme_has_every_value_with_comment_and_default(chart):
    readme = (CHARTS / chart / "README.md").read_text()
    table = re.search(r"<!-- begin values -->\n(.*)\n<!-- end values -->", readme, re.DOTALL)[1].splitlines()
    values = default_values(chart)
    changed = {path for path in values_of(chart) if is_set(changed_values(chart), path)}
    rows = dict(re.fullmatch(r"\| `([^`]+)` \| (.*) \|", row).groups() for row in table[2:])
    for path, comment in values_of(chart).items():
        description, default = re.split(r" \| ?", rows.pop(path), maxsplit=1)
        assert description == comment.replace("|", "\\|"), path
        assert path in changed or default.strip() == shown(at(values, path)), path
    assert not rows


def is_set(values, path):
    """Whether `values` set `path`, or anything below it."""
    try:
        at(values, path)
        return True
    except (KeyError, TypeError):
        return False


def test_override_in_plugin_toml_is_in_chart(override_plugin):
    for path, value in flattened(EVERYTHING):
        assert at(default_values(override_plugin), path) == value, path
    kinds = [document["kind"] for document in render(override_plugin)]
    assert kinds == [document["kind"] for document in render("bigquery", EVERYTHING)]
    environment = {variable["name"]: variable.get("value") for variable in container(render(override_plugin))["env"]}
    assert environment["PLUGIN_REQUEST_TIMEOUT"] == "20s"
