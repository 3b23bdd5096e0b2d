"""Handles that were not issued for this: altered, another's, another task type's, invented."""

import base64
import secrets

import pytest

from callers import Grpc, Rest, code
from conftest import every_vendor
from issuer import shared_token
from vendors import BigQuery, Databricks, Snowflake


def decoded(handle):
    return base64.urlsafe_b64decode(handle + "=" * (-len(handle) % 4))


def text(handle):
    return base64.urlsafe_b64encode(handle).rstrip(b"=").decode()


ALTERED = {
    "empty": lambda handle: b"",
    "one byte": lambda handle: handle[:1],
    "cut by one": lambda handle: handle[:-1],
    "cut in half": lambda handle: handle[: len(handle) // 2],
    "longer by one": lambda handle: handle + b"\0",
    "twice": lambda handle: handle * 2,
    "first byte changed": lambda handle: bytes([handle[0] ^ 1]) + handle[1:],
    "last bit changed": lambda handle: handle[:-1] + bytes([handle[-1] ^ 1]),
    "middle changed": lambda handle: handle[:40] + bytes([handle[40] ^ 0x80]) + handle[41:],
    "reversed": lambda handle: handle[::-1],
    "random": lambda handle: secrets.token_bytes(len(handle)),
    "zeros": lambda handle: bytes(len(handle)),
    "100 kB": lambda handle: handle + bytes(100_000),
    "JSON": lambda handle: b'{"project": "acme", "id": "1"}',
}


@every_vendor
def test_an_altered_handle_reaches_no_job(service, rest, flyte, vendor):
    handle = decoded(rest.created())
    vendor.reset()
    for name, alter in ALTERED.items():
        altered = alter(handle)
        for call in (rest.get, rest.delete):
            assert call(text(altered)).status in (400, 414, 431), name
        # Flyte has no use for an error of get: the task fails with a message instead.
        answer = flyte.get(altered)
        refused = code(answer) in ("INVALID_ARGUMENT", "FAILED_PRECONDITION")
        assert refused or (code(answer) == "OK" and answer.resource.phase == 5), f"{name}: {answer}"
        assert code(flyte.delete(altered)) != "OK" or not vendor.of("delete"), name
    assert vendor.count("get", "list", "delete") == 0


def test_every_bit_of_a_handle_is_protected(service, rest, vendor):
    handle = decoded(rest.created())
    vendor.reset()
    for at in range(0, len(handle), 3):
        altered = handle[:at] + bytes([handle[at] ^ (1 << at % 8)]) + handle[at + 1 :]
        assert rest.get(text(altered)).status == 400, at
    assert vendor.count("get", "list") == 0


@pytest.mark.parametrize("handle", ["AAAA=", "%00", "../../x", "a" * 4097, "ä", " ", "+/+/"], ids=ascii)
def test_what_is_no_handle_is_refused_by_name(shared_service, handle):
    reply = Rest(shared_service).get(handle)
    assert reply.status in (400, 414)
    assert "job_id" in reply.text


def test_a_job_is_its_owners(service):
    callers = {name: Rest(service, shared_token(name)) for name in ("alice", "bob", "admin", "propeller")}
    handle = callers["alice"].created()
    service.vendor.reset()
    for name, status in {"bob": 403, "propeller": 403, "alice": 200, "admin": 200}.items():
        assert callers[name].get(handle).status == status, name
    assert callers["bob"].delete(handle).status == 403
    assert service.vendor.count("delete") == 0
    of_flyte = callers["propeller"].created()
    assert callers["alice"].get(of_flyte).status == 403
    assert callers["alice"].delete(of_flyte).status == 403
    assert service.vendor.count("delete") == 0


def test_a_repeated_create_of_another_caller_is_another_job(service):
    alice, bob, admin = (Rest(service, shared_token(name)) for name in ("alice", "bob", "admin"))
    handles = [caller.created(output_prefix="s3://flyte/same") for caller in (alice, bob, admin)]
    assert len(service.vendor.jobs) == 3
    for caller, handle in zip((alice, bob, admin), handles):
        assert caller.get(handle).status == 200


def test_a_handle_is_of_one_task_type(start, tmp_path):
    keys = secrets.token_bytes(32)
    services = []
    for vendor in (BigQuery(), Databricks(), Snowflake()):
        name = vendor.program
        (tmp_path / name).mkdir()
        (tmp_path / name / "handle.key").write_bytes(keys)
        services.append(start(vendor, name=name))
    for of in services:
        handle = Rest(of).created()
        for at in services:
            if at is of:
                assert Rest(at).get(handle).status == 200
                continue
            at.vendor.reset()
            assert Rest(at).get(handle).status == 400, f"{of.vendor.program} at {at.vendor.program}"
            assert Rest(at).delete(handle).status == 400
            assert at.vendor.count("get", "delete") == 0


def test_a_key_that_was_removed_opens_nothing(start, vendor, tmp_path):
    first = start(vendor)
    handle = Rest(first).created()
    first.terminate()
    (tmp_path / "service" / "handle.key").write_bytes(secrets.token_bytes(32))
    second = start(vendor)
    assert Rest(second).get(handle).status == 400
    flyte = Grpc(second)
    answer = flyte.get(decoded(handle))
    assert code(answer) != "OK" or answer.resource.phase == 5
    assert second.metric("plugin_unreadable_handles_total") >= 2


@every_vendor
def test_a_handle_has_a_bound_whatever_its_author_writes(service, flyte, rest, vendor):
    """What does not fit into a handle is refused before there is a job."""
    long = "x" * 5000
    customs = {
        "bigquery": [{"ProjectID": long}, {"ProjectID": "acme", "Location": long}, {"ProjectID": "acme", "secrets": {"google_application_credentials": long}}],
        "databricks": [{**vendor.custom, "databricksTokenSecret": long}, {**vendor.custom, "databricksClientId": long}],
        "snowflake": [{**vendor.custom, key: long} for key in ("user", "database", "schema", "warehouse")],
    }
    for custom in customs[vendor.program]:
        reply = rest.create(custom=custom)
        assert reply.status in (400, 422), reply.text
    assert vendor.count("create") == 0
    answer = flyte.create()
    assert len(answer.resource_meta) <= 1024
