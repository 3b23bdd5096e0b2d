"""docs/quickstart-operator.md: its commands for the cluster, as they are written, against the control plane."""

import os
import re
import subprocess

import pytest

from control_plane import ROOT, eventually
from kubelet import PROGRAMS, Pod
from namespace import TOOLS, Namespace

PAGE = ROOT / "docs" / "quickstart-operator.md"
REGISTRY = "registry.example.com/team"


def commands():
    """The blocks marked `sh cluster`, in order."""
    return re.findall(r"^```sh cluster\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def installed(plane, flyte):
    """What the page installs; the namespace is the page's."""
    environment = {
        "PATH": f"{TOOLS}:{os.environ['PATH']}",
        "HOME": str(plane.directory),
        "KUBECONFIG": str(plane.kubeconfig),
        "REGISTRY": REGISTRY,
    }
    if "flyte-binary" not in flyte.kubectl("get", "serviceaccounts", "--output=name"):
        flyte.kubectl("create", "serviceaccount", "flyte-binary")
    for block in commands():
        done = subprocess.run(["bash", "-euc", block], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{block}\n{done.stderr}"
    yield Namespace(plane, "plugins")
    Namespace(plane, "plugins").kubectl("delete", "namespace", "plugins", "--wait=false")


def test_page_installs_both_plugins(installed, flyte, tmp_path):
    assert len(commands()) == 4
    bigquery, databricks = (installed.get("deployment", name)["spec"]["template"]["spec"] for name in ("bigquery", "databricks"))
    assert bigquery["containers"][0]["image"] == f"{REGISTRY}/bigquery:0.1.0"
    account = installed.get("serviceaccount", "bigquery")
    assert account["metadata"]["annotations"]["iam.gke.io/gcp-service-account"].startswith("flyte-bigquery@")
    (secrets,) = (volume for volume in databricks["volumes"] if volume["name"] == "secrets")
    assert secrets["projected"]["sources"][0]["secret"]["name"] == "databricks-credentials"
    eventually(lambda: installed.pods("bigquery"), what=installed.refusals)
    assert installed.refusals() == [], "the namespace enforces the restricted pod security standard"
    notes = installed.helm("get", "notes", "bigquery")
    assert "sidecars:" in notes and f"{REGISTRY}/propeller-proxy:0.1.0" in notes


@pytest.mark.skipif(not (PROGRAMS / "bigquery").exists(), reason="cargo build -p bigquery")
def test_flyte_binarys_token_is_accepted(installed, flyte, tmp_path):
    """The pod's auth.yaml is in a ConfigMap, so any pod of the release has the upgrade's."""
    pod = eventually(lambda: installed.pods("bigquery"), what=installed.refusals)[0]
    answers = {}
    with Pod(installed, pod, tmp_path / "root").run() as service:
        for account in ("flyte-binary", "flytepropeller"):
            token = flyte.kubectl("create", "token", account, "--audience=flyte-connectors").strip()
            answers[account] = service.status(token)
    assert answers == {"flyte-binary": 200, "flytepropeller": 403}
