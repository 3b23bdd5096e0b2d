"""The chart of plugins that are YAML files: they are mounted from a ConfigMap, and served without a restart when they change."""

import pathlib
import re

import pytest
import yaml

import schemas
from cases import MATRIX
from charts import DECLARATIVE, HELMS, NEWEST, PLUGIN_FILE, ROOT, Refused, container, notes, of_kind, one, render, run_tool

NOMAD = (ROOT / "services/declarative/examples/nomad-batch.yaml").read_text()
# Its tasks are answered within the call.
LAMBDA = (ROOT / "services/declarative/examples/aws-lambda.yaml").read_text()
SETTINGS = {"settings": {"DECLARATIVE_SET": "nomad-batch.address=https://nomad.example.com,nomad-batch.namespace=batch"}}
SEVERAL = {**SETTINGS, "plugin": "", "plugins": {"nomad": NOMAD, "openai": PLUGIN_FILE}}
ADDRESS = {"settings": {"DECLARATIVE_SET": "acme.address=https://api.acme.example"}}


def files(objects):
    """The mounted files, by name."""
    pod = one(objects, "Deployment")["spec"]["template"]["spec"]
    (volume,) = (volume for volume in pod["volumes"] if volume["name"] == "plugins")
    (mount,) = (mount for mount in container(objects)["volumeMounts"] if mount["name"] == "plugins")
    # A file mounted by its subPath would never change.
    assert mount == {"name": "plugins", "mountPath": "/etc/outrigger/plugins", "readOnly": True}
    assert {"name": "DECLARATIVE_FILES", "value": mount["mountPath"]} in container(objects)["env"]
    (config,) = (it for it in of_kind(objects, "ConfigMap") if it["metadata"]["name"] == volume["configMap"]["name"])
    return config["data"]


def restarts(before, after):
    """Whether an upgrade replaces the pods."""
    templates = [one(render(DECLARATIVE, values), "Deployment")["spec"]["template"] for values in (before, after)]
    return templates[0] != templates[1]


@pytest.mark.parametrize("helm", HELMS)
def test_files_are_mounted_as_they_are(helm):
    assert files(render(DECLARATIVE, helm=helm)) == {"plugin.yaml": PLUGIN_FILE}
    assert files(render(DECLARATIVE, SEVERAL, helm=helm)) == {"nomad.yaml": NOMAD, "openai.yaml": PLUGIN_FILE}


def test_an_existing_config_map_is_mounted():
    objects = render(DECLARATIVE, {"plugin": "", "existingConfigMap": "ours"})
    volumes = one(objects, "Deployment")["spec"]["template"]["spec"]["volumes"]
    assert {"name": "plugins", "configMap": {"name": "ours"}} in volumes
    assert [it["metadata"]["name"] for it in of_kind(objects, "ConfigMap")] == ["declarative-auth"]


def test_pods_are_replaced_only_for_what_is_read_at_the_start():
    changed = PLUGIN_FILE.replace("description: ", "description: new ")
    assert changed != PLUGIN_FILE and not restarts({}, {"plugin": changed})
    for old, new in (("openai_batch:0", "openai_batch:0, openai_other:0"), ("  job: {id:", "  job: {other: =body.other, id:")):
        assert old in PLUGIN_FILE and restarts({}, {"plugin": PLUGIN_FILE.replace(old, new)}), old


def test_notes_route_the_task_types_of_the_files():
    assert 'supportedTaskTypes: ["nomad_batch","openai_batch"]' in notes(DECLARATIVE, SEVERAL)
    assert 'supportedTaskTypes: ["mine"]' in notes(DECLARATIVE, {"flyte": {"taskTypes": ["mine"]}})


def test_notes_have_as_jobs_only_what_flyte_polls():
    region = {"settings": {"DECLARATIVE_SET": SETTINGS["settings"]["DECLARATIVE_SET"] + ",aws-lambda.region=eu-central-1"}}
    both = notes(DECLARATIVE, {**region, "plugin": "", "plugins": {"nomad": NOMAD, "report": LAMBDA}})
    assert 'supportedTaskTypes: ["nomad_batch","aws_lambda"]' in both
    assert re.search(r"DeleteTask: 10s}, {ExecuteTaskSync: 30s}\]\n", both)
    assert re.search(r'connectorForTaskTypes:\n +"nomad_batch": "declarative"\n +webApi:', both), both
    alone = notes(DECLARATIVE, {"settings": {"DECLARATIVE_SET": "aws-lambda.region=eu-central-1"}, "plugin": LAMBDA})
    assert "connectorForTaskTypes" not in alone
    assert "ExecuteTaskSync" not in notes(DECLARATIVE, SEVERAL)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"plugin": ""}, "plugin is not set: the file of a plugin, as in --set-file"),
        ({"existingConfigMap": "ours"}, "have no effect with existingConfigMap"),
        ({"plugin": "- a\n- list\n"}, "plugin is no plugin's file .*`outrigger plugin check FILE`"),
        ({"plugins": {"other": "{}"}}, "plugins.other is no plugin's file: "),
        ({"plugins": {"Upper.yaml": NOMAD}}, "plugins"),
        ({"plugins": {"nomad": NOMAD}}, "DECLARATIVE_SET lacks nomad-batch.address=…, .*: The URL of Nomad's API"),
    ],
)
@pytest.mark.parametrize("helm", HELMS)
def test_what_would_not_start_is_rejected(helm, values, why):
    with pytest.raises(Refused, match=why):
        render(DECLARATIVE, values, helm=helm)


def test_an_alert_says_that_a_file_is_not_served():
    objects = render(DECLARATIVE, {"metrics": {"prometheusRule": {"enabled": True}}})
    alerts = one(objects, "PrometheusRule")["spec"]["groups"][0]["rules"]
    (alert,) = (alert for alert in alerts if alert["alert"] == "OutriggerPluginFileOutdated")
    metric = alert["expr"].removeprefix("max(").split("{")[0]
    assert f'"{metric}"' in (ROOT / "services/declarative/src/files/metrics.rs").read_text()


def test_settings_may_come_from_elsewhere():
    source = {"configMapKeyRef": {"name": "a", "key": "b"}}
    for values in ({"extraEnv": [{"name": "DECLARATIVE_SET", "valueFrom": source}]}, {"extraEnvFrom": [{"configMapRef": {"name": "a"}}]}):
        render(DECLARATIVE, {"plugin": NOMAD, **values})


@pytest.mark.parametrize("case", ["defaults", "everything", "tls"])
def test_chart_of_a_plugin_has_its_file(file_plugin, case):
    objects = render(file_plugin, {**MATRIX[case], "settings": ADDRESS["settings"]})
    assert not [problem for each in objects for problem in schemas.problems(each, NEWEST)]
    assert files(objects) == {"plugin.yaml": (pathlib.Path(file_plugin).parents[1] / "plugin.yaml").read_text()}
    assert yaml.safe_load(files(objects)["plugin.yaml"])["plugin"]["name"] == "acme"
    assert "/team/declarative" in container(objects)["image"]


@pytest.mark.parametrize("helm", HELMS)
def test_helm_accepts_the_chart_of_a_plugin(file_plugin, helm):
    done = run_tool(helm, "lint", "--strict", file_plugin)
    assert done.returncode == 0, done.stdout + done.stderr


def test_chart_of_a_plugin_without_jobs_has_no_handle_keys_and_refuses_jobs(sync_file_plugin):
    values = {"settings": ADDRESS["settings"]}
    objects = render(sync_file_plugin, values)
    assert not [problem for each in objects for problem in schemas.problems(each, NEWEST)]
    assert yaml.safe_load(files(objects)["plugin.yaml"]).keys() >= {"execute"}
    assert "PLUGIN_HANDLE_KEYS" not in {each["name"] for each in container(objects)["env"]}
    assert "ExecuteTaskSync: 30s" in notes(sync_file_plugin, values, release="acme")
    with pytest.raises(Refused, match="plugin has jobs .create., and this chart has no key for their handles"):
        render(sync_file_plugin, {"plugin": PLUGIN_FILE})
