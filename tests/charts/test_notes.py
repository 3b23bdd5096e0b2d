"""The notes after an install: what this installation's authentication needs, ready for Flyte, and a command to try."""

import copy
import re

import pytest
import yaml

import flyte
import schemas
from cases import ISSUER, RULE, TLS_MADE_ELSEWHERE
from charts import DECLARATIVE, PLUGINS, ROOT, merged, notes
from test_flyte_values import configuration, containers, render

OTHER = {"auth": {"cluster": {"enabled": False}, "issuers": [ISSUER], "rules": [RULE]}}
NO_AUTH = {"auth": {"insecureNoAuth": True}, "flyte": {"podLabels": {"app": "flytepropeller"}}}
FLAVOURS = {"core": "flytepropeller", "binary": "flyte"}


def flyte_values(values, plugin="bigquery"):
    """The values in the notes, as a reader copies them."""
    block = re.search(r"^FLYTE\n.*?\n\n(.*?)(?=\n[A-Z]|\Z)", notes(plugin, values), re.MULTILINE | re.DOTALL)
    return yaml.safe_load(block[1])


@pytest.fixture(params=FLAVOURS)
def flavour(request):
    return request.param


def of_chart(flavour, *more):
    return merged({"flyte": {"chart": f"flyte-{flavour}", "serviceAccount": "flyte"}}, *more)


@pytest.mark.parametrize("values", [{}, TLS_MADE_ELSEWHERE], ids=["plaintext", "tls"])
def test_values_with_the_sidecar_suit_flytes_chart(flavour, values, tmp_path):
    chart = flyte.chart("1.16", f"flyte-{flavour}", tmp_path)
    file = tmp_path / "notes.yaml"
    file.write_text(yaml.safe_dump(flyte_values(of_chart(flavour, values))))
    (pod,) = containers(render(chart, file), "propeller-proxy")
    (proxy,) = (container for container in pod["containers"] if container["name"] == "propeller-proxy")
    alone = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "alone"}, "spec": {"containers": [proxy]}}
    assert [problem for kube in schemas.versions() for problem in schemas.problems(alone, kube)] == []
    assert "outrigger-token" in {volume["name"] for volume in pod["volumes"]}
    (connector,) = configuration(chart, file)["plugins"]["connector-service"]["connectors"].values()
    (route,) = (argument for argument in proxy["args"] if argument.startswith("--route="))
    assert f"--route={connector['endpoint'].removeprefix('dns:///')}=" in route


@pytest.mark.parametrize("values", [OTHER, NO_AUTH], ids=["other-issuer", "no-auth"])
def test_values_without_the_clusters_tokens_have_no_sidecar(flavour, values):
    found = flyte_values(of_chart(flavour, values))
    assert "propeller-proxy" not in str(found) and "bigquery-headless" in str(found)


# Flyte's chart of the notes, and whether the sidecar is there, as in the names of docs/flyte-values.
PRINTED = [(kind, proxy) for kind in FLAVOURS for proxy in ("", "-proxy")]
# The values of the notes that stand for those options.
SAME = {"": NO_AUTH, "-proxy": {}}


def of_plugin(plugin, values):
    """The part of the generated values that is about one plugin."""
    service = copy.deepcopy(flyte_service(values))
    types = [name for name, owner in service["connectorForTaskTypes"].items() if owner == plugin]
    service["connectors"] = {plugin: service["connectors"][plugin]}
    service["connectorForTaskTypes"] = dict.fromkeys(types, plugin)
    service["supportedTaskTypes"] = types
    return service


def flyte_service(values):
    inline = values.get("configuration", {}).get("inline") or values["configmap"]["enabled_plugins"]
    return inline["plugins"]["connector-service"]


def sidecar(values):
    """The container and the volume, without routes, which name the plugins."""
    pod = values.get("flytepropeller") or values.get("deployment") or {}
    (containers,) = [pod[key] for key in ("additionalContainers", "sidecars") if key in pod] or [[]]
    (volumes,) = [pod[key] for key in ("additionalVolumes", "extraVolumes") if key in pod] or [[]]
    routes = [argument for each in containers for argument in each["args"] if argument.startswith("--route=")]
    return routes, [{**each, "args": [a for a in each["args"] if a not in routes]} for each in containers], volumes


@pytest.mark.parametrize(("kind", "proxy"), PRINTED, ids=lambda part: part or "direct")
@pytest.mark.parametrize("plugin", sorted(set(PLUGINS) - {"bundle", DECLARATIVE}))
def test_values_are_those_of_flyte_values(plugin, kind, proxy):
    wanted = yaml.safe_load((ROOT / "docs" / "flyte-values" / f"{kind}-1.16{proxy}.yaml").read_text())
    service = of_plugin(plugin, wanted)
    port = int(service["connectors"][plugin]["endpoint"].rpartition(":")[2])
    found = flyte_values(of_chart(kind, {"flyte": {"proxy": {"port": port}}}, SAME[proxy]), plugin)
    assert flyte_service(found) == service
    tasks = (found.get("enabled_plugins") or found["configmap"]["enabled_plugins"])["tasks"]["task-plugins"]
    assert tasks == {"default-for-task-types": dict.fromkeys(service["supportedTaskTypes"], "connector-service")}
    (routes, *pod), (all_routes, *wanted_pod) = sidecar(found), sidecar(wanted)
    assert pod == wanted_pod and set(routes) <= set(all_routes)


BUNDLED = {
    "athena": ["presto", "hive", "athena"],
    "aws-batch": ["aws-batch"],
    "bigquery": ["bigquery_query_job_task"],
    "databricks": ["databricks"],
    "emr-serverless": ["emr_serverless"],
    "redshift": ["redshift"],
    "sagemaker": [
        "sagemaker-training-job",
        "sagemaker-processing-job",
        "sagemaker-transform-job",
        "sagemaker-hyperparameter-tuning-job",
        "sagemaker-inference-recommender-job",
        "sagemaker-endpoint",
        "sagemaker-training-task",
        "sagemaker-processing-task",
    ],
    "snowflake": ["snowflake"],
}
UNSET = {"settings": {"PLUGIN_BUNDLE_PLUGINS": ""}}
# Values of the bundle, and the plugins whose task types Flyte sends there.
ROUTED = [
    ({"settings": {"PLUGIN_BUNDLE_PLUGINS": "bigquery,snowflake"}}, ["bigquery", "snowflake"]),
    ({"settings": {"PLUGIN_BUNDLE_PLUGINS": "athena"}}, ["athena"]),
    (merged(UNSET, {"extraEnv": [{"name": "PLUGIN_BUNDLE_PLUGINS", "value": "redshift,athena"}]}), ["athena", "redshift"]),
    (merged(UNSET, {"extraEnvFrom": [{"configMapRef": {"name": "variables"}}]}), list(BUNDLED)),
]


@pytest.mark.parametrize(("values", "plugins"), ROUTED, ids=["two", "one", "extra-env", "unknown"])
def test_bundle_routes_what_it_serves(values, plugins):
    service = flyte_service(flyte_values(values, "bundle"))
    assert service["supportedTaskTypes"] == [name for plugin in plugins for name in BUNDLED[plugin]]
    assert service["connectorForTaskTypes"] == dict.fromkeys(service["supportedTaskTypes"], "bundle")
    chosen = flyte_service(flyte_values(merged(values, {"flyte": {"taskTypes": ["mine"]}}), "bundle"))
    assert chosen["supportedTaskTypes"] == ["mine"]


def try_it(values):
    """The lines of the commands to try, and the text below them."""
    block = re.search(r"^TRY IT\n(.*?)(?=\n\n|\Z)", notes("bigquery", values), re.MULTILINE | re.DOTALL)[1]
    *commands, text = block.strip().splitlines()
    return [line.strip() for line in commands], text.strip()


TOKEN = "TOKEN=$(kubectl -n flyte create token flytepropeller --audience=flyte-connectors)"
AUTHORIZED = 'curl -sS -H "authorization: Bearer $TOKEN" http://localhost:8000/plugins/v1'
# Values, and the commands to try after the wait and the port-forward.
COMMANDS = [
    ({}, [TOKEN, AUTHORIZED]),
    (TLS_MADE_ELSEWHERE, [TOKEN, AUTHORIZED.replace("curl", "curl -k").replace("http:", "https:")]),
    (OTHER, ["TOKEN=A-TOKEN-OF-AN-ISSUER-THAT-THE-SERVICE-TRUSTS", AUTHORIZED]),
    (NO_AUTH, ["curl -sS http://localhost:8000/plugins/v1"]),
]


@pytest.mark.parametrize(("values", "wanted"), COMMANDS, ids=["cluster", "tls", "other-issuer", "no-auth"])
def test_commands_to_try(values, wanted):
    (wait, forward, *commands), text = try_it(values)
    # A port-forward to a pod that does not run yet ends at once.
    assert wait == "kubectl -n flyte rollout status deployment/bigquery --timeout=3m"
    assert forward == "kubectl -n flyte port-forward service/bigquery 8000 >/dev/null & sleep 2"
    assert commands == wanted
    # The page is where the call goes, and its reader has a token.
    assert text.startswith(re.search(r"https?://[^/]+", commands[-1])[0] + "/docs")
    assert ('echo "$TOKEN"' in text) == ("$TOKEN" in commands[-1])


def test_service_account_of_the_other_chart_is_noticed():
    wrong = "flyte.serviceAccount is flytepropeller"
    assert wrong in notes("bigquery", {"flyte": {"chart": "flyte-binary"}})
    assert wrong not in notes("bigquery", {"flyte": {"chart": "flyte-binary", "serviceAccount": "flyte"}})
    assert wrong not in notes("bigquery", merged(NO_AUTH, {"flyte": {"chart": "flyte-binary"}}))
    assert "set flyte.chart=flyte-binary and flyte.serviceAccount" in notes("bigquery", {})
