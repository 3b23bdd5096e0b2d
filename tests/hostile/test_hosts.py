"""Hosts that an author, a caller or a vendor would like the service to call."""

import json
import socket

import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from flyteidl.admin import agent_pb2
from flyteidl.service import agent_pb2_grpc

from callers import Rest, code
from conftest import every_vendor
from http_server import Answer, Server
from issuer import RSA, shared_token

PEM = RSA.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()


@pytest.fixture
def attacker():
    """A server that must never be called."""
    server = Server(lambda _: Answer(200, {"access_token": "x", "expires_in": 60, "run_id": 1, "state": {"life_cycle_state": "RUNNING"}}))
    yield server
    server.close()


def names_of(host):
    """Ways to write a host that is not the vendor's."""
    return [
        host,
        f"http://{host}",
        f"http://{host}/",
        f"{host}#.cloud.databricks.com",
        f"{host}/?acme.cloud.databricks.com",
        f"acme.cloud.databricks.com@{host}",
        f"acme.cloud.databricks.com:x@{host}",
        f"{host}\\@acme.cloud.databricks.com",
        f"acme.cloud.databricks.com\r\nHost: {host}",
        "169.254.169.254",
        "localhost",
        "[::1]",
        "0x7f000001",
    ]


@pytest.mark.parametrize("vendor", ["databricks"], indirect=True)
def test_only_configured_workspaces_are_called(service, rest, vendor, attacker):
    for name in names_of(attacker.address):
        reply = rest.create(custom={**vendor.custom, "databricksInstance": name})
        assert reply.status in (400, 403, 422), name
    assert vendor.count("create", "token") == 0 and not attacker.requests


@pytest.mark.parametrize("vendor", ["snowflake"], indirect=True)
def test_only_configured_accounts_are_called(service, rest, vendor, attacker):
    for name in [*names_of(attacker.address), "EVIL-ACCOUNT", f"ACMEORG-ANALYTICS.{attacker.address}", f"ACMEORG-ANALYTICS={attacker.address}"]:
        reply = rest.create(custom={**vendor.custom, "account": name})
        assert reply.status in (400, 403, 422), name
    for key, value in {"host": attacker.address, "port": attacker.port, "protocol": "http", "region": "evil", "proxy_host": attacker.address}.items():
        reply = rest.create(custom={**vendor.custom, "connection_kwargs": {key: value}})
        assert reply.status in (400, 422), key
    assert vendor.count("create") == 0 and not attacker.requests


PATHS = ["../../other", "acme/jobs", "acme?x=1", "acme#x", "acme%2f..%2fother", "..", ".", "", "acme\r\nX: y", "acme\x00", "//evil", "acme jobs"]


def test_a_project_is_one_part_of_a_path(service, rest, vendor):
    for project in PATHS:
        rest.create(custom={"ProjectID": project, "Location": "EU"})
    for request in vendor.server.requests:
        assert request.kind in ("token", "create"), request.path
        assert request.kind == "token" or request.path.count("/") == 5, request.path
        assert "x" not in request.headers


def test_a_key_of_an_author_names_no_token_endpoint(start, vendor, attacker):
    service = start(vendor)
    key = {"type": "service_account", "client_email": "a@b.iam.gserviceaccount.com", "private_key": PEM, "private_key_id": "1", "project_id": "acme"}
    documents = [
        {**key, "token_uri": f"{attacker.url}/token"},
        {"type": "authorized_user", "client_id": "a", "client_secret": "b", "refresh_token": "c", "token_uri": f"{attacker.url}/token"},
        {
            "type": "external_account",
            "audience": "x",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": f"{attacker.url}/token",
            "credential_source": {"file": "/etc/passwd"},
        },
        {
            "type": "external_account",
            "audience": "x",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": f"{attacker.url}/token",
            "credential_source": {"executable": {"command": "/bin/true"}},
        },
        {"type": "impersonated_service_account", "service_account_impersonation_url": f"{attacker.url}/x", "source_credentials": key},
    ]
    rest = Rest(service)
    for number, document in enumerate(documents):
        (service.secrets / f"of-{number}").write_text(json.dumps(document))
        reply = rest.create(custom={**vendor.custom, "secrets": {"google_application_credentials": f"of-{number}"}})
        assert reply.status == 422, document["type"]
        assert "PRIVATE KEY" not in reply.text and "/etc/passwd" not in reply.text
    assert not attacker.requests and vendor.count("create") == 0


@pytest.mark.parametrize("name", ["../handle.key", "/etc/passwd", "..", "flyte/../../handle.key", "a\x00b", "a/b", "."], ids=ascii)
def test_a_secret_is_a_file_of_its_directory(start, vendor, name):
    service = start(vendor)
    reply = Rest(service).create(custom={**vendor.custom, "secrets": {"google_application_credentials": name}})
    assert reply.status in (400, 422), reply.text
    assert "root:" not in reply.text and vendor.count("create") == 0


@every_vendor
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(service, rest, flyte, vendor, attacker, status):
    handle = rest.created()
    of_flyte = flyte.create().resource_meta
    vendor.reset()
    redirect = lambda _: Answer(status, b"", {"location": f"{attacker.url}/elsewhere"})  # noqa: E731
    vendor.on = {kind: redirect for kind in ("create", "get", "list", "delete")}
    reply = rest.create()
    assert reply.status in (429, 500, 502, 503, 504), f"a redirect is no verdict: {reply.text}"
    assert code(flyte.create()) in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "RESOURCE_EXHAUSTED")
    assert rest.get(handle).json["phase"] in ("QUEUED", "RUNNING")
    answer = flyte.get(of_flyte)
    assert code(answer) == "OK" and answer.resource.phase in (1, 2, 6, 7)
    assert rest.delete(handle).status >= 500
    assert not attacker.requests
    assert attacker.address not in reply.text


@pytest.mark.parametrize("vendor", ["databricks", "bigquery"], indirect=True)
def test_a_create_that_was_redirected_is_the_same_job_when_repeated(service, rest, vendor):
    """The vendor took the job, and its load balancer answered with a redirect."""

    def lose(request):
        vendor._create(request, *(["acme"] if vendor.program == "bigquery" else []))
        return Answer(307, b"", {"location": "/elsewhere"})

    vendor.on["create"] = lose
    assert rest.create(output_prefix="s3://flyte/lost").status >= 500
    vendor.reset()
    assert rest.created(output_prefix="s3://flyte/lost")
    assert len(vendor.jobs) == 1


HOSTS = ["evil.example.com", "169.254.169.254", "a:b:c", "bigquery.googleapis.com", "x" * 300]


def exchange(service, request):
    with socket.create_connection(("127.0.0.1", service.port), timeout=15) as connection:
        connection.sendall(request)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host[:20])
def test_a_host_header_decides_nothing(shared_service, host):
    head = f"Host: {host}\r\nX-Forwarded-Host: {host}\r\nX-Forwarded-For: 127.0.0.1\r\nForwarded: host={host}\r\nConnection: close\r\n"
    for token, expected in ((shared_token(), b"200"), ("bogus", b"401")):
        authorization = f"Authorization: Bearer {token}\r\n"
        for path in ("/plugins/v1", "/plugins/v1/bigquery_query_job_task/0"):
            answer = exchange(shared_service, f"GET {path} HTTP/1.1\r\n{head}{authorization}\r\n".encode())
            assert answer.split()[1] in (expected, b"400", b"404"), answer
            assert host.encode() not in answer.partition(b"\r\n\r\n")[2] or host == "bigquery.googleapis.com"


def test_an_absolute_target_is_no_proxy(shared_service, attacker):
    before = len(shared_service.vendor.server.requests)
    for target in (f"http://{attacker.address}/plugins/v1", f"http://{shared_service.vendor.address}/x", f"//{attacker.address}/x"):
        request = f"GET {target} HTTP/1.1\r\nHost: {attacker.address}\r\nConnection: close\r\nAuthorization: Bearer {shared_token()}\r\n\r\n"
        assert exchange(shared_service, request.encode()).startswith(b"HTTP/1.1 ")
    answer = exchange(shared_service, f"CONNECT {attacker.address} HTTP/1.1\r\nHost: {attacker.address}\r\nConnection: close\r\n\r\n".encode())
    assert answer.split()[1][:1] == b"4" if answer else True
    assert not attacker.requests and len(shared_service.vendor.server.requests) == before


def test_a_grpc_authority_decides_nothing(shared_service):
    for authority in ("evil.example.com", "127.0.0.1:1", "x" * 200):
        with grpc.insecure_channel(shared_service.api, [("grpc.default_authority", authority)]) as channel:
            stub = agent_pb2_grpc.AgentMetadataServiceStub(channel)
            metadata = [("authorization", f"Bearer {shared_token()}")]
            assert stub.ListAgents(agent_pb2.ListAgentsRequest(), metadata=metadata, timeout=10).agents
