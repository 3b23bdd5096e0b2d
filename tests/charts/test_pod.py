"""The plugins run with the environment variables, files and probes of the pods that the charts render."""

import http.client
import re
import ssl
import subprocess
import time
import urllib.request

import grpc
import jwt
import pytest
from flyteidl.admin import agent_pb2
from flyteidl.service import agent_pb2_grpc

from cases import KEYED_ISSUER, TLS
from charts import CHARTS, PLUGINS, PROGRAMS, ROOT, Refused, default_values, merged, one, render
from pod import Cluster, Pod, tls_secret
from running import eventually, free_port, http_status, service

SHARED_SECRET = "a secret of at least thirty-two bytes"
SECRET_ISSUER = {**KEYED_ISSUER, "key": {"hs256_secret_file": "/etc/outrigger/issuers/ci.secret"}}
CONFIGURED = {
    "auth": {
        "keysSecret": "issuers",
        "issuers": [SECRET_ISSUER],
        "rules": [{"issuer": "ci", "sub": "nightly", "role": "user", "verbs": ["list"]}],
    },
    "handleKeys": {"files": ["handle.key", "next.key"]},
    "settings": {"PLUGIN_MAX_REQUESTS": 1000000, "PLUGIN_POLL_FRESHNESS": "0s", "PLUGIN_REQUEST_TIMEOUT": "20s"},
    "secrets": {
        "existingSecret": "credentials",
        "namespaces": [{"namespace": "team-a", "existingSecret": "team-a", "items": [{"key": "token", "path": "vendor_token"}]}],
        "forbidInRequests": True,
    },
    "serviceAccount": {"tokens": [{"audience": "vendor.example.com", "path": "vendor"}]},
    "otel": {"endpoint": "http://127.0.0.1:9", "traceRatio": 0.5},
    "log": {"level": "warn,request=info", "format": "pretty"},
}
# Settings that values.yaml leaves empty, but that the services require.
NEEDED = {
    "athena": {"settings": {"AWS_REGION": "eu-west-1"}},
    "aws-batch": {"settings": {"AWS_REGION": "eu-west-1", "AWS_BATCH_JOB_QUEUES": "etl"}},
    "bundle": {"settings": {"PLUGIN_BUNDLE_PLUGINS": "bigquery"}},
    "databricks": {"settings": {"DATABRICKS_INSTANCES": "dbc-1.cloud.databricks.com"}},
    "emr-serverless": {"settings": {"AWS_REGION": "eu-west-1", "AWS_EXECUTION_ROLES": "arn:aws:iam::111122223333:role/etl"}},
    "redshift": {"settings": {"AWS_REGION": "eu-west-1", "REDSHIFT_DATABASES": "dev", "REDSHIFT_WORKGROUPS": "analytics"}},
    "sagemaker": {"settings": {"AWS_REGION": "eu-west-1", "AWS_EXECUTION_ROLES": "arn:aws:iam::111122223333:role/ml"}},
    "snowflake": {"settings": {"SNOWFLAKE_ACCOUNTS": "acme"}},
}
# The name that the chart requests from cert-manager, and that Flyte calls.
TLS_NAMES = one(render("bigquery", TLS), "Certificate")["spec"]["dnsNames"]
HEADLESS = "bigquery-headless.flyte.svc.cluster.local"
TLS_SECRET = tls_secret(TLS_NAMES)
SECRETS = {
    "issuers": {"ci.secret": SHARED_SECRET},
    "credentials": {"vendor_token": "x"},
    "team-a": {"token": "y"},
    "bigquery-tls": TLS_SECRET,
}


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()


@pytest.fixture
def start(tmp_path, cluster):
    """Runs a plugin's pod with values. Returns the pod and the service, ready."""
    running = []

    def run(plugin, values):
        ports = {"host": "127.0.0.1", "api": free_port(), "admin": free_port()}
        objects = render(plugin, merged(NEEDED.get(plugin, {}), values, {"ports": ports, "drain": {"delaySeconds": 1}}))
        pod = Pod(objects, tmp_path / "root", cluster, SECRETS)
        running.append(service(plugin, pod.environment(), tmp_path / "log"))
        started = running[-1].__enter__()
        started.wait_until_ready()
        return pod, started

    yield run
    for context in running:
        context.__exit__(None, None, None)


def listed(started, token=None):
    """The HTTP status of listing the task types served, which any authorised caller may do."""
    return http_status(f"http://{started.api}/plugins/v1", token)


@pytest.mark.parametrize("plugin", PLUGINS)
def test_defaults_accept_only_flyte(start, cluster, plugin):
    pod, started = start(plugin, {})
    assert {http_status(pod.probe(probe)) for probe in ("startup", "readiness", "liveness")} == {200}
    assert listed(started, cluster.token()) == 200
    assert listed(started) == 401
    assert listed(started, cluster.token(account="flyte:default")) == 403
    assert listed(started, cluster.token(account="other:flytepropeller")) == 403
    assert listed(started, cluster.token(audience="others")) == 401
    assert listed(started, cluster.token(issuer="https://other.example.com")) == 401


def test_pod_with_all_settings_runs(start, cluster):
    pod, started = start("bigquery", CONFIGURED)
    nightly = {"iss": SECRET_ISSUER["issuer"], "aud": "a", "sub": "nightly", "exp": int(time.time()) + 60}
    assert listed(started, jwt.encode(nightly, SHARED_SECRET, "HS256")) == 200
    assert listed(started, jwt.encode(nightly, SHARED_SECRET + "?", "HS256")) == 401
    assert listed(started, cluster.token()) == 200
    assert (pod.root / "etc/secrets/team-a/vendor_token").read_text() == "y"
    assert (pod.root / "etc/secrets/vendor_token").read_text() == "x"
    assert (pod.root / "var/run/secrets/tokens/vendor").exists()


def test_insecure_no_auth_accepts_requests_without_token(start):
    _, started = start("bigquery", {"auth": {"insecureNoAuth": True}})
    assert listed(started) == 200


def test_cluster_tokens_are_rejected_without_cluster_issuer(start, cluster):
    values = merged(CONFIGURED, {"auth": {"cluster": {"enabled": False}}})
    pod, started = start("bigquery", values)
    assert listed(started, cluster.token()) == 401
    assert "/var/run/secrets/kubernetes.io" not in str(pod.container["volumeMounts"])


def test_terminated_pod_drains_within_grace_period(start, cluster):
    pod, started = start("bigquery", {})
    began = time.monotonic()
    started.terminate()
    eventually(lambda: http_status(pod.probe("readiness")) == 503, within=5, what="not ready")
    assert http_status(pod.probe("liveness")) == 200, "it must not be restarted"
    assert listed(started, cluster.token()) == 200, "clients have not noticed yet"
    assert started.process.wait(timeout=pod.spec["terminationGracePeriodSeconds"]) == 0
    assert time.monotonic() - began >= 1, "the delay"


def test_invalid_setting_ends_the_service(start, tmp_path):
    with pytest.raises(AssertionError, match="PLUGIN_MAX_REQUESTS|max-requests"):
        start("bigquery", {"settings": {"PLUGIN_MAX_REQUESTS": "many"}})


@pytest.mark.parametrize("plugin", PLUGINS)
def test_required_settings_are_requested(start, plugin):
    empty = {name for name, value in default_values(plugin)["settings"].items() if value == ""}
    assert empty == set(NEEDED.get(plugin, {}).get("settings", {}))
    for name in empty:
        with pytest.raises(Refused, match=rf"settings\.{name} is not set"):
            render(plugin, {"settings": {name: ""}})
        pages = (CHARTS / plugin / "README.md", ROOT / "docs" / "plugins" / f"{plugin}.md")
        for page in (page for page in pages if page.exists()):
            assert f"--set-literal settings.{name}=" in page.read_text()
        if plugin == "bundle":
            # Its program serves every plugin then; the chart asks, because each needs settings.
            continue
        # The variable is the flag's name after a prefix: AWS_BATCH_JOB_QUEUES is --job-queues.
        words = name.lower().split("_")
        flag = f"--({'|'.join('-'.join(words[first:]) for first in range(1, len(words)))})"
        with pytest.raises(AssertionError, match=flag):
            start(plugin, {"settings": {name: ""}, "extraEnv": [{"name": name, "value": ""}]})


def health_check(pod, directory):
    """The exit code of the `helm test` command, run on this machine."""
    (tested,) = one(pod.objects, "Pod")["spec"]["containers"]
    (directory / "ca.crt").write_text(TLS_SECRET["ca.crt"])
    arguments = [re.sub(r"//[^:]+:", "//127.0.0.1:", argument) for argument in tested["args"]]
    arguments = [argument.replace("/etc/outrigger/tls", str(directory)) for argument in arguments]
    return subprocess.run([PROGRAMS / "bigquery", *arguments], env={}, capture_output=True, timeout=30).returncode


@pytest.mark.parametrize("values", [{}, TLS], ids=["plaintext", "tls"])
def test_health_check_reports_serving(start, tmp_path, values):
    pod, started = start("bigquery", values)
    # gRPC health follows readiness with a short delay.
    eventually(lambda: health_check(pod, tmp_path) == 0, within=10, what="SERVING")
    started.kill()
    assert health_check(pod, tmp_path) == 1


def agents(started, token, *, called=HEADLESS, trusted=TLS_SECRET):
    """The answer to Flyte's client when it calls a service by a name; nothing if it does not trust the certificate."""
    credentials = grpc.ssl_channel_credentials(trusted["ca.crt"].encode())
    with grpc.secure_channel(started.api, credentials, [("grpc.ssl_target_name_override", called)]) as channel:
        stub = agent_pb2_grpc.AgentMetadataServiceStub(channel)
        bearer = [("authorization", f"Bearer {token}")]
        try:
            return stub.ListAgents(agent_pb2.ListAgentsRequest(), metadata=bearer, timeout=10).agents
        except grpc.RpcError as refused:
            assert refused.code() == grpc.StatusCode.UNAVAILABLE
            return None


def test_flyte_trusts_service_by_certificate_names(start, cluster):
    _, started = start("bigquery", TLS)
    context = ssl.create_default_context(cadata=TLS_SECRET["ca.crt"])
    assert http_status(f"https://{started.api}/plugins/v1", cluster.token(), context=context) == 200
    for name in TLS_NAMES:
        assert agents(started, cluster.token(), called=name)
    assert not agents(started, cluster.token(), called="another.flyte.svc.cluster.local")
    assert not agents(started, cluster.token(), trusted=tls_secret(TLS_NAMES))
    with pytest.raises((OSError, http.client.HTTPException)):
        urllib.request.urlopen(f"http://{started.api}/plugins/v1", timeout=10)


def test_renewed_certificate_is_loaded(start, cluster):
    pod, started = start("bigquery", TLS)
    renewed = tls_secret(TLS_NAMES)
    for file in ("tls.crt", "tls.key"):
        (pod.root / "etc/outrigger/tls" / file).write_text(renewed[file])
    eventually(lambda: agents(started, cluster.token(), trusted=renewed), within=30, what="the new certificate")
    assert not agents(started, cluster.token())
