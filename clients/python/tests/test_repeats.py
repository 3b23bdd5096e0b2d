"""What `outrigger check` finds of repeated creates."""

import json

import pytest

from conftest import served
from outrigger_plugin import Plugin, Running, Unavailable, serve
from outrigger_plugin.cli import repeats
from outrigger_plugin.cli.literals import Inconvertible, plain_inputs
from outrigger_plugin.cli.offer import Offer

OFFER = Offer(("jobs:3",), ("chat",))


class Jobs(Plugin):
    """Its jobs are what ``job`` says of the task and of how many jobs there are."""

    task_type, version = "jobs", 3

    def __init__(self, job):
        self.job, self.tasks, self.deleted = job, [], []

    async def create(self, task):
        self.tasks.append(task)
        return self.job(task, len(self.tasks))

    async def poll(self, job):
        return Running()

    async def delete(self, job):
        self.deleted.append(job)


@pytest.fixture
def task(tmp_path):
    literals = {"text": {"scalar": {"primitive": {"string_value": "hi"}}}}
    return write(tmp_path, {"template": {"type": "jobs"}, "inputs": {"literals": literals}, "output_prefix": "s3://b"})


def write(directory, task):
    (directory / "task.json").write_text(json.dumps(task))
    return str(directory / "task.json")


def findings(plugin, *files):
    with served(serve(plugin)) as caller:
        return [(it.outcome, it.reason) for it in repeats.check(caller.path, OFFER, files)]


def test_plugin_that_finds_the_job_of_the_key_passes(task):
    plugin = Jobs(lambda task, _: {"id": task.key})
    assert [outcome for outcome, _ in findings(plugin, task)] == ["PASS", "PASS"]
    first, repeat, other = plugin.tasks
    assert first.key == repeat.key != other.key and first.output_prefix == repeat.output_prefix != other.output_prefix
    assert (first.inputs, first.template) == ({"text": "hi"}, {"type": "jobs"})
    assert plugin.deleted == [{"id": first.key}, {"id": other.key}]


def test_plugin_that_starts_a_second_job_fails(task):
    plugin = Jobs(lambda _, count: {"id": count})
    same, other = findings(plugin, task)
    key = plugin.tasks[0].key
    assert same == (
        "FAIL",
        f'two creates with the Idempotency-Key "{key}" returned {{"id": 1}} and {{"id": 2}}: '
        "look for the job that has the key before you start one",
    )
    assert other[0] == "PASS" and plugin.deleted == [{"id": 1}, {"id": 2}, {"id": 3}]


def test_plugin_that_has_one_job_for_all_keys_fails(task):
    same, other = findings(Jobs(lambda *_: "the job"), task)
    assert same[0] == "PASS"
    assert other == ("FAIL", 'creates of jobs:3 with two Idempotency-Keys both returned "the job"')


def test_plugin_that_refuses_repeats_fails(task):
    def job(task, count):
        return task.key if count != 2 else 1 / 0

    same, _ = findings(Jobs(job), task)
    assert same[0] == "FAIL" and "was answered with 500: " in same[1] and "division by zero" in same[1]


def test_vendor_that_has_no_time_decides_nothing(task):
    def job(task, count):
        raise Unavailable("too many")

    assert [outcome for outcome, _ in findings(Jobs(job), task)] == ["SKIP", "SKIP"]


def test_long_id_is_deleted_by_a_body(task):
    plugin = Jobs(lambda task, _: task.key * 40)
    findings(plugin, task)
    assert plugin.deleted == [plugin.tasks[0].key * 40, plugin.tasks[2].key * 40]


@pytest.mark.parametrize("task", [{"template": {"type": "chat"}}, {"template": 1}, {}, 1])
def test_task_without_jobs_is_left_to_the_suite(tmp_path, task):
    plugin = Jobs(lambda *_: 1)
    assert findings(plugin, write(tmp_path, task), "absent.json") == []
    assert plugin.tasks == []


def test_literal_that_is_not_known_is_skipped(tmp_path):
    inputs = {"literals": {"n": {"scalar": {"primitive": {"duration": "3s"}}}}}
    seen = findings(Jobs(lambda *_: 1), write(tmp_path, {"template": {"type": "jobs"}, "inputs": inputs}))
    assert seen == [("SKIP", "inputs.n: this check does not know this kind of literal")] * 2


def primitive(**value):
    return {"scalar": {"primitive": value}}


@pytest.mark.parametrize(
    "literal, value",
    [
        (primitive(integer="3"), 3),
        (primitive(float_value=1), 1.0),
        (primitive(stringValue=""), ""),
        (primitive(boolean=False), False),
        ({"scalar": {"none_type": {}}}, None),
        ({"scalar": {"generic": {"a": [1]}}}, {"a": [1]}),
        ({"scalar": {"union": {"value": primitive(integer="3")}}}, 3),
        ({"collection": {"literals": [primitive(integer="3")]}}, [3]),
        ({"collection": {}}, []),
        ({"map": {"literals": {"a": primitive(boolean=True)}}}, {"a": True}),
    ],
)
def test_literals_are_plain_values(literal, value):
    assert plain_inputs({"literals": {"x": literal}}) == {"x": value}


@pytest.mark.parametrize(
    "literal", [1, {}, primitive(integer="a"), {"collection": {"literals": 1}}, {"map": {"literals": [1]}}]
)
def test_input_that_is_no_literal_is_named(literal):
    with pytest.raises(Inconvertible, match=r"^inputs\.x"):
        plain_inputs({"literals": {"x": literal}})
