"""The Secret with the keys of handles is made once: later renderings keep every key that is there, and make what is missing."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from charts import CHARTS, nested, of_kind, one, render, run_tool

SECRET = "/api/v1/namespaces/flyte/secrets/bigquery-handle-keys"
KINDS = {
    "v1": ["secrets Secret", "services Service", "configmaps ConfigMap", "serviceaccounts ServiceAccount", "pods Pod"],
    "apps/v1": ["deployments Deployment"],
    "policy/v1": ["poddisruptionbudgets PodDisruptionBudget"],
    "networking.k8s.io/v1": ["networkpolicies NetworkPolicy"],
}
NOT_FOUND = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}


def resources(version, kinds):
    named = (dict(zip(("name", "kind"), names.split())) for names in kinds)
    listed = [{**names, "singularName": names["kind"].lower(), "namespaced": True, "verbs": ["get"]} for names in named]
    return {"kind": "APIResourceList", "groupVersion": version, "resources": listed}


def discovery():
    """As much of an API server as Helm asks before it looks up a Secret."""
    groups = [version for version in KINDS if "/" in version]
    versions = [{"name": group.split("/")[0], "versions": [{"groupVersion": group, "version": "v1"}]} for group in groups]
    paths = {f"/apis/{group}": resources(group, KINDS[group]) for group in groups}
    return paths | {
        "/version": {"major": "1", "minor": "37", "gitVersion": "v1.37.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/api/v1": resources("v1", KINDS["v1"]),
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": versions},
    }


@pytest.fixture
def cluster():
    """A cluster's objects, by path; with the URL of its API server."""
    objects = discovery()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            found = objects.get(self.path.split("?")[0])
            body = json.dumps(found or NOT_FOUND).encode()
            self.send_response(200 if found else 404)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    objects["url"] = f"http://127.0.0.1:{server.server_port}"
    yield objects
    server.shutdown()
    server.server_close()


@pytest.fixture
def rendered(cluster):
    """The Secret that Helm renders on the cluster as it is."""

    def secret(*files):
        arguments = ["--namespace=flyte", "--dry-run=server", f"--kube-apiserver={cluster['url']}", "--values=-"]
        arguments += ["--show-only=templates/secret-handle-keys.yaml", "--disable-openapi-validation"]
        values = json.dumps(nested("handleKeys.files", list(files)) if files else {})
        done = run_tool("helm", "template", "bigquery", CHARTS / "bigquery", *arguments, stdin=values)
        assert done.returncode == 0, done.stderr
        return yaml.safe_load(done.stdout)

    return secret


def test_a_key_has_32_random_bytes(rendered):
    once, again = (base64.b64decode(rendered()["data"]["handle.key"]) for _ in range(2))
    assert len(base64.b64decode(once)) == 32
    assert once != again


def installed_by_helm(secret):
    """With what Helm writes on what it installs."""
    secret["metadata"]["annotations"] |= {"meta.helm.sh/release-name": "bigquery", "meta.helm.sh/release-namespace": "flyte"}
    return secret


def test_keys_stay_and_are_rotated(rendered, cluster):
    installed = cluster[SECRET] = installed_by_helm(rendered())
    assert rendered()["data"] == installed["data"]
    added = cluster[SECRET] = installed_by_helm(rendered("handle.key", "next.key"))
    assert added["data"].keys() == {"handle.key", "next.key"}
    assert added["data"]["handle.key"] == installed["data"]["handle.key"]
    # Handles of running jobs may need it still.
    assert rendered("next.key")["data"] == added["data"]


def test_they_outlive_the_release():
    secret = one(render("bigquery"), "Secret")
    assert secret["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_the_first_file_seals_and_all_are_mounted():
    values = nested("handleKeys.files", ["b.key", "a.key"])
    deployment = one(render("bigquery", values), "Deployment")["spec"]["template"]["spec"]
    (variable,) = (v for v in deployment["containers"][0]["env"] if v["name"] == "PLUGIN_HANDLE_KEYS")
    assert variable["value"] == "/etc/outrigger/handle-keys/b.key,/etc/outrigger/handle-keys/a.key"
    (volume,) = (v for v in deployment["volumes"] if v["name"] == "handle-keys")
    assert [item["path"] for item in volume["secret"]["items"]] == ["b.key", "a.key"]


def test_a_secret_made_elsewhere_is_taken_as_it_is():
    objects = render("bigquery", nested("handleKeys.existingSecret", "mine"))
    assert not of_kind(objects, "Secret")


def test_a_sync_plugin_has_no_jobs_and_no_keys(sync_plugin):
    objects = render(sync_plugin)
    assert not of_kind(objects, "Secret")
    assert "PLUGIN_HANDLE_KEYS" not in str(objects)
