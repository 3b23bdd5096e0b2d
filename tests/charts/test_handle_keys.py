"""A hook creates the Secret of a handle key once: later renderings omit it, and so do the revisions that a rollback restores."""

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from charts import REGISTRY, CHARTS, container, nested, of_kind, one, render, run_tool

SECRETS = "/api/v1/namespaces/flyte/secrets"
# The Secret of charts of template version 4 and earlier.
FORMER = f"{SECRETS}/bigquery-handle-keys"
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
    """The part of an API server that Helm needs to look up a Secret."""
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
    """A cluster's objects, by path, and the URL of its API server."""
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
    """The Secrets that Helm renders for the current state of the cluster, by name; `install` adds them to it."""

    def secrets(*files, install=False):
        arguments = ["--namespace=flyte", "--dry-run=server", f"--kube-apiserver={cluster['url']}", "--values=-"]
        values = json.dumps({**REGISTRY, **(nested("handleKeys.files", list(files)) if files else {})})
        chart = CHARTS / "bigquery"
        done = run_tool("helm", "template", "bigquery", chart, *arguments, "--disable-openapi-validation", stdin=values)
        assert done.returncode == 0, done.stderr
        made = {each["metadata"]["name"]: each for each in of_kind(yaml.safe_load_all(done.stdout), "Secret")}
        if install:
            cluster.update({f"{SECRETS}/{name}": made[name] for name in made})
        return made

    return secrets


def name_of(file, fullname="bigquery"):
    return f"{fullname}-key-{hashlib.sha256(file.encode()).hexdigest()[:12]}"


def former(release, **keys):
    """The Secret of a release with one Secret for all keys; without a release, one that a user created."""
    metadata = {"name": "bigquery-handle-keys", "namespace": "flyte"}
    if release:
        metadata["labels"] = {"app.kubernetes.io/managed-by": "Helm"}
        metadata["annotations"] = {"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": "flyte"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": keys}


def test_key_has_32_random_bytes(rendered):
    once, again = (base64.b64decode(rendered()[name_of("handle.key")]["data"]["handle.key"]) for _ in range(2))
    assert len(base64.b64decode(once)) == 32
    assert once != again


def test_existing_key_is_kept_and_new_key_gets_its_own_secret(rendered):
    assert rendered(install=True).keys() == {name_of("handle.key")}
    assert rendered() == {}
    assert rendered("handle.key", "next.key", install=True).keys() == {name_of("next.key")}
    assert rendered("next.key", "handle.key") == rendered("next.key") == {}


def test_keys_are_not_in_the_manifest():
    (secret,) = of_kind(render("bigquery"), "Secret")
    annotations = secret["metadata"]["annotations"]
    assert annotations["helm.sh/hook"] == "pre-install,pre-upgrade"
    # Otherwise Helm would delete an existing Secret before it creates the next.
    assert annotations["helm.sh/hook-delete-policy"] == "hook-failed"
    assert annotations["helm.sh/resource-policy"] == "keep"


def test_rendering_without_cluster_replaces_no_key():
    """Each rendering has a different key. Argo CD skips hooks named Skip, and kubectl cannot change immutable objects."""
    (secret,) = of_kind(render("bigquery"), "Secret")
    # It takes precedence over Helm's: https://argo-cd.readthedocs.io/en/stable/user-guide/helm/#helm-hooks
    assert secret["metadata"]["annotations"]["argocd.argoproj.io/hook"] == "Skip"
    assert secret["immutable"] is True


def test_keys_of_shared_secret_are_copied(rendered, cluster):
    cluster[FORMER] = former("bigquery", **{"handle.key": "b25l", "old.key": "dHdv"})
    made = rendered("handle.key", "next.key")
    assert made[name_of("handle.key")]["data"] == {"handle.key": "b25l"}
    assert made[name_of("next.key")]["data"].keys() == {"next.key"}
    # Unchanged: a rollback finds it.
    kept = made["bigquery-handle-keys"]
    assert kept["data"] == cluster[FORMER]["data"] and "helm.sh/hook" not in kept["metadata"]["annotations"]
    assert kept["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_foreign_secret_of_that_name_is_not_taken_over(rendered, cluster):
    for release in (None, "another"):
        cluster[FORMER] = former(release, **{"handle.key": "b25l"})
        assert rendered().keys() == {name_of("handle.key")}


def handle_keys_volume(objects):
    (volume,) = (v for v in one(objects, "Deployment")["spec"]["template"]["spec"]["volumes"] if v["name"] == "handle-keys")
    return [(source["secret"]["name"], source["secret"]["items"]) for source in volume["projected"]["sources"]]


def test_first_file_seals_and_all_are_mounted():
    objects = render("bigquery", nested("handleKeys.files", ["b.key", "a.key"]))
    (variable,) = (v for v in container(objects)["env"] if v["name"] == "PLUGIN_HANDLE_KEYS")
    assert variable["value"] == "/etc/outrigger/handle-keys/b.key,/etc/outrigger/handle-keys/a.key"
    mounted = [(name_of(file), [{"key": file, "path": file}]) for file in ("b.key", "a.key")]
    assert handle_keys_volume(objects) == mounted
    assert {secret["metadata"]["name"] for secret in of_kind(objects, "Secret")} == {name for name, _ in mounted}


@pytest.mark.parametrize("file", ["Handle_Key", "1", "true", "k" * 253])
def test_secret_name_is_valid_for_any_file_name(file):
    (secret,) = of_kind(render("bigquery", nested("handleKeys.files", [file]), release="r" * 53), "Secret")
    assert re.fullmatch(r"r+-[0-9a-f]{8}-key-[0-9a-f]{12}", secret["metadata"]["name"])
    assert len(secret["metadata"]["name"]) <= 63
    assert list(secret["data"]) == [file]


def test_existing_secret_is_used_unchanged():
    objects = render("bigquery", nested("handleKeys.existingSecret", "mine"))
    assert not of_kind(objects, "Secret")
    assert [name for name, _ in handle_keys_volume(objects)] == ["mine"]


def test_sync_plugin_has_no_jobs_and_no_keys(sync_plugin):
    objects = render(sync_plugin)
    assert not of_kind(objects, "Secret")
    assert "PLUGIN_HANDLE_KEYS" not in str(objects)
