"""The alerts fire when they should, and alerts and dashboard query metrics that the services expose."""

import json
import re
import secrets

import pytest
import yaml

from charts import ROOT, name_of, one, render, run_tool
from running import fake_bigquery, free_port, http_status, service

MONITORED = {"metrics": {"prometheusRule": {"enabled": True}, "dashboard": {"enabled": True}}}
METRICS = [path.read_text() for path in (ROOT / "plugin-core" / "src").rglob("metrics.rs")]
POD = 'namespace="flyte",pod="bigquery-7d9f8c6b5d-abcde"'
ANOTHER_RELEASES = 'namespace="flyte",pod="bigquery-eu-7d9f8c6b5d-abcde"'
ANOTHER_NAMESPACES = 'namespace="other",pod="bigquery-7d9f8c6b5d-abcde"'
RISES, STANDS, APPEARS = "0+1x200", "0x200", "_ _ 1x200"

# An alert, the time of evaluation, the series until then, and the labels it fires with; None if it must not fire.
ALERTS = [
    ("OutriggerDown", "10m", [("target_info{%s}", ANOTHER_RELEASES, "1x60")], {"namespace": "flyte"}),
    ("OutriggerDown", "10m", [("target_info{%s}", ANOTHER_NAMESPACES, "1x60")], {"namespace": "flyte"}),
    ("OutriggerDown", "10m", [("target_info{%s}", POD, "1x60")], None),
    *(
        (
            "OutriggerCallsFail",
            "30m",
            [
                (f'flyte_connector_requests_failure_total{{%s,operation="get",error_code="{code}"}}', POD, f"0+{failed}x60"),
                ('flyte_connector_requests_success_total{%s,operation="get"}', POD, f"0+{answered}x60"),
            ],
            fires,
        )
        for code, failed, answered, fires in [
            (503, 20, 100, {"operation": "get"}),
            (503, 20, 0, {"operation": "get"}),
            (503, 5, 100, None),
            (403, 20, 100, None),
        ]
    ),
    (
        "OutriggerCallsFail",
        "30m",
        [('flyte_connector_requests_failure_total{%s,operation="create",error_code="500"}', POD, "0+20x60")],
        {"operation": "create"},
    ),
    *(
        (
            "OutriggerSlow",
            "30m",
            [
                ('flyte_connector_request_latency_seconds_bucket{%s,operation="get",le="5.0"}', POD, quick),
                ('flyte_connector_request_latency_seconds_bucket{%s,operation="get",le="10.0"}', POD, "0+10x60"),
                ('flyte_connector_request_latency_seconds_bucket{%s,operation="get",le="+Inf"}', POD, "0+10x60"),
            ],
            fires,
        )
        for quick, fires in [(STANDS, {"operation": "get"}), ("0+10x60", None)]
    ),
    # A create may take 30 seconds.
    (
        "OutriggerSlow",
        "30m",
        [
            ('flyte_connector_request_latency_seconds_bucket{%s,operation="create",le="10.0"}', POD, "0+10x60"),
            ('flyte_connector_request_latency_seconds_bucket{%s,operation="create",le="+Inf"}', POD, "0+10x60"),
        ],
        None,
    ),
    ("OutriggerStale", "30m", [('plugin_stale_answers_total{%s,task_type="t"}', POD, RISES)], {"task_type": "t"}),
    ("OutriggerStale", "30m", [('plugin_stale_answers_total{%s,task_type="t"}', POD, STANDS)], None),
    ("OutriggerThrottled", "45m", [("plugin_upstream_throttled_total{%s}", POD, RISES)], {}),
    ("OutriggerThrottled", "20m", [("plugin_upstream_throttled_total{%s}", POD, RISES)], None),
    *(
        ("OutriggerUnknownState", at, [('plugin_unknown_states_total{%s,task_type="t"}', POD, values)], fires)
        for at, values, fires in [
            ("5m", APPEARS, {"task_type": "t"}),
            ("100m", "1x80 2x80", {"task_type": "t"}),
            ("150m", "1x200", None),
        ]
    ),
    *(
        ("OutriggerUnreadableHandle", at, [('plugin_unreadable_handles_total{%s,operation="get"}', POD, values)], fires)
        for at, values, fires in [("5m", APPEARS, {"operation": "get"}), ("150m", "1x200", None)]
    ),
    ("OutriggerRefusesCallers", "30m", [('plugin_auth_failures_total{%s,reason="aud"}', POD, RISES)], {"reason": "aud"}),
    *(
        (
            "OutriggerIssuerUnreachable",
            "60m",
            [(f'plugin_jwks_fetches_total{{%s,issuer="i",result="{result}"}}', POD, RISES) for result in results],
            fires,
        )
        for results, fires in [(["error"], {"issuer": "i"}), (["error", "ok"], None)]
    ),
    ("OutriggerOverloaded", "10m", [("plugin_shed_requests_total{%s}", POD, RISES)], {}),
    ("OutriggerOverloaded", "10m", [("plugin_shed_requests_total{%s}", POD, STANDS)], None),
    ("OutriggerPanicked", "30m", [("plugin_panics_total{%s}", POD, "0x10 1x60")], {}),
    ("OutriggerPanicked", "30m", [("plugin_panics_total{%s}", ANOTHER_RELEASES, "0x10 1x60")], None),
]


def rules(plugin="bigquery"):
    return one(render(plugin, MONITORED), "PrometheusRule")["spec"]


def alerts():
    return {rule["alert"]: rule for rule in rules()["groups"][0]["rules"]}


def fired(alert, labels):
    """The alert that promtool expects: its annotations contain the values of its labels."""
    rule = alerts()[alert]
    template = re.compile(r"\{\{ \$labels\.(\w+) \}\}")
    annotations = {name: template.sub(lambda label: labels[label[1]], text) for name, text in rule["annotations"].items()}
    return {"exp_labels": {**rule["labels"], **labels}, "exp_annotations": annotations}


def unit_test(alert, at, series, labels):
    return {
        "interval": "1m",
        "input_series": [{"series": series % pod, "values": values} for series, pod, values in series],
        "alert_rule_test": [
            {"eval_time": at, "alertname": alert, "exp_alerts": [] if labels is None else [fired(alert, labels)]}
        ],
    }


def promtool(directory, *arguments, **files):
    for name, content in files.items():
        (directory / f"{name}.yaml").write_text(yaml.safe_dump(content))
    done = run_tool("promtool", *arguments, cwd=directory)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_rules(tmp_path, plugin):
    promtool(tmp_path, "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml", rules=rules(plugin))


@pytest.mark.parametrize("case", ALERTS, ids=lambda case: f"{case[0]}-{'stays calm' if case[3] is None else 'fires'}")
def test_alert(tmp_path, case):
    tests = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [unit_test(*case)]}
    promtool(tmp_path, "test", "rules", "tests.yaml", rules=rules(), tests=tests)


def test_every_alert_has_a_case():
    assert {alert for alert, _, _, labels in ALERTS if labels is not None} == set(alerts())


def dashboard(plugin="bigquery"):
    (text,) = one(render(plugin, MONITORED), "ConfigMap", f"{name_of(plugin)}-dashboard")["data"].values()
    return json.loads(text)


def queries():
    return [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]


def test_prometheus_accepts_dashboard_queries(tmp_path):
    recorded = [
        {"record": f"query:{number}", "expr": query.replace("$__rate_interval", "5m")} for number, query in enumerate(queries())
    ]
    promtool(tmp_path, "check", "rules", "rules.yaml", rules={"groups": [{"name": "dashboard", "rules": recorded}]})


def test_dashboard_selects_its_release(plugin):
    board = dashboard(plugin)
    assert f"flyte/{name_of(plugin)}" in board["title"] and len(board["uid"]) <= 40
    assert "__" not in re.sub(r"\$__rate_interval", "", json.dumps(board))
    identifiers = [panel["id"] for panel in board["panels"]]
    assert len(identifiers) == len(set(identifiers))


def registered():
    """The name of every series that a metrics.rs registers, in Prometheus' spelling."""
    source = "\n".join(METRICS)
    types = dict(re.findall(r"^    (?:pub\(super\) )?(\w+): ([\w<>, ]+),$", source, re.MULTILINE))
    suffixes = {"Histogram": ("_bucket", "_sum", "_count"), "Counter": ("_total",), "Gauge": ("",)}
    pattern = (
        r'registry\.register(?:_with_unit)?\(\s*"(\w+)",\s*"[^"]*",\s*(?:Unit::(\w+),\s*)?'
        r"(?:self\.|metrics\.)?(\w+)\.clone\(\),?\s*\)"
    )
    yield "target_info"
    for name, unit, field in re.findall(pattern, source):
        (kind,) = (kind for kind in suffixes if kind in types[field])
        yield from (name + (f"_{unit.lower()}" if unit else "") + suffix for suffix in suffixes[kind])


def looked_at():
    expressions = queries() + [rule["expr"] for rule in alerts().values()]
    keda = {"autoscaling": {"enabled": True, "keda": {"enabled": True, "prometheusAddress": "http://prometheus:9090"}}}
    triggers = one(render("bigquery", keda), "ScaledObject")["spec"]["triggers"]
    return expressions + [trigger["metadata"]["query"] for trigger in triggers if trigger["type"] == "prometheus"]


def test_queried_series_exist():
    used = {name for expression in looked_at() for name in re.findall(r"([a-z_]+)\{", expression)}
    assert len(used) > 20 and used <= set(registered())


def test_queried_labels_exist():
    structs = re.findall(r"struct \w+Labels \{([^}]*)\}", "\n".join(METRICS))
    theirs = {label for fields in structs for label in re.findall(r"(\w+):", fields)} | {"namespace", "pod", "le"}
    for expression in looked_at():
        grouped = [label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")]
        selected = re.findall(r"[{,](\w+)=", expression)
        assert set(grouped + selected) <= theirs, expression


def test_running_service_exposes_registered_metrics(tmp_path):
    (tmp_path / "handle.key").write_bytes(secrets.token_bytes(32))
    environment = {
        "PLUGIN_LISTEN": f"127.0.0.1:{free_port()}",
        "PLUGIN_ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
        "PLUGIN_HANDLE_KEYS": str(tmp_path / "handle.key"),
        "PLUGIN_INSECURE_NO_AUTH": "true",
    }
    request = json.loads((ROOT / "tests/golden/v1/bq_output_columns.json").read_text())
    request = json.dumps({**request, "output_prefix": "s3://charts/metrics"}).encode()
    with fake_bigquery() as upstream:
        environment |= {"BIGQUERY_ENDPOINT": upstream, "GCE_METADATA_HOST": upstream.removeprefix("http://")}
        with service("bigquery", environment, tmp_path / "log") as running:
            running.wait_until_ready()
            tasks = f"http://{running.api}/plugins/v1/bigquery_query_job_task/0"
            assert http_status(tasks, method="PUT", data=request) == 200
            assert http_status(f"{tasks}?job_id=e30") == 400, "no handle"
            exposed = set(re.findall(r"^([a-z_]+)[ {]", running.metrics(), re.MULTILINE))
    assert exposed <= set(registered())
    families = {"http_server", "http_client", "flyte_connector_requests_success", "flyte_connector_request_latency"}
    families |= {"plugin_unreadable_handles", "plugin_connections", "target_info"}
    assert all(any(name.startswith(family) for name in exposed) for family in families), exposed
