"""Examples of services/declarative, against what their vendors publish: what they send, and the answers that they are tested with."""

import copy
import dataclasses
import functools
import json
import re
import subprocess

import pytest
from conftest import PROGRAMS, ROOT
from published_models import Model, Request, bigquery

EXAMPLES = ROOT / "services/declarative/examples"
# The part of a file that asked for a recorded answer, if it was not a create.
POLLS = ("running", "succeeded", "failed", "unknown_state", "gone")
PARTS = {**dict.fromkeys(POLLS, "get"), "cancelled": "delete"}


@dataclasses.dataclass
class Example:
    model: object
    # The operations of the file's parts.
    operations: dict
    # A task that uses every field of `custom`.
    task: dict
    settings: tuple = ()
    recorded: str | None = None
    # Members whose value has any names, and those whose value is anything.
    maps: tuple = ()
    anything: tuple = ()
    # Changes of the file, and what is wrong then.
    mistakes: tuple = ()

    @functools.cached_property
    def published(self):
        return self.model()


NOMAD = Example(
    functools.partial(Model.extract, "nomad"),
    {"create": "RegisterJob", "get": "GetJobs", "delete": "DeleteJob"},
    {"custom": {"image": "a", "command": "b", "args": ["c"], "env": {"D": "e"}, "cpu": 100, "memory_mb": 64}},
    ("nomad-batch.address=https://nomad.example.com:4646",),
    maps=("Env", "Meta", "Summary"),
    anything=("Config",),
    mistakes=(
        ("post: /jobs", "post: /job", "POST /v1/job: not POST /v1/jobs"),
        ("post: /jobs", "put: /jobs", "PUT /v1/jobs: not POST /v1/jobs"),
        ("/job/${job.id}", "/jobs/${job.id}", "not DELETE /v1/job/{jobName}"),
        ("query: {prefix:", "query: {prefx:", "prefx: no such parameter"),
        ("X-Nomad-Token", "X-Nomad-Tokn", "x-nomad-tokn: no such header"),
        ("Datacenters:", "Datacentres:", "$.Job: Additional properties are not allowed ('Datacentres'"),
        ("Mode: fail", "Mode: fail, Retries: 1", "RestartPolicy: Additional properties are not allowed ('Retries'"),
        ("Count: 1", 'Count: "1"', "$.Job.TaskGroups[0].Count: '1' is not of type 'integer'"),
        ("Resources: {CPU: =custom.cpu", "Resources: {CPU: =custom.command", ".Resources.CPU: 'b' is not of type"),
    ),
)
OPENAI = Example(
    functools.partial(Model.extract, "openai"),
    {"look-up": "listBatches", "create": "createBatch", "get": "retrieveBatch", "delete": "cancelBatch"},
    {"custom": {"input_file_id": "file-7", "endpoint": "/v1/embeddings", "completion_window": "24h"}},
    maps=("metadata",),
    mistakes=(
        ("get: /batches, query: {limit: 100}", "get: /batches, query: {limit: many}", "limit: $: 'many' is not of"),
        ("get: /batches, query: {limit:", "get: /batches, query: {page_size:", "page_size: no such parameter"),
        ("/cancel", "/stop", "not POST /v1/batches/{batch_id}/cancel"),
        ("      endpoint: =custom.endpoint\n", "", "$: 'endpoint' is a required property"),
        ("endpoint: =custom.endpoint\n", "endpoint: /v1/fine_tuning\n", "'/v1/fine_tuning' is not one of"),
        ("metadata: {flyte_key: =key,", "metadata: {flyte_key: 7,", "$.metadata: "),
    ),
)
BIGQUERY = Example(
    bigquery,
    {"create": "insert", "get": "get", "delete": "cancel"},
    {
        "custom": {
            "ProjectID": "acme-analytics",
            "Location": "EU",
            "Domain": "development",
            "defaultDataset": {"projectId": "acme-analytics", "datasetId": "shop"},
            "destinationTable": {"projectId": "acme-analytics", "datasetId": "shop", "tableId": "totals"},
            "createDisposition": "CREATE_IF_NEEDED",
            "writeDisposition": "WRITE_TRUNCATE",
            "priority": "BATCH",
            "maximumBytesBilled": "1000000",
            "useLegacySql": False,
            "useQueryCache": True,
            "labels": {"team": "shop"},
        },
        "sql": "SELECT 1",
    },
    recorded="services/bigquery/tests/recorded.json",
    maps=("labels",),
    mistakes=(
        (
            "jobs/${job.id}/cancel",
            "jobs/${job.id}/stop",
            "not POST /bigquery/v2/projects/{projectId}/jobs/{jobId}/cancel",
        ),
        ("query: {location: =job.location,", "query: {place: =job.location,", "place: no such parameter"),
        (
            "priority: =custom.priority",
            "urgency: =custom.priority",
            "query: Additional properties are not allowed ('urgency'",
        ),
        (
            "jobTimeoutMs: \"=timeout * 1000 ~ '' if timeout else none\"",
            "jobTimeoutMs: 1000",
            "1000 is not of type 'string'",
        ),
    ),
)
ALL = {"nomad-batch": NOMAD, "openai-batch": OPENAI, "bigquery": BIGQUERY}
each_example = pytest.mark.parametrize("name", ALL)


def sent(name, directory, text):
    """The requests that a file with `text` makes of its example's task, by part."""
    file, task = directory / f"{name}.yaml", directory / "task.json"
    file.write_text(text)
    task.write_text(json.dumps(ALL[name].task))
    settings = [f"--set={setting}" for setting in ALL[name].settings]
    command = [PROGRAMS / "declarative", "try", file, "--request", task, *settings]
    tried = subprocess.run(command, check=False, capture_output=True, text=True)
    assert tried.returncode == 0, tried.stderr
    found = {}
    for part in re.split(r"^# ", tried.stdout, flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n\n")
        title, line, *headers = head.splitlines()
        method, url = line.split(" ")
        headers = dict(header.split(": ", 1) for header in headers)
        found[title] = Request(method, url, headers, json.loads(body) if body.strip() else None)
    return found


def request_problems(name, requests):
    """What is wrong with the requests of an example, in all its parts."""
    operations = ALL[name].operations
    assert operations.keys() == requests.keys()
    model = ALL[name].published
    return [problem for part in requests for problem in model.request_problems(operations[part], requests[part])]


def text_of(name):
    return (EXAMPLES / f"{name}.yaml").read_text()


def answers(name):
    """Each recorded answer: its step, the operation that it is an answer to, and the answer."""
    path = ALL[name].recorded or f"services/declarative/examples/{name}.recorded.json"
    operations = ALL[name].operations
    creates = [operations[part] for part in ("look-up", "create") if part in operations]
    for step, recorded in json.loads((ROOT / path).read_text()).items():
        several = recorded if isinstance(recorded, list) else [recorded]
        if isinstance(several[0], dict) and "body" in several[0]:
            asked = [operations[PARTS[step]]] if step in PARTS else creates
            yield from ((step, operation, answer) for operation, answer in zip(asked, several, strict=False))


@each_example
def test_requests_are_those_of_the_published_model(name, tmp_path):
    # Otherwise a part of the requests would not be seen.
    assert set(re.findall(r"custom\.(\w+)", text_of(name))) <= ALL[name].task["custom"].keys()
    assert not request_problems(name, sent(name, tmp_path, text_of(name)))


@each_example
def test_recorded_answers_are_those_of_the_published_model(name):
    model, checked = ALL[name].published, set()
    for step, operation, answer in answers(name):
        problems = model.answer_problems(operation, answer)
        if step == "unknown_state":
            # It has a state that the vendor does not document.
            problems = [problem for problem in problems if "is not one of" not in problem]
        assert not problems, (step, operation, problems)
        checked.add(step)
    assert {"created", "running", "succeeded", "failed", "cancelled", "refused", "throttled"} <= checked


CASES = [(name, *mistake) for name in ALL for mistake in ALL[name].mistakes]


@pytest.mark.parametrize(("name", "right", "wrong", "problem"), CASES)
def test_a_changed_example_is_found(name, right, wrong, problem, tmp_path):
    text = text_of(name)
    assert right in text
    problems = request_problems(name, sent(name, tmp_path, text.replace(right, wrong, 1)))
    assert any(problem in found for found in problems), problems


def changes(example, value, free=False):
    """Copies of a body, each with one member of another name, or of another type."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        if key in example.anything:
            continue
        if isinstance(value, dict) and not free:
            yield {f"{key}Renamed" if name == key else name: each for name, each in value.items()}
        if isinstance(member, (dict, list)):
            within = changes(example, member, key in example.maps)
        else:
            within = [7 if isinstance(member, str) else [] if member is None else "seven"]
        for changed in within:
            copied = copy.copy(value)
            copied[key] = changed
            yield copied


@each_example
def test_every_changed_member_is_found(name, tmp_path):
    example, model = ALL[name], ALL[name].published
    request = sent(name, tmp_path, text_of(name))["create"]
    bodies = list(changes(example, request.body))
    for body in bodies:
        changed = dataclasses.replace(request, body=body)
        assert model.request_problems(example.operations["create"], changed), body
    assert len(bodies) > 8
    for step, operation, answer in answers(name):
        if answer.get("status", 200) < 400:
            for body in changes(example, answer["body"]):
                assert model.answer_problems(operation, {**answer, "body": body}), (step, body)


def test_every_state_that_openai_documents_is_in_its_example():
    documented = OPENAI.published.schemas["Batch"]["properties"]["status"]["enum"]
    listed = text_of("openai-batch").partition("  states:\n")[2].partition("\n  message:")[0]
    assert sorted(documented) == sorted(re.findall(r"^    (\w+):", listed, re.MULTILINE))
