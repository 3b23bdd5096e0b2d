"""With TLS, everything that calls the API port, or is configured to, uses a name in the certificate."""

import re

import pytest
import yaml

from cases import TLS, TLS_MADE_ELSEWHERE
from charts import CHARTS, container, merged, notes, of_kind, one, render

NO_AUTH = {"auth": {"insecureNoAuth": True}}
BOTH = pytest.mark.parametrize("values", [TLS, TLS_MADE_ELSEWHERE], ids=["cert-manager", "made-elsewhere"])


def connector(values, release="bigquery"):
    """Flyte's configuration of the plugin, from the notes."""
    (found,) = flyte_values(values, release)["configmap"]["enabled_plugins"]["plugins"]["connector-service"]["connectors"].values()
    return found


def flyte_values(values, release="bigquery"):
    """The values of flyte-core that the notes have."""
    _, fragment = notes("bigquery", values, release=release).split("For several plugins: outrigger flyte-values.\n")
    return yaml.safe_load(fragment.split("\nHANDLE KEYS")[0])


def sidecar_target(values, release="bigquery"):
    """What the sidecar of the notes calls."""
    (proxy,) = flyte_values(values, release)["flytepropeller"]["additionalContainers"]
    (route,) = (argument for argument in proxy["args"] if argument.startswith("--route="))
    return route.split("=")[2]


def host(url):
    return re.sub(r"^[a-z]+:/+(.*):[0-9]+$", r"\1", url)


def health_check(objects):
    pod = one(objects, "Pod")["spec"]
    return pod["containers"][0], pod.get("volumes")


def mounted(objects):
    (volume,) = (v for v in one(objects, "Deployment")["spec"]["template"]["spec"]["volumes"] if v["name"] == "tls")
    return volume["secret"]


@pytest.mark.parametrize("release", ["bigquery", "prod", "r" * 53])
def test_certificate_has_every_name_that_callers_use(release):
    values = merged(TLS, {"clusterDomain": "example.local", "tls": {"certificate": {"dnsNames": ["sql.example.com"]}}})
    objects = render("bigquery", values, release=release)
    names = one(objects, "Certificate")["spec"]["dnsNames"]
    assert len(names) == len(set(names)) and "sql.example.com" in names
    assert host(connector(merged(values, NO_AUTH), release)["endpoint"]) in names
    assert host(sidecar_target(values, release)) in names
    assert host(health_check(objects)[0]["args"][1]) in names
    for service in of_kind(objects, "Service"):
        name = service["metadata"]["name"]
        assert {name, f"{name}.flyte", f"{name}.flyte.svc", f"{name}.flyte.svc.example.local"} <= set(names)


@BOTH
def test_flyte_values_use_tls(values):
    assert connector(merged(values, NO_AUTH))["insecure"] is False
    assert connector(NO_AUTH)["insecure"] is True
    # Flyte calls the sidecar, within the pod, and the sidecar calls the service.
    assert connector(values) == {**connector({}), "endpoint": "dns:///127.0.0.1:18001", "insecure": True}
    assert sidecar_target(values).startswith("https://") and sidecar_target({}).startswith("dns:///")
    assert mounted(render("bigquery", values))["secretName"] in notes("bigquery", values)


@BOTH
def test_app_protocol_is_https(values):
    def protocols(values):
        services = of_kind(render("bigquery", values), "Service")
        return {port["appProtocol"] for service in services for port in service["spec"]["ports"] if port["name"] == "grpc"}

    assert protocols(values) == {"https"}
    assert protocols(merged(values, {"service": {"appProtocol": "tls"}})) == {"tls"}
    assert protocols({}) == {"kubernetes.io/h2c"}


def test_only_certificate_and_key_are_mounted(plugin):
    objects = render(plugin, TLS)
    assert mounted(objects)["secretName"] == one(objects, "Certificate")["spec"]["secretName"]
    assert [item["key"] for item in mounted(objects)["items"]] == ["tls.crt", "tls.key"]
    (mount,) = (m for m in container(objects)["volumeMounts"] if m["name"] == "tls")
    # A subPath mount is never updated.
    assert mount["readOnly"] and "subPath" not in mount


@BOTH
def test_probes_use_no_tls(values):
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container(render("bigquery", values))[probe]["httpGet"] == container(render("bigquery"))[probe]["httpGet"]
        assert container(render("bigquery", values))[probe]["httpGet"]["port"] == "http-admin"


def test_helm_test_trusts_secret_ca_or_system_cas():
    checked, volumes = health_check(render("bigquery", merged(TLS_MADE_ELSEWHERE, {"tls": {"caKey": "root.pem"}})))
    assert checked["args"][2:] == ["--ca-file=/etc/outrigger/tls/ca.crt"]
    (volume,) = volumes
    assert volume["secret"]["secretName"] == "certificate"
    assert volume["secret"]["items"] == [{"key": "root.pem", "path": "ca.crt"}], "the key must not be mounted"
    checked, volumes = health_check(render("bigquery", merged(TLS_MADE_ELSEWHERE, {"tls": {"caKey": ""}})))
    assert len(checked["args"]) == 2 and volumes is None


def test_readme_values_render():
    """Every chart's README has these lines: `cargo xtask sync --check` compares them with the template."""
    (values,) = re.findall(r"```yaml\n(tls:.*?)```", (CHARTS / "bigquery" / "README.md").read_text(), re.DOTALL)
    assert one(render("bigquery", yaml.safe_load(values)), "Certificate")["spec"]["issuerRef"]["name"] == "internal"


def test_without_tls_nothing_is_created_or_mounted():
    objects = render("bigquery", merged(TLS, {"tls": {"enabled": False}}))
    assert not of_kind(objects, "Certificate")
    assert objects_without_keys(objects) == objects_without_keys(render("bigquery"))


def objects_without_keys(objects):
    return [document for document in objects if document["kind"] != "Secret"]
