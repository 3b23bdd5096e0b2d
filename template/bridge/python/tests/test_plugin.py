"""What the plugin does; that the bridge can call it is the package's business."""

import asyncio

import pytest
<%- if plugin.mode == "async" %>
from outrigger_plugin import NotFound, Refused, Running, Succeeded, Task
<%- else %>
from outrigger_plugin import Refused, Succeeded, Task
<%- endif %>

import plugin

NAME, VERSION = next(iter(plugin.TASK_TYPES.items()))
EXAMPLE = plugin.Example(NAME, VERSION)
<%- if plugin.mode == "async" %>


def created(task: Task) -> dict[str, str]:
    return asyncio.run(EXAMPLE.create(task))


def test_a_job_runs_and_succeeds() -> None:
    job = created(Task(NAME, inputs={"text": "hi"}))
    link = ("Job", f"https://example.com/jobs/{job['id']}")
    assert asyncio.run(EXAMPLE.poll(job)) == Running("shouting").with_link(*link)
    plugin.RUNS[job["id"]] = ("hi", 0)
    assert asyncio.run(EXAMPLE.poll(job)) == Succeeded(o0="HI").with_link(*link)


def test_a_repeated_create_is_the_same_job() -> None:
    one, other = Task(NAME, inputs={"text": "hi"}), Task(NAME, inputs={"text": "hi"})
    assert created(one) == created(one) != created(other)


def test_a_job_that_was_deleted_is_gone() -> None:
    job = created(Task(NAME, inputs={"text": "hi"}))
    for _ in range(2):
        asyncio.run(EXAMPLE.delete(job))
    with pytest.raises(NotFound):
        asyncio.run(EXAMPLE.poll(job))


@pytest.mark.parametrize("inputs", [{}, {"text": 3}])
def test_a_task_without_a_text_is_refused(inputs: dict[str, object]) -> None:
    with pytest.raises(Refused, match="expected a string"):
        created(Task(NAME, inputs=inputs))
<%- else %>


def test_a_text_is_shouted() -> None:
    assert asyncio.run(EXAMPLE.execute(Task(NAME, inputs={"text": "hi"}))) == Succeeded(o0="HI")


@pytest.mark.parametrize("inputs", [{}, {"text": 3}])
def test_a_task_without_a_text_is_refused(inputs: dict[str, object]) -> None:
    with pytest.raises(Refused, match="expected a string"):
        asyncio.run(EXAMPLE.execute(Task(NAME, inputs=inputs)))
<%- endif %>
