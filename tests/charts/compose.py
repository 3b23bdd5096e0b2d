"""Renders the alerts and the dashboard of BigQuery's chart into compose/: python tests/charts/compose.py [--check]"""

import sys

import yaml

from charts import ROOT, one, render

COMPOSE = ROOT / "compose"
PLUGIN = "bigquery"
MADE = f"# Generated from charts/{PLUGIN} by tests/charts/compose.py; do not edit.\n"
VALUES = {"metrics": {"prometheusRule": {"enabled": True}, "dashboard": {"enabled": True}}}


def rendered():
    """The files: path to content."""
    objects = render(PLUGIN, VALUES)
    groups = {"groups": one(objects, "PrometheusRule")["spec"]["groups"]}
    dashboard = one(objects, "ConfigMap", f"{PLUGIN}-dashboard")["data"][f"{PLUGIN}.json"]
    alerts = MADE + yaml.safe_dump(groups, sort_keys=False, width=120)
    return {
        COMPOSE / "prometheus" / "alerts.yaml": alerts,
        COMPOSE / "grafana" / "dashboards" / f"{PLUGIN}.json": dashboard.strip() + "\n",
    }


def main(check):
    outdated = []
    for file, content in rendered().items():
        if not file.exists() or file.read_text() != content:
            outdated.append(str(file.relative_to(ROOT)))
            if not check:
                file.write_text(content)
    if check and outdated:
        sys.exit(f"outdated: {', '.join(outdated)}; run python tests/charts/compose.py")
    print("\n".join(outdated) or "up to date")


if __name__ == "__main__":
    main("--check" in sys.argv[1:])
