"""References between the charts' objects are correct for all values."""

import difflib
import json
import re
from pathlib import Path

import pytest

from cases import MATRIX, SECRETS
from charts import CHARTS, DECLARATIVE, PLUGINS, container, merged, of_kind, one, render

LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
SELF_MADE = {"ConfigMap", "Secret", "ServiceAccount"}


@pytest.fixture(params=MATRIX)
def objects(request):
    return render("bigquery", MATRIX[request.param])


def pod(objects):
    return one(objects, "Deployment")["spec"]["template"]


def selects(selector, labels):
    return bool(selector) and selector.items() <= labels.items()


def test_selectors_match_the_pods_and_nothing_else(objects):
    labels = pod(objects)["metadata"]["labels"]
    selectors = [one(objects, "Deployment")["spec"]["selector"]["matchLabels"]]
    selectors += [service["spec"]["selector"] for service in of_kind(objects, "Service")]
    policies = [policy for policy in of_kind(objects, "NetworkPolicy") if policy["metadata"]["name"] == "bigquery"]
    selectors += [policy["spec"]["podSelector"]["matchLabels"] for policy in policies]
    selectors += [monitor["spec"]["selector"]["matchLabels"] for monitor in of_kind(objects, "PodMonitor")]
    selectors += [budget["spec"]["selector"]["matchLabels"] for budget in of_kind(objects, "PodDisruptionBudget")]
    spread = pod(objects)["spec"].get("topologySpreadConstraints", [])
    selectors += [constraint["labelSelector"]["matchLabels"] for constraint in spread]
    others = [other["metadata"]["labels"] for other in of_kind(objects, "Pod")]
    for selector in selectors:
        assert selects(selector, labels), selector
        assert not any(selects(selector, other) for other in others), "a Service would select the test pod"


def test_labels_are_valid(objects):
    for document in objects:
        for value in document["metadata"].get("labels", {}).values():
            assert LABEL.fullmatch(value), value


def test_every_object_is_in_the_namespace_and_unique(objects):
    ours = [o for o in objects if "app.kubernetes.io/part-of" in o["metadata"].get("labels", {})]
    assert {document["metadata"]["namespace"] for document in ours} == {"flyte"}
    names = [(document["kind"], document["metadata"]["name"]) for document in objects]
    assert len(names) == len(set(names))


def test_referenced_ports_exist(objects):
    ports = {port["name"]: port["containerPort"] for port in container(objects)["ports"]}
    for service in of_kind(objects, "Service"):
        for port in service["spec"]["ports"]:
            # Clients of a headless Service connect to the pod's own port.
            assert ports[port["targetPort"]] == port["port"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container(objects)[probe]["httpGet"]["port"] in ports
    for policy in of_kind(objects, "NetworkPolicy"):
        named = (p["port"] for rule in policy["spec"].get("ingress", []) for p in rule.get("ports", []))
        assert {port for port in named if isinstance(port, str)} <= set(ports)
    for monitor in of_kind(objects, "PodMonitor"):
        assert monitor["spec"]["podMetricsEndpoints"][0]["port"] in ports


def test_service_monitor_scrapes_each_pod_once(objects):
    for monitor in of_kind(objects, "ServiceMonitor"):
        selector = monitor["spec"]["selector"]["matchLabels"]
        (service,) = (s for s in of_kind(objects, "Service") if selects(selector, s["metadata"]["labels"]))
        assert monitor["spec"]["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}


def test_routes_refer_to_a_service(objects):
    services = {service["metadata"]["name"]: service["spec"]["ports"] for service in of_kind(objects, "Service")}
    for ingress in of_kind(objects, "Ingress"):
        backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
        assert backend["port"]["name"] in {port["name"] for port in services[backend["name"]]}
    for route in of_kind(objects, "HTTPRoute") + of_kind(objects, "GRPCRoute"):
        (backend,) = route["spec"]["rules"][0]["backendRefs"]
        assert backend["port"] in {port["port"] for port in services[backend["name"]]}


def test_number_of_pods_has_one_source(objects):
    scalers = of_kind(objects, "HorizontalPodAutoscaler") + of_kind(objects, "ScaledObject")
    deployment = one(objects, "Deployment")
    assert len(scalers) + ("replicas" in deployment["spec"]) == 1
    for scaler in scalers:
        assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]


def test_drain_makes_progress(objects):
    for budget in of_kind(objects, "PodDisruptionBudget"):
        assert "minAvailable" not in budget["spec"]
        assert budget["spec"]["maxUnavailable"] not in (0, "0%")
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_only_fixed_single_replica_has_no_budget():
    assert not of_kind(render("bigquery", MATRIX["one-replica"]), "PodDisruptionBudget")
    for case in ("defaults", "hpa-from-one", "keda-from-one"):
        assert of_kind(render("bigquery", MATRIX[case]), "PodDisruptionBudget"), case


def test_recreate_has_no_rolling_update():
    """https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/deployment-v1/: only if the type is RollingUpdate."""
    objects = render("bigquery", {"strategy": {"type": "Recreate"}})
    assert one(objects, "Deployment")["spec"]["strategy"] == {"type": "Recreate"}


def test_ipv6_host_is_in_brackets():
    environment = container(render("bigquery", {"ports": {"host": "[::]"}}))["env"]
    assert {"name": "PLUGIN_LISTEN", "value": "[::]:8000"} in environment


def test_grace_period_covers_drain(objects):
    environment = {variable["name"]: variable.get("value") for variable in container(objects)["env"]}
    before = container(objects).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    drain = sum(int(environment[f"PLUGIN_DRAIN_{part}"].removesuffix("s")) for part in ("DELAY", "TIMEOUT"))
    assert pod(objects)["spec"]["terminationGracePeriodSeconds"] > before + drain


def test_mounts_and_volumes_match(objects):
    mounts = container(objects).get("volumeMounts", [])
    volumes = [volume["name"] for volume in pod(objects)["spec"].get("volumes", [])]
    assert sorted(mount["name"] for mount in mounts) == sorted(volumes)
    paths = [mount["mountPath"] for mount in mounts]
    assert len(paths) == len(set(paths))
    variables = [variable["name"] for variable in container(objects)["env"]]
    assert len(variables) == len(set(variables))


def references(objects):
    """Objects that the pod refers to: kind and name."""
    spec = pod(objects)["spec"]
    yield "ServiceAccount", spec["serviceAccountName"]
    for volume in spec.get("volumes", []):
        for source in volume.get("projected", {}).get("sources", [volume]):
            if "configMap" in source:
                yield "ConfigMap", source["configMap"]["name"]
            if "secret" in source:
                yield "Secret", source["secret"].get("secretName", source["secret"].get("name"))


def test_objects_needed_by_pod_are_created_or_configured(request, objects):
    values = json.dumps(MATRIX[request.node.callspec.params["objects"]])
    made = {(document["kind"], document["metadata"]["name"]) for document in objects if document["kind"] in SELF_MADE}
    made |= {("Secret", certificate["spec"]["secretName"]) for certificate in of_kind(objects, "Certificate")}
    made |= {("Secret", external["spec"]["target"]["name"]) for external in of_kind(objects, "ExternalSecret")}
    for kind, name in references(objects):
        # Every namespace has the cluster's CA certificate.
        assert (kind, name) in made or f'"{name}"' in values or name == "kube-root-ca.crt", (kind, name)


def test_secrets_appear_only_in_secrets(objects):
    for secret in of_kind(objects, "Secret"):
        elsewhere = json.dumps([document for document in objects if document is not secret])
        assert all(value not in elsewhere for value in secret["data"].values())
    assert "args" not in container(objects) and "command" not in container(objects)


def test_namespace_secrets_are_mounted_at_lookup_path():
    objects = render("bigquery", {"secrets": merged(SECRETS["existing"], SECRETS["of-a-namespace"])})
    (volume,) = (v for v in pod(objects)["spec"]["volumes"] if v["name"] == "secrets")
    (everybodys, namespaces) = volume["projected"]["sources"]
    assert everybodys == {"secret": {"name": "credentials"}}
    assert namespaces["secret"]["items"] == [{"key": "token", "path": "team-a/vendor_token"}]


def templates(plugin):
    """The lines of each template, without the plugin's name."""
    # What else differs is in this file.
    files = sorted(file for file in (CHARTS / plugin / "templates").rglob("*.*") if file.name != "_plugin.tpl")
    # The images of the bundle, and of plugins that are files, are made by flags of their own.
    texts = {file.relative_to(CHARTS / plugin): file.read_text().replace("image --", "image ") for file in files}
    return {path: text.replace(plugin, "PLUGIN").splitlines() for path, text in texts.items()}


@pytest.mark.parametrize("other", [plugin for plugin in PLUGINS[1:] if plugin != DECLARATIVE])
def test_charts_of_two_plugins_differ_only_in_names(other):
    assert templates(PLUGINS[0]) == templates(other)


# What depends on the task types that are jobs: those of files are known when the chart is rendered.
OF_JOBS = [
    """      timeouts: [{ListConnectors: 3s}, {CreateTask: 30s}, {GetTask: 10s}, {DeleteTask: 10s}]""",
    """  {{- if include "PLUGIN.hasJobs" . }}""",
    """    {{- range include "PLUGIN.taskTypes" . | fromJsonArray }}""",
]


def test_chart_of_plugins_that_are_files_adds_to_the_others_and_has_its_own_jobs():
    theirs, own = templates(PLUGINS[0]), templates(DECLARATIVE)
    compared = {path: list(difflib.ndiff(theirs.get(path, []), lines)) for path, lines in own.items()}
    assert set(theirs) <= set(own)
    missing = {path: [line[2:] for line in lines if line.startswith("- ")] for path, lines in compared.items()}
    assert {path: lines for path, lines in missing.items() if lines} == {Path("templates/_flyte.tpl"): OF_JOBS}
