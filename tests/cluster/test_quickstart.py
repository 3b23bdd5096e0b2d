"""docs/quickstart-operator.md: its commands for the cluster, as they are written, against the control plane."""

import base64
import os
import re
import subprocess

import pytest

from control_plane import ROOT, eventually
from kubelet import PROGRAMS, Pod
from namespace import TOOLS, Namespace

PAGE = ROOT / "docs" / "quickstart-operator.md"
REGISTRY = "registry.example.com/team"
TOKEN = "dapi-0123"


def commands():
    """The blocks marked `sh cluster`, in order."""
    return re.findall(r"^```sh cluster\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the reader is: charts are those of the checkout, and what the page writes stays here."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "charts").symlink_to(ROOT / "charts")
    return folder


@pytest.fixture(scope="module")
def installed(plane, flyte, folder):
    """What the page installs; the namespace is the page's."""
    environment = {
        "PATH": f"{TOOLS}:{os.environ['PATH']}",
        "HOME": str(plane.directory),
        "KUBECONFIG": str(plane.kubeconfig),
        "REGISTRY": REGISTRY,
    }
    if "flyte-binary" not in flyte.kubectl("get", "serviceaccounts", "--output=name"):
        flyte.kubectl("create", "serviceaccount", "flyte-binary")
    # In one shell, as a reader has it: variables stay. What the reader pastes is Databricks' token.
    script = "set -x\n" + "".join(commands())
    done = subprocess.run(
        ["bash", "-euc", script], input=f"{TOKEN}\n", cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    yield Namespace(plane, "plugins")
    Namespace(plane, "plugins").kubectl("delete", "namespace", "plugins", "--wait=false")


def test_page_installs_both_plugins(installed, folder):
    assert len(commands()) == 8
    bigquery, databricks = (installed.get("deployment", name)["spec"]["template"]["spec"] for name in ("bigquery", "databricks"))
    assert bigquery["containers"][0]["image"] == f"{REGISTRY}/bigquery:0.1.0"
    account = installed.get("serviceaccount", "bigquery")
    assert account["metadata"]["annotations"]["iam.gke.io/gcp-service-account"].startswith("flyte-bigquery@")
    (secrets,) = (volume for volume in databricks["volumes"] if volume["name"] == "secrets")
    assert secrets["projected"]["sources"][0]["secret"]["name"] == "databricks-credentials"
    credentials = installed.get("secret", "databricks-credentials")["data"]
    assert credentials == {"databricks_token": base64.b64encode(f"{TOKEN}\n".encode()).decode()}
    assert not (folder / "databricks_token").exists()
    eventually(lambda: installed.pods("bigquery"), what=installed.refusals)
    assert installed.refusals() == [], "the namespace enforces the restricted pod security standard"
    notes = installed.helm("get", "notes", "bigquery")
    assert "sidecars:" in notes and f"{REGISTRY}/propeller-proxy:0.1.0" in notes


@pytest.mark.skipif(not all((PROGRAMS / name).exists() for name in ("bigquery", "databricks")), reason="cargo build -p bigquery -p databricks")
@pytest.mark.parametrize("plugin", ["bigquery", "databricks"])
def test_flyte_binarys_token_is_accepted(installed, flyte, folder, plugin, tmp_path):
    """The pod's auth.yaml is in a ConfigMap, so any pod of the release has the upgrade's."""
    pod = eventually(lambda: installed.pods(plugin), what=installed.refusals)[0]
    answers = {"analysts": (folder / "analysts.token").read_text().strip()}
    for account in ("flyte-binary", "flytepropeller"):
        answers[account] = flyte.kubectl("create", "token", account, "--audience=flyte-connectors").strip()
    with Pod(installed, pod, tmp_path / "root").run() as service:
        answers = {account: service.status(token) for account, token in answers.items()}
    people = 200 if plugin == "bigquery" else 403
    assert answers == {"flyte-binary": 200, "flytepropeller": 403, "analysts": people}


@pytest.mark.parametrize("name", ["values-google.yaml", "values-login.yaml"])
def test_other_values_of_the_page_are_accepted(installed, folder, name, tmp_path):
    (text,) = re.findall(rf"^```yaml file={name}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / name).write_text(text)
    values = [f"--values={folder / 'values-flyte.yaml'}", f"--values={tmp_path / name}"]
    arguments = [f"--set=image.registry={REGISTRY}", "--dry-run=server", *values]
    assert "bigquery" in installed.helm("upgrade", "bigquery", ROOT / "charts" / "bigquery", *arguments)
