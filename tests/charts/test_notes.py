"""The notes after an install: what this installation's authentication needs, ready for Flyte, and a command to try."""

import re

import pytest
import yaml

import flyte
import schemas
from cases import ISSUER, RULE, TLS_MADE_ELSEWHERE
from charts import merged, notes
from test_flyte_values import configuration, containers, render

OTHER = {"auth": {"cluster": {"enabled": False}, "issuers": [ISSUER], "rules": [RULE]}}
NO_AUTH = {"auth": {"insecureNoAuth": True}, "flyte": {"podLabels": {"app": "flytepropeller"}}}
FLAVOURS = {"core": "flytepropeller", "binary": "flyte"}


def flyte_values(values):
    """The values in the notes, as a reader copies them."""
    block = re.search(r"^FLYTE\n.*?\n\n(.*?)(?=\n[A-Z]|\Z)", notes("bigquery", values), re.MULTILINE | re.DOTALL)
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


# Values, and what the command to try sends.
COMMANDS = [
    ({}, 'curl -sS -H "authorization: Bearer $(kubectl -n flyte create token flytepropeller --audience=flyte-connectors)" http://'),
    (TLS_MADE_ELSEWHERE, "curl -k -sS -H "),
    (OTHER, 'curl -sS -H "authorization: Bearer $TOKEN" http://'),
    (NO_AUTH, "curl -sS http://localhost:8000/plugins/v1"),
]


@pytest.mark.parametrize(("values", "command"), COMMANDS, ids=["cluster", "tls", "other-issuer", "no-auth"])
def test_one_command_to_try(values, command):
    (line,) = (line for line in notes("bigquery", values).splitlines() if "curl" in line)
    assert command in line
