"""Charts of plugins behind the bridge: two containers of one pod, with a socket between them."""

import http.server
import json
import socketserver
import threading
import urllib.request

import pytest
import yaml

import schemas
from cases import MATRIX
from charts import BRIDGED, CHARTS, NEWEST, Refused, container, default_values, notes, one, render, run_tool
from pod import Cluster, Pod
from running import Service, eventually, free_port, http_status

SOCKET = "/run/outrigger"
CREDENTIALS = {
    "secrets": {"existingSecret": "credentials"},
    "serviceAccount": {"tokens": [{"audience": "vendor.example.com", "path": "vendor"}]},
}


def pod(objects):
    return one(objects, "Deployment")["spec"]["template"]["spec"]


def plugin_of(objects):
    (only,) = pod(objects)["initContainers"]
    return only


def variables(container):
    return {variable["name"]: variable.get("value") for variable in container["env"]}


def mounts(container):
    return {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}


@pytest.mark.parametrize("case", ["defaults", "everything", "no-auth", "keda", "monitored", "tls"])
@pytest.mark.parametrize("kube", ["1.29.0", NEWEST])
def test_kubernetes_accepts_it(bridge_plugin, case, kube):
    found = [problem for each in render(bridge_plugin, MATRIX[case], kube=kube) for problem in schemas.problems(each, kube)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("helm", ["helm", "helm3"])
def test_helm_accepts_it(bridge_plugin, sync_bridge_plugin, helm):
    for plugin in (bridge_plugin, sync_bridge_plugin):
        done = run_tool(helm, "lint", "--strict", plugin)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", BRIDGED)
def test_each_plugins_own_defaults(name):
    assert not [problem for each in render(name) for problem in schemas.problems(each, NEWEST)]


def test_kubernetes_without_sidecars_is_rejected(bridge_plugin):
    with pytest.raises(Refused, match="incompatible with Kubernetes"):
        render(bridge_plugin, kube="1.28.0")


def test_plugin_starts_before_the_bridge_and_ends_after_it(bridge_plugin):
    objects = render(bridge_plugin)
    assert plugin_of(objects)["restartPolicy"] == "Always"
    assert container(objects)["name"] == "bridge"


def test_both_containers_meet_the_restricted_standard(bridge_plugin):
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    objects = render(bridge_plugin)
    assert pod(objects)["securityContext"]["runAsNonRoot"] and pod(objects)["automountServiceAccountToken"] is False
    for each in (plugin_of(objects), container(objects)):
        assert not each["securityContext"]["allowPrivilegeEscalation"] and each["securityContext"]["readOnlyRootFilesystem"]
        assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert each["resources"]["limits"]["memory"] and each["resources"]["requests"]["cpu"]


def test_containers_share_a_socket(bridge_plugin):
    objects = render(bridge_plugin)
    assert {mounts(each)["socket"] for each in (plugin_of(objects), container(objects))} == {SOCKET}
    assert variables(container(objects))["BRIDGE_UPSTREAM"] == f"unix:{variables(plugin_of(objects))['PLUGIN_SOCKET']}"
    assert variables(plugin_of(objects))["PLUGIN_SOCKET"].startswith(f"{SOCKET}/")


def test_only_the_bridges_ports_are_open(bridge_plugin):
    objects = render(bridge_plugin, MATRIX["monitored"])
    assert "ports" not in plugin_of(objects)
    own = {port["name"] for port in container(objects)["ports"]}
    rules = one(objects, "NetworkPolicy", "shout")["spec"]["ingress"]
    assert all(rule["ports"] for rule in rules)
    assert {port["port"] for rule in rules for port in rule["ports"]} == own


def test_plugin_has_the_credentials_and_the_bridge_the_keys(bridge_plugin):
    objects = render(bridge_plugin, CREDENTIALS)
    assert mounts(plugin_of(objects)) == {
        "socket": SOCKET,
        "tmp": "/tmp",
        "tokens": "/var/run/secrets/tokens",
        "secrets": "/etc/secrets",
    }
    assert set(mounts(container(objects))) == {"auth", "handle-keys", "cluster", "socket"}


def test_settings_are_the_plugins_and_the_bridge_has_its_own(bridge_plugin):
    values = {"settings": {"A": 1, "lower": "x", "EMPTY": ""}, "extraEnv": [{"name": "B", "value": "b"}]}
    values["bridge"] = {"settings": {"BRIDGE_CONNECTOR_CONCURRENCY": 5}}
    objects = render(bridge_plugin, values)
    assert variables(plugin_of(objects)) == {"PLUGIN_SOCKET": f"{SOCKET}/plugin.sock", "A": "1", "lower": "x", "B": "b"}
    assert variables(container(objects))["BRIDGE_CONNECTOR_CONCURRENCY"] == "5"
    assert not {"A", "B", "lower"} & set(variables(container(objects)))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"settings": {"PLUGIN_SOCKET": "/tmp/x"}}, "PLUGIN_SOCKET"),
        ({"bridge": {"settings": {"BRIDGE_UPSTREAM": "http://elsewhere"}}}, "BRIDGE_UPSTREAM"),
        ({"bridge": {"settings": {"PLUGIN_LISTEN": "0.0.0.0:1"}}}, "PLUGIN_LISTEN"),
        ({"bridge": {"nmae": 1}}, "nmae"),
        ({"tmpSize": "abc"}, "tmpSize"),
        ({"settings": {"A": "1"}, "extraEnv": [{"name": "A", "value": "2"}]}, "A is set twice"),
    ],
)
def test_values_that_would_not_work_are_refused(bridge_plugin, values, said):
    with pytest.raises(Refused, match=said):
        render(bridge_plugin, values)


def test_task_types_are_those_of_plugin_toml(bridge_plugin, sync_bridge_plugin):
    assert variables(container(render(bridge_plugin)))["BRIDGE_TASK_TYPES"] == "shout:1,cry:0"
    environment = variables(container(render(sync_bridge_plugin)))
    assert environment["BRIDGE_SYNC_TASK_TYPES"] == "say:0" and "BRIDGE_TASK_TYPES" not in environment
    assert "handle-key" not in str(render(sync_bridge_plugin))


def test_flyte_repeats_no_create_that_may_have_started_a_job(bridge_plugin, sync_bridge_plugin):
    for plugin in (bridge_plugin, sync_bridge_plugin):
        found = notes(plugin, release="shout")
        assert "round_robin" in found and "retryPolicy" not in found
    assert "retryPolicy" in notes("bigquery")


def test_images_have_tags_of_their_own(bridge_plugin):
    values = {"image": {"tag": "1.2.3"}, "bridge": {"image": {"digest": "sha256:" + "1" * 64, "pullPolicy": "Always"}}}
    objects = render(bridge_plugin, values)
    assert plugin_of(objects)["image"].endswith("/shout:1.2.3")
    assert container(objects)["image"].endswith("/bridge@sha256:" + "1" * 64)
    assert container(objects)["imagePullPolicy"] == "Always"
    # `helm test` runs a program of the bridge's image.
    assert one(objects, "Pod")["spec"]["containers"][0]["image"] == container(objects)["image"]


def test_plugin_can_write_to_tmp_alone(bridge_plugin):
    volumes = {volume["name"]: volume for volume in pod(render(bridge_plugin, {"tmpSize": "1Gi"}))["volumes"]}
    assert volumes["tmp"] == {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}


def test_plugin_that_hangs_is_restarted_by_a_probe(bridge_plugin):
    probe = {"exec": {"command": ["python", "-c", "1"]}, "periodSeconds": 20}
    assert plugin_of(render(bridge_plugin, {"livenessProbe": probe}))["livenessProbe"] == probe
    assert "livenessProbe" not in plugin_of(render(bridge_plugin))


def test_it_has_every_object_of_other_charts(bridge_plugin):
    kinds = [document["kind"] for document in render(bridge_plugin, MATRIX["everything"])]
    assert kinds == [document["kind"] for document in render("bigquery", MATRIX["everything"])]


class Answers(http.server.BaseHTTPRequestHandler):
    """A server of one plugin."""

    def answer(self, body):
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        types = [{"task_type": "shout", "version": 1}, {"task_type": "cry", "version": 0}]
        self.answer({"plugins": types})

    def do_PUT(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.answer({"job_id": "1"})

    def address_string(self):
        return "socket"

    def log_message(self, *_):
        pass


class OnSocket(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()


def test_pod_is_ready_once_the_plugin_listens_and_then_serves_flyte(bridge_plugin, cluster, tmp_path_factory):
    root = tmp_path_factory.mktemp("p")
    ports = {"host": "127.0.0.1", "api": free_port(), "admin": free_port()}
    here = Pod(render(bridge_plugin, {"ports": ports}), root, cluster)
    (root / SOCKET.lstrip("/")).mkdir(parents=True, exist_ok=True)
    service = Service("bridge", here.environment(), root / "log")
    try:
        eventually(lambda: http_status(here.probe("startup")) == 200, within=20, what="the bridge is alive")
        assert http_status(here.probe("readiness")) == 503
        with OnSocket(here.environment()["BRIDGE_UPSTREAM"].removeprefix("unix:"), Answers) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            eventually(lambda: http_status(here.probe("readiness")) == 200, within=20, what="the pod is ready")
            assert submitted(service.api, cluster.token()) == 200
            assert submitted(service.api, cluster.token(account="other:account")) in (401, 403)
            server.shutdown()
    finally:
        service.process.kill()
        service.process.wait()


def submitted(api, token):
    """The status of a create."""
    url = f"http://{api}/plugins/v1/shout/1"
    headers = {"authorization": f"Bearer {token}", "idempotency-key": "one", "content-type": "application/json"}
    request = urllib.request.Request(url, method="PUT", headers=headers, data=json.dumps({"inputs": {}}).encode())
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


def test_charts_of_this_repository_say_what_they_are():
    for name in BRIDGED:
        assert yaml.safe_load((CHARTS / name / "Chart.yaml").read_text())["kubeVersion"] == ">=1.29.0-0"
        assert default_values(name)["bridge"]["image"]["repository"] == "bridge"
