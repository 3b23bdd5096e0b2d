"""Credentials that a vendor refuses: the service's own are an outage, those that an author chose are final."""

import json

import pytest
from cryptography.hazmat.primitives import serialization

from callers import Grpc, Rest, code, prefix
from conftest import every_vendor
from issuer import RSA
from programs import eventually
from vendors import BigQuery, Databricks

PEM = RSA.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


def rotate(service):
    """The vendor takes no token but the next; the Secret's file comes later. Returns what brings it."""
    vendor = service.vendor
    if isinstance(vendor, BigQuery):
        vendor.tokens = set()
        return lambda: setattr(vendor, "tokens", None)
    file = service.secrets / ("databricks_token" if isinstance(vendor, Databricks) else "snowflake_pat")
    vendor.tokens = {"rotated-token"}
    return lambda: file.write_text("rotated-token\n")


@every_vendor
def test_no_create_fails_for_good_because_of_a_rotation(service, rest, flyte, vendor):
    bring = rotate(service)
    prefixes = [prefix() for _ in range(5)]
    for output_prefix in prefixes:
        reply = rest.create(output_prefix=output_prefix, headers={"X-Request-Timeout": "5s"})
        assert reply.status in (429, 503, 504), f"a verdict: {reply.text}"
        assert "retry-after" in reply.headers or reply.status == 504
        assert code(flyte.create(output_prefix=output_prefix)) in ("UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED")
    bring()
    for output_prefix in prefixes:
        eventually(lambda: rest.create(output_prefix=output_prefix).status == 200, within=45, what="created with the new token")
        answer = flyte.create(output_prefix=output_prefix)
        assert code(answer) == "OK" and flyte.get(answer.resource_meta).resource.phase != 5


@every_vendor
@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_of_the_service_are_an_outage(service, rest, flyte, vendor, status):
    handle = rest.created()
    vendor.on = {kind: lambda _: vendor.refusal(status, "you may not bigquery.jobs.create") for kind in ("create", "get", "list", "delete")}
    reply = rest.create(headers={"X-Request-Timeout": "5s"})
    assert reply.status in (429, 503, 504), reply.text
    # What the author, or the operator, has to ask for.
    assert "you may not" in reply.text or "credentials" in reply.text
    assert code(flyte.create()) in ("UNAVAILABLE", "RESOURCE_EXHAUSTED")
    assert rest.get(handle).json["job_state"] == "running"
    assert rest.delete(handle).status >= 429
    warned = [line for line in service.log().splitlines() if '"level":"WARN"' in line]
    assert warned, "the operator is told"
    assert service.metric("plugin_refused_credentials_total") > 0


def with_author_secret(service):
    """The settings of a task that names a secret of its own, which the vendor refuses."""
    vendor = service.vendor
    if isinstance(vendor, BigQuery):
        key = {"type": "service_account", "client_email": "a@b.iam.gserviceaccount.com", "private_key": PEM}
        key |= {"private_key_id": "1", "project_id": "acme", "token_uri": "https://oauth2.googleapis.com/token"}
        (service.secrets / "mine").write_text(json.dumps(key))
        return {**vendor.custom, "secrets": {"google_application_credentials": "mine"}}
    if isinstance(vendor, Databricks):
        (service.secrets / "mine").write_text("dapi-of-the-author")
        return {**vendor.custom, "databricksTokenSecret": "mine"}
    (service.secrets / "mine").write_text(PEM)
    return {**vendor.custom, "secrets": {"snowflake_private_key": "mine"}}


@every_vendor
@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_of_an_author_are_final(service, rest, vendor, status):
    custom = with_author_secret(service)
    vendor.on["create"] = lambda _: vendor.refusal(status, "no such user")
    reply = rest.create(custom=custom)
    assert reply.status == 422, reply.text
    flyte = Grpc(service)
    answer = flyte.create(template=flyte.template(custom))
    assert code(answer) == "OK" and flyte.get(answer.resource_meta).resource.phase == 5
    assert "of-the-author" not in reply.text + service.log()
    flyte.close()


@every_vendor
def test_a_missing_secret_of_an_author_is_final_and_names_it(service, rest, vendor):
    custom = with_author_secret(service)
    (service.secrets / "mine").unlink()
    reply = rest.create(custom=custom)
    assert reply.status == 422 and "mine" in reply.text
    assert vendor.count("create") == 0, "it never runs with the service's own"


@every_vendor
def test_a_refusal_of_the_job_is_final(service, rest, flyte, vendor):
    """400 is about what was asked, whoever asked."""
    vendor.on["create"] = lambda _: vendor.refusal(400, "syntax error")
    assert rest.create().status in (400, 422)
    answer = flyte.create()
    assert code(answer) == "OK" and flyte.get(answer.resource_meta).resource.phase == 5


@pytest.mark.parametrize("vendor", ["databricks"], indirect=True)
def test_refused_time_adds_up(start, vendor):
    """A job whose credentials are refused ends after the grace, whatever troubles come in between."""
    service = start(vendor, "--refused-grace=4s")
    rest = Rest(service)
    handle = rest.created()
    assert rest.get(handle).json["phase"] == "RUNNING"
    polls = []

    def answer(_):
        polls.append(1)
        # One poll in three is in passing trouble.
        return vendor.refusal(503, "on fire") if len(polls) % 3 == 0 else vendor.refusal(401, "no")

    vendor.on = {"get": answer, "list": answer}
    eventually(lambda: rest.get(handle).json["phase"] == "FAILED", within=40, what="the refused job ends")


@pytest.mark.parametrize("vendor", ["databricks"], indirect=True)
def test_an_outage_uses_up_no_grace(start, vendor):
    service = start(vendor, "--refused-grace=1s")
    rest = Rest(service)
    handle = rest.created()
    vendor.on = dict.fromkeys(["get", "list"], lambda _: vendor.refusal(503, "on fire"))
    for _ in range(30):
        reply = rest.get(handle, {"X-Request-Timeout": "2s"})
        assert reply.json["job_state"] == "running"
    vendor.on = {}
    assert rest.get(handle).json["phase"] == "RUNNING"
