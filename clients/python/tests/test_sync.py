"""Plugins that answer within the call."""

import pytest

TEMPLATE = {"type": "chat", "custom": {"model": "m", "limit": 3}, "sql": {"statement": "SELECT 1"}}


def test_task_has_all_that_flyte_sends(caller):
    execution = {"task_execution_id": {"retry_attempt": 1}}
    body = {"template": TEMPLATE, "inputs": {"n": 1}, "output_prefix": "s3://b/p", "task_execution_metadata": execution}
    answer = caller.send("POST", "/chat/0", body, idempotency_key="c0ffee", outrigger_deadline_ms="60000")
    outputs = answer.body["outputs"]
    assert 50 < outputs.pop("left") <= 60
    assert outputs == {
        "task_type": "chat",
        "version": 0,
        "key": "c0ffee",
        "inputs": {"n": 1},
        "custom": TEMPLATE["custom"],
        "sql": "SELECT 1",
        "template": TEMPLATE,
        "output_prefix": "s3://b/p",
        "execution": execution,
        "has_zone": True,
    }


def test_task_may_have_none_of_it(caller):
    outputs = caller.send("POST", "/chat/0", {}, idempotency_key="k").body["outputs"]
    assert (outputs["inputs"], outputs["custom"], outputs["sql"], outputs["template"]) == ({}, {}, None, {})
    assert 20 < outputs["left"] <= 30


def test_deadline_that_has_passed_leaves_no_time(caller):
    answer = caller.send("POST", "/chat/0", {}, idempotency_key="k", outrigger_deadline_ms="0")
    assert answer.body["outputs"]["left"] == 0


@pytest.mark.parametrize("about, phase", [("failed", "FAILED"), ("retryable", "RETRYABLE_FAILED")])
def test_answer_may_be_a_failure(caller, about, phase):
    assert caller.execute("chat/0", {"about": about}).body["phase"] == phase


@pytest.mark.parametrize("about", ["running", "nothing"])
def test_answer_that_is_no_end_is_an_error(caller, about):
    answer = caller.execute("chat/0", {"about": about})
    assert answer.status == 500
    assert answer.body["message"].endswith("return Succeeded(), Failed() or RetryableFailed()")


def test_sync_task_type_has_no_jobs_and_jobs_are_not_executed(caller):
    assert caller.create("chat/0").status == 405
    assert caller.poll("chat/0", "job").status == 405
    assert caller.execute("shoutout/0", {"text": "x"}).status == 405
