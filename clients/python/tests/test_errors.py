"""What a plugin raises."""

import logging

import pytest

# Of a poll, by what is raised: status, code, message and Retry-After.
POLLED = {
    "refused": (422, "NO_TABLE", "no such table", None),
    "refused without a code": (422, None, "no", None),
    "unavailable": (503, "UNAVAILABLE", "too many jobs", "2"),
    "unavailable at once": (503, "UNAVAILABLE", "try again", None),
    "not found": (404, "NOT_FOUND", "the job is gone", None),
    "exception": (500, None, "ConnectionError: the vendor does not answer", None),
    "exit": (500, None, "SystemExit: it ends", None),
    "code that is a number": (422, "1146", "no such table", None),
    "cancelled": (500, None, "CancelledByItself: something that the method awaits was cancelled", None),
}


def facts(answer):
    return (answer.status, answer.body["error_code"], answer.body["message"], answer.headers.get("retry-after"))


@pytest.mark.parametrize("raised", POLLED)
def test_errors_of_polls_and_deletes(caller, raised):
    assert facts(caller.poll("reporting/0", raised)) == POLLED[raised]
    assert facts(caller.delete("reporting/0", raised)) == POLLED[raised]


@pytest.mark.parametrize("raised", POLLED)
def test_errors_of_creates_and_executions(caller, raised):
    # Without a job there is none that could be gone.
    absent = (500, None, "NotFound: the job is gone", None)
    expected = absent if raised == "not found" else POLLED[raised]
    assert facts(caller.create("reporting/0", {"about": raised})) == expected
    assert facts(caller.execute("chat/0", {"about": raised})) == expected


def test_traceback_is_logged_and_not_sent(caller, caplog):
    with caplog.at_level(logging.ERROR, "outrigger_plugin"):
        answer = caller.poll("reporting/0", "exception")
    assert "secret details" not in str(answer)
    assert "poll of reporting:0 failed" in caplog.text
    assert "secret details" in caplog.text and "Traceback" in caplog.text


def test_exception_without_a_message_has_its_class(caller):
    answer = caller.create("shoutout/0", {})
    assert answer.body == {"error_code": None, "message": "KeyError: 'text'"}
