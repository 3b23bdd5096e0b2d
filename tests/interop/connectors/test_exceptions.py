"""What an exception in a connector says to its caller, and what it does not."""

import secrets

import pytest
from callers import Refused, task

LAST_LINE = "ConnectionError: the vendor does not answer."


@pytest.fixture
def token():
    """A secret that the connector's traceback contains."""
    return secrets.token_hex(16)


def check_log(bridge, token):
    for word in (token, "Traceback", "failing.py", "PermissionError"):
        assert word not in bridge.log


def test_stock_connector_sends_its_traceback(flytekit_bridge, job, token):
    with pytest.raises(Refused) as refused:
        flytekit_bridge.connectors.directly().create(task("failing", job, fails="create", token=token))
    for word in (token, "Traceback", "failing.py", "PermissionError"):
        assert word in refused.value.sent


def test_exception_on_create_is_transient(flytekit_bridge, kind, job, token):
    with pytest.raises(Refused) as refused:
        flytekit_bridge.caller(kind).create(task("failing", job, fails="create", token=token))
    assert refused.value.code == "UNAVAILABLE"
    assert LAST_LINE in refused.value.message
    for word in (token, "Traceback", "failing.py", "PermissionError"):
        assert word not in refused.value.sent
    check_log(flytekit_bridge, token)


def test_long_traceback_leaves_its_last_line(flytekit_bridge, job):
    words = "expired " * 3000
    with pytest.raises(Refused) as refused:
        flytekit_bridge.caller().create(task("failing", job, fails="create", token=words))
    assert LAST_LINE in refused.value.message


def test_create_is_repeated_after_an_exception(flytekit_bridge, job, token):
    for _ in range(2):
        with pytest.raises(Refused):
            flytekit_bridge.caller().create(task("failing", job, fails="create", token=token))
    assert flytekit_bridge.connectors.calls(job) == ["create", "create"]


def test_exception_on_get_leaves_the_last_known_phase(flytekit_bridge, kind, job, token):
    caller = flytekit_bridge.caller(kind)
    handle = caller.create(task("failing", job, fails="get", token=token))
    known = caller.get("failing", handle)
    assert (known.phase, known.message) == ("INITIALIZING", "about to fail")
    later = caller.get("failing", handle)
    assert later.phase == "INITIALIZING"
    assert token not in later.message
    assert flytekit_bridge.connectors.calls(job) == ["create", "get", "get"]
    check_log(flytekit_bridge, token)


def test_exception_on_delete_is_transient(flytekit_bridge, kind, job, token):
    caller = flytekit_bridge.caller(kind)
    handle = caller.create(task("failing", job, fails="delete", token=token))
    with pytest.raises(Refused) as refused:
        caller.delete("failing", handle)
    assert refused.value.code == "UNAVAILABLE"
    assert LAST_LINE in refused.value.message
    assert token not in refused.value.sent and "Traceback" not in refused.value.sent
    check_log(flytekit_bridge, token)


def test_exception_of_flyte_2(flyte2_bridge, kind, job):
    with pytest.raises(Refused) as refused:
        flyte2_bridge.caller(kind).create(task("failing", job))
    assert refused.value.code == "UNAVAILABLE"
    assert "the connector failed: the vendor does not answer." in refused.value.message
