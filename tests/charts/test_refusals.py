"""Values that would not work, or not be safe, are rejected before anything is installed, and Helm names the location."""

import json

import pytest

from cases import ISSUER, RULE, TLS, TLS_MADE_ELSEWHERE
from charts import CHARTS, HELMS, PLUGINS, Refused, container, merged, nested, render, required

SCHEMA = json.loads((CHARTS / "bigquery" / "values.schema.json").read_text())

# Values that the schema rejects.
WRONG = [
    ("image.repository", "Not A Repository"),
    ("image.tag", "a tag"),
    ("image.digest", "abc"),
    ("image.pullPolicy", "Sometimes"),
    ("imagePullSecrets", [{"name": ""}]),
    ("fullnameOverride", "x" * 47),
    ("fullnameOverride", "1st"),
    ("commonLabels", {"a": 1}),
    ("commonLabels", {"a": "not a label"}),
    ("replicaCount", 0),
    ("replicaCount", "2"),
    ("flyte.namespace", "Flyte"),
    ("flyte.taskTypes", ["a,b"]),
    ("flyte.taskTypes", ["a", "a"]),
    ("image.registry", "https://registry.example.com"),
    ("flyte.chart", "flyte"),
    ("flyte.proxy.port", 0),
    ("ingress.hosts", [{"host": ""}]),
    ("ingress.hosts", [{"host": "a", "paths": [{"path": "a"}]}]),
    ("auth.cluster.issuer", "http://kubernetes.default.svc"),
    ("auth.issuers", [{key: ISSUER[key] for key in ("name", "issuer", "audiences")}]),
    ("auth.issuers", [{**ISSUER, "key": {"pem_file": "/x"}}]),
    ("auth.issuers", [{**ISSUER, "audiences": []}]),
    ("auth.rules", [{"issuer": "idp"}]),
    ("auth.rules", [{"issuer": "idp", "role": "anonymous"}]),
    ("handleKeys.files", []),
    ("handleKeys.files", ["../etc/passwd"]),
    ("settings", {"lower": "x"}),
    ("settings", {"X": {"a": 1}}),
    ("settings", {"PLUGIN_AUTH": "/elsewhere"}),
    ("settings", {"PLUGIN_INSECURE_NO_AUTH": "true"}),
    ("settings", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}),
    ("settings", {"X": 2**53}),
    ("settings", {"X": -(2**60)}),
    ("settings", {"X": 1e300}),
    ("secrets.namespaces", [{"namespace": "a", "existingSecret": "b"}]),
    ("secrets.namespaces", [{"namespace": "a", "existingSecret": "b", "items": [{"key": "k", "path": "../p"}]}]),
    ("secrets.externalSecret.refreshInterval", "often"),
    ("serviceAccount.tokens", [{"path": "x"}]),
    ("serviceAccount.tokens", [{"audience": "a", "path": "x", "expirationSeconds": 60}]),
    ("ports.host", "::"),
    ("ports.host", "localhost"),
    ("ports.api", 0),
    ("strategy.rollingUpdate", {"maxSurge": "some"}),
    ("strategy.type", "Recrate"),
    ("auth.cluster.algorithms", ["HS256"]),
    ("networkPolicy.dnsPorts", []),
    ("ports.admin", 70000),
    ("tls.existingSecret", "Not A Name"),
    ("tls.caKey", "../ca.crt"),
    ("tls.certificate.issuerRef.kind", "issuer"),
    ("tls.certificate.duration", "90d"),
    ("tls.certificate.dnsNames", [""]),
    ("tls.certificate.privateKey.size", 1024),
    ("tls.certificate.privateKey", {"algorithm": "RSA"}),
    ("settings", {"PLUGIN_TLS_KEY": "/elsewhere"}),
    ("service.appProtocol", "TCP"),
    ("ingress", {"enabled": True}),
    ("httpRoute", {"enabled": True}),
    ("grpcRoute", {"enabled": True}),
    ("networkPolicy.cidrs", ["10.0.0.0"]),
    ("networkPolicy.ports", []),
    ("autoscaling.enabled", "both"),
    ("autoscaling.minReplicas", 0),
    ("autoscaling.keda.prometheusAddress", "prometheus:9090"),
    ("podDisruptionBudget.maxUnavailable", 0),
    ("podDisruptionBudget.maxUnavailable", "0%"),
    ("topologySpread.zone", "Maybe"),
    ("drain.delaySeconds", -1),
    ("probes.liveness.periodSeconds", 0),
    ("resources.limits", {"memory": True}),
    ("log.format", "xml"),
    ("otel.endpoint", "collector:4317"),
    ("otel.traceRatio", 2),
    ("metrics.serviceMonitor.enabled", "both"),
    ("metrics.podMonitor.interval", "30"),
    ("extraEnv", {"NAME": "value"}),
    ("extraEnv", [{"value": "x"}]),
    ("extraVolumeMounts", [{"name": "x"}]),
]

# Combinations that only the templates can check.
CONTRADICTIONS = [
    ({"auth": {"cluster": {"enabled": False}}}, "no authentication is configured"),
    ({"auth": {"cluster": {"enabled": False}, "issuers": [ISSUER]}}, "no authentication is configured"),
    ({"auth": {"insecureNoAuth": True, "issuers": [ISSUER], "rules": [RULE]}}, "accepts unauthenticated requests"),
    ({"auth": {"insecureNoAuth": True, "existingConfigMap": "x"}}, "accepts unauthenticated requests"),
    ({"auth": {"insecureNoAuth": True}, "ingress": {"enabled": True, "hosts": [{"host": "h"}]}}, "outside the cluster"),
    ({"auth": {"insecureNoAuth": True}, "httpRoute": {"enabled": True, "parentRefs": [{"name": "g"}]}}, "outside the cluster"),
    ({"auth": {"insecureNoAuth": True}, "grpcRoute": {"enabled": True, "parentRefs": [{"name": "g"}]}}, "outside the cluster"),
    ({"auth": {"existingConfigMap": "x", "rules": [RULE]}}, "no effect"),
    ({"secrets": {"csi": {"secretProviderClass": "x"}, "existingSecret": "y"}}, "mounts all of /etc/secrets"),
    ({"secrets": {"externalSecret": {"enabled": True}}}, "needs storeName"),
    ({"autoscaling": {"enabled": True, "minReplicas": 9, "maxReplicas": 3}}, "is greater than autoscaling.maxReplicas"),
    ({"tls": {"enabled": True}}, "set tls.existingSecret or tls.certificate.create"),
    (merged(TLS, TLS_MADE_ELSEWHERE), "are mutually exclusive"),
    ({"tls": {"enabled": True, "certificate": {"create": True}}}, "needs tls.certificate.issuerRef.name"),
    (merged(TLS, {"service": {"appProtocol": "kubernetes.io/h2c"}}), "without TLS"),
    ({"service": {"appProtocol": "https"}}, "tls.enabled is off"),
    ({"ports": {"admin": 8000}}, "must differ"),
    ({"settings": {"X": "a"}, "extraEnv": [{"name": "X", "value": "b"}]}, "X is set twice"),
    ({"settings": {"X": 0}, "extraEnv": [{"name": "X", "valueFrom": {}}]}, "X is set twice"),
    ({"extraEnv": [{"name": "X", "value": "a"}, {"name": "X", "value": "a"}]}, "X is set twice"),
    ({"extraEnv": [{"name": "PLUGIN_AUTH", "value": "/elsewhere"}]}, "PLUGIN_AUTH is set twice"),
    ({"service": {"ipFamilyPolicy": "PreferDualStack"}}, "needs ports.host"),
    ({"service": {"ipFamilyPolicy": "RequireDualStack"}}, "needs ports.host"),
    ({"auth": {"issuers": [{**ISSUER, "name": "cluster"}]}}, "auth.issuers has an issuer named cluster"),
    (
        {"auth": {"cluster": {"issuer": ISSUER["issuer"]}, "issuers": [ISSUER]}},
        "has the same issuer as auth.cluster",
    ),
    ({"metrics": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}}, "scrape each pod twice"),
    ({"image": {"registry": ""}}, "image.registry is not set.*Build the image"),
]

# Objects with arbitrary keys: maps, and parts of Kubernetes' own objects, which the API server validates.
MAPS = ["labels", "strings", "quantities"]
KUBERNETES = {
    "global",
    "affinity",
    "podSecurityContext",
    "securityContext",
    "autoscaling.behavior",
    "autoscaling.metrics[]",
    "autoscaling.keda.triggers[]",
    "networkPolicy.clients[]",
    "networkPolicy.extraIngress[]",
    "networkPolicy.extraEgress[]",
    "ingress.tls[]",
    "httpRoute.parentRefs[]",
    "grpcRoute.parentRefs[]",
    "secrets.externalSecret.data[]",
    "secrets.externalSecret.dataFrom[]",
    "tolerations[]",
    "resources.claims[]",
    "dnsConfig.options[]",
    "metrics.prometheusRule.rules[]",
    "metrics.rules.extra[]",
    "extraEnv[]",
    "extraEnvFrom[]",
    "extraVolumes[]",
    "extraVolumeMounts[]",
}


def objects(schema, path=""):
    """Every object in the values: its path and its schema."""
    if schema is False:
        return []
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/definitions/")
        return objects(SCHEMA["definitions"][name], path)
    found = [(path, schema)] if schema.get("type") == "object" else []
    for part in schema.get("allOf", []):
        found += objects(part, path)
    for name, inside in schema.get("properties", {}).items():
        found += objects(inside, f"{path}.{name}" if path else name)
    if "items" in schema:
        found += objects(schema["items"], f"{path}[]")
    return found


CLOSED = [path for path, schema in objects(SCHEMA) if schema.get("additionalProperties") is False]


def value_at(path, value):
    """`a[].b` and 1 make `{a: [{b: 1}]}`."""
    for key in reversed(path.split(".") if path else []):
        value = {key.removesuffix("[]"): [value] if key.endswith("[]") else value}
    return value


def pointer(path):
    return "/" + path.replace("[]", "/0").replace(".", "/") if path else ""


def test_every_object_of_ours_is_closed():
    maps = [SCHEMA["definitions"][name] for name in MAPS]
    open_ones = {path for path, schema in objects(SCHEMA) if "properties" not in schema and schema not in maps}
    assert open_ones == KUBERNETES
    assert all(schema["additionalProperties"] is False for _, schema in objects(SCHEMA) if "properties" in schema)


@pytest.mark.parametrize("path", CLOSED)
def test_unknown_key_is_rejected(path):
    with pytest.raises(Refused) as refused:
        render("bigquery", value_at(path, {"unheardOf": 1}))
    assert f"at '{pointer(path)}'" in str(refused.value)
    assert "'unheardOf' not allowed" in str(refused.value)


@pytest.mark.parametrize(("path", "value"), WRONG, ids=lambda part: json.dumps(part)[:40])
def test_wrong_value_is_rejected(path, value):
    with pytest.raises(Refused) as refused:
        render("bigquery", nested(path, value))
    assert f"at '{pointer(path)}" in str(refused.value)


@pytest.mark.parametrize(("values", "why"), CONTRADICTIONS, ids=lambda part: part if isinstance(part, str) else "")
@pytest.mark.parametrize("helm", HELMS)
def test_contradiction_is_rejected(helm, values, why):
    with pytest.raises(Refused, match=why):
        render("bigquery", values, helm=helm)


# What the program does not start without.
REQUIRED = [
    ("athena", "AWS_REGION"),
    ("aws-batch", "AWS_BATCH_JOB_QUEUES"),
    ("aws-batch", "AWS_REGION"),
    ("bundle", "PLUGIN_BUNDLE_PLUGINS"),
    ("databricks", "DATABRICKS_INSTANCES"),
    ("emr-serverless", "AWS_EXECUTION_ROLES"),
    ("emr-serverless", "AWS_REGION"),
    ("redshift", "AWS_REGION"),
    ("redshift", "REDSHIFT_DATABASES"),
    ("redshift", "REDSHIFT_WORKGROUPS"),
    ("sagemaker", "AWS_EXECUTION_ROLES"),
    ("sagemaker", "AWS_REGION"),
    ("snowflake", "SNOWFLAKE_ACCOUNTS"),
]


def test_required_settings_are_the_ones_that_plugins_declare():
    assert sorted((plugin, name) for plugin in PLUGINS for name in required(plugin)["settings"]) == REQUIRED


@pytest.mark.parametrize("values", [{}, {"settings": None}, {"settings": {"X": "y"}}, {"extraEnv": [{"name": "X", "value": "y"}]}])
@pytest.mark.parametrize(("plugin", "setting"), REQUIRED)
@pytest.mark.parametrize("helm", HELMS)
def test_required_setting_is_named(helm, plugin, setting, values):
    unset = {} if values.get("settings", {}) is None else {"settings": {setting: ""}}
    with pytest.raises(Refused, match=rf"settings\.{setting} is not set: [^;]+, such as \S+"):
        render(plugin, merged(unset, values), helm=helm)


def test_all_that_is_missing_is_named_at_once():
    missing = dict.fromkeys(("AWS_REGION", "REDSHIFT_DATABASES"), "")
    with pytest.raises(Refused, match="settings.AWS_REGION is not set.*; settings.REDSHIFT_DATABASES is not set"):
        render("redshift", {"settings": missing})


def test_required_setting_may_have_an_alternative():
    neither = {"settings": {"REDSHIFT_WORKGROUPS": ""}}
    with pytest.raises(Refused, match="such as sales, unless settings.REDSHIFT_CLUSTERS is set"):
        render("redshift", neither)
    render("redshift", merged(neither, {"settings": {"REDSHIFT_CLUSTERS": "dwh"}}))
    render("redshift", {**neither, "extraEnv": [{"name": "REDSHIFT_CLUSTERS", "value": "dwh"}]})


def test_required_settings_do_not_hide_where_images_come_from():
    with pytest.raises(Refused, match="image.registry is not set"):
        render("databricks", {"image": {"registry": ""}, "settings": {"DATABRICKS_INSTANCES": ""}})


@pytest.mark.parametrize(("plugin", "setting"), REQUIRED)
def test_required_setting_may_come_from_elsewhere(plugin, setting):
    unset = {"settings": {setting: ""}}
    source = {"configMapKeyRef": {"name": "a", "key": "b"}}
    render(plugin, {**unset, "extraEnv": [{"name": setting, "valueFrom": source}]})
    render(plugin, {**unset, "extraEnvFrom": [{"configMapRef": {"name": "a"}}]})


def test_plugin_that_the_bundle_has_not_is_named():
    for names in ("bigquery,snowflakes", "bigquery, snowflakes"):
        with pytest.raises(Refused, match=r'has no plugin " ?snowflakes"; it has athena, aws-batch, bigquery, databricks, '):
            render("bundle", {"settings": {"PLUGIN_BUNDLE_PLUGINS": names}})


def test_largest_exact_number_is_exact():
    rendered = container(render("bigquery", {"settings": {"X": 2**53 - 1, "Y": str(2**70)}}))["env"]
    values = {variable["name"]: variable.get("value") for variable in rendered}
    assert values["X"] == "9007199254740991" and values["Y"] == str(2**70)


def test_oldest_helm_validates_values():
    for values in ({"replica": 1}, *(nested(path, value) for path, value in WRONG[:10])):
        with pytest.raises(Refused, match="don't meet the specifications of the schema"):
            render("bigquery", values, helm="helm3")


def test_release_name_invalid_for_service_is_rejected():
    with pytest.raises(Refused, match="set fullnameOverride"):
        render("bigquery", release="1st")
    render("bigquery", {"fullnameOverride": "first"}, release="1st")


def test_global_and_enabled_values_are_accepted():
    render("bigquery", merged({"enabled": True}, {"global": {"imageRegistry": "x"}}))
