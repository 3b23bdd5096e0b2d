"""What the documentation says of AWS is what the charts and the services do."""

import json
import re

import pytest
import yaml

from charts import CHARTS, container, of_kind, one, render, required

ROOT = CHARTS.parent
# The service's name in policies, and in tests/aws-models.
SERVICES = {"athena": "athena", "redshift": "redshift-data"}
NEEDS = {"athena": {}, "redshift": {"REDSHIFT_DATABASES": "dev", "REDSHIFT_WORKGROUPS": "sales"}}


def blocks(page, kind):
    return re.findall(rf"```{kind}\n(.*?)```", (ROOT / page).read_text().split("\n## AWS\n")[-1], re.DOTALL)


def values(page):
    return [yaml.safe_load(block) for block in blocks(page, "yaml") if "AWS_REGION" in block]


def sources(plugin):
    """The values of docs/operating.md, for this plugin."""
    for source in values("docs/operating.md"):
        yield {**source, "settings": {**source["settings"], **NEEDS[plugin]}}


@pytest.mark.parametrize("plugin", SERVICES)
def test_documented_sources_of_keys_render(plugin):
    irsa, pod_identity, static = sources(plugin)
    role = one(render(plugin, irsa), "ServiceAccount")["metadata"]["annotations"]
    assert role == {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/outrigger-athena"}
    policies = json.dumps(of_kind(render(plugin, pod_identity), "NetworkPolicy"))
    assert "fd00:ec2::23/128" in policies and "169.254.170.23/32" in policies and "169.254.170.23/32" not in json.dumps(of_kind(render(plugin, irsa), "NetworkPolicy"))
    mounted = json.dumps(one(render(plugin, static), "Deployment")["spec"]["template"]["spec"]["volumes"])
    assert "athena-keys" in mounted
    named = {entry["name"]: entry.get("value") for entry in container(render(plugin, static))["env"]}
    assert named["AWS_IDENTITY"] == "secrets"


@pytest.mark.parametrize("plugin", SERVICES)
def test_values_of_the_readme_render(plugin):
    (readme,) = values(f"services/{plugin}/README.md")
    assert set(required(plugin)["settings"]) <= set(readme["settings"])
    role = one(render(plugin, readme), "ServiceAccount")["metadata"]["annotations"]["eks.amazonaws.com/role-arn"]
    assert role.endswith(f"outrigger-{plugin}")


@pytest.mark.parametrize("plugin", SERVICES)
def test_policy_allows_the_operations_that_the_service_calls(plugin):
    (text,) = blocks(f"services/{plugin}/README.md", "json")
    policy = json.loads(text)
    assert policy["Version"] == "2012-10-17"
    allowed = set()
    for statement in policy["Statement"]:
        assert set(statement) == {"Effect", "Action", "Resource"} and statement["Effect"] == "Allow"
        actions = statement["Action"]
        allowed |= set([actions] if isinstance(actions, str) else actions)
    service = SERVICES[plugin]
    model = json.loads((ROOT / "tests" / "aws-models" / f"{service}.json").read_text())
    code = "".join(file.read_text() for file in (ROOT / "services" / plugin / "src").glob("*.rs"))
    called = {operation for operation in model["operations"] if f'"{operation}"' in code}
    assert called and {action for action in allowed if action.startswith(f"{service}:")} == {f"{service}:{name}" for name in called}
