"""Charts as people get them: packaged, with the defaults; and an upgrade from the chart of an earlier commit."""

import io
import json
import os
import subprocess
import tarfile
import urllib.request

import pytest

from control_plane import ISSUER, ROOT, eventually, running
from kubelet import PROGRAMS, Pod
from namespace import REGISTRY
from test_charts import handle_keys

# The chart of template version 8, the last before usual names of values.
FORMER = "b4c5881"
NEEDED = ("bigquery", "fake-upstream", "xtask")
pytestmark = pytest.mark.skipif(
    not all((PROGRAMS / name).exists() for name in NEEDED), reason="cargo build -p bigquery -p xtask -p fake-upstream"
)
TASK = {"sql": "SELECT 1", "custom": {"ProjectID": "acme-analytics", "Location": "EU"}}


def token(flyte, account="flytepropeller"):
    return flyte.kubectl("create", "token", account, "--audience=flyte-connectors").strip()


def call(address, method, path, token, body=None):
    """The body of an answer with status 200."""
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json", "idempotency-key": "upgrade"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{address}{path}", method=method, headers=headers, data=data)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


@pytest.fixture
def packaged(tmp_path):
    """The chart of a release."""
    digests = [f"--digest={name}=sha256:{'0' * 64}" for name in ("bigquery", "propeller-proxy")]
    command = [PROGRAMS / "xtask", "package", "bigquery", "--registry=registry.example.com/team", *digests, f"--output={tmp_path}"]
    # xtask looks for Helm where the tests of charts install it.
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    (package,) = tmp_path.glob("bigquery-*.tgz")
    return package


def test_packaged_chart_needs_no_values(flyte, plugins, packaged, tmp_path):
    """The cluster's issuer is not a default of anything, and nobody says which it is."""
    plugins.helm("install", "bigquery", packaged)
    pod, _ = plugins.wait_for_pods("bigquery", 2)
    (container,) = pod["spec"]["containers"]
    assert container["image"] == f"registry.example.com/team/bigquery@sha256:{'0' * 64}"
    assert ISSUER not in str(plugins.objects("bigquery"))
    with Pod(plugins, pod, tmp_path / "root").run() as service:
        assert service.status(token(flyte)) == 200
        assert service.status(token(flyte, "flyteadmin")) == 403
        assert service.status() == 401


@pytest.fixture
def upstream(tmp_path):
    """The settings for a fake BigQuery, whose jobs outlive the service."""
    log = tmp_path / "upstream.log"
    with running(PROGRAMS / "fake-upstream", "bigquery", log=log, environment=dict(os.environ)):
        address = eventually(lambda: log.read_text().strip(), what="an address")
        yield {"BIGQUERY_ENDPOINT": address, "GCE_METADATA_HOST": address.removeprefix("http://")}


@pytest.fixture
def former_chart(tmp_path):
    archive = subprocess.run(["git", "archive", FORMER, "charts/bigquery"], cwd=ROOT, capture_output=True)
    if archive.returncode:
        message = f"the commit {FORMER} is not there: fetch the whole history"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(tmp_path, filter="data")
    return tmp_path / "charts" / "bigquery"


def test_upgrade_keeps_jobs_and_keys(flyte, plugins, former_chart, upstream, tmp_path):
    former = {
        "replicas": 1,
        "image": {"repository": "mirror.example.com/team/bigquery"},
        "auth": {"cluster": {"issuer": ISSUER}},
        "settings": upstream,
    }
    plugins.helm("install", "bigquery", former_chart, "--values=-", values=former)
    keys = handle_keys(plugins)
    (pod,) = plugins.wait_for_pods("bigquery", 1)
    route = "/plugins/v1/bigquery_query_job_task/0"
    with Pod(plugins, pod, tmp_path / "before").run() as service:
        job = call(service.api, "PUT", route, token(flyte), TASK)["job_id"]

    # The old values, as they are in somebody's repository, without the issuer that is found by itself now.
    kept = {name: value for name, value in former.items() if name != "auth"}
    plugins.helm("upgrade", "bigquery", ROOT / "charts" / "bigquery", "--reset-values", "--values=-", values=kept)
    assert handle_keys(plugins) == keys
    notes = plugins.helm("get", "notes", "bigquery")
    assert "replicas -> replicaCount" in notes and "image.registry" in notes
    name = pod["metadata"]["name"]
    (pod,) = eventually(
        lambda: [new for new in plugins.pods("bigquery") if new["metadata"]["name"] != name], what="a pod of the new chart"
    )
    with Pod(plugins, pod, tmp_path / "after").run() as service:
        assert service.status(token(flyte)) == 200
        found = call(service.api, "GET", f"{route}?job_id={job}", token(flyte))
        assert found["job_state"] in ("running", "succeed"), found
        again = call(service.api, "PUT", route, token(flyte), TASK)
        assert again["job_spec"]["job"] == found["job_spec"]["job"], "the same key, no second job"

    plugins.upgrade("bigquery", {"replicaCount": 1, "settings": upstream})
    assert handle_keys(plugins) == keys
    assert plugins.get("deployment", "bigquery")["spec"]["template"]["spec"]["containers"][0]["image"].startswith(
        REGISTRY["image"]["registry"]
    )
