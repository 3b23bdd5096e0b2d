"""The example of services/declarative for Kubernetes Jobs, against Kubernetes' own schemas: what it sends, and the answers that it is tested with."""

import copy
import json
import re
import subprocess

import pytest

import schemas
from charts import NEWEST, PROGRAMS, ROOT

EXAMPLE = ROOT / "services/declarative/examples/kubernetes-jobs.yaml"
RECORDED = json.loads(EXAMPLE.with_suffix(".recorded.json").read_text())
CUSTOM = {
    "image": "busybox:1",
    "command": ["echo"],
    "args": ["hello"],
    "env": [{"name": "DAY", "value": "2026-03-01"}],
    "requests": {"cpu": "100m"},
    "limits": {"memory": "64Mi"},
}
JOBS = "https://k8s.example/apis/batch/v1/namespaces/batch/jobs"


def sent(directory, text):
    """What a file with `text` sends for a task that uses every field of `custom`: the lines of its requests, and the job."""
    file, task = directory / EXAMPLE.name, directory / "task.json"
    file.write_text(text)
    task.write_text(json.dumps({"custom": CUSTOM}))
    settings = "--set=kubernetes-jobs.address=https://k8s.example,kubernetes-jobs.namespace=batch"
    command = [PROGRAMS / "declarative", "try", file, "--request", task, settings]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = dict(re.findall(r"^# (\S+)\n(.*)$", shown, re.MULTILINE))
    return lines, json.loads(re.search(r"^\{.*?^\}", shown, re.MULTILINE | re.DOTALL)[0])


def test_a_job_is_as_kubernetes_takes_it(tmp_path):
    text = EXAMPLE.read_text()
    assert set(re.findall(r"custom\.(\w+)", text)) == CUSTOM.keys()
    lines, job = sent(tmp_path, text)
    # https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/
    assert lines == {
        "create": f"POST {JOBS}",
        "get": f"GET {JOBS}/JOB-NAME",
        "delete": f"DELETE {JOBS}/JOB-NAME?propagationPolicy=Background",
    }
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    for kube in schemas.versions():
        assert not schemas.problems(job, kube)


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ("backoffLimit: 0", "backofLimit: 0", "'backofLimit' was unexpected"),
        ("backoffLimit: 0", 'backoffLimit: "0"', "'0' is not of type 'integer'"),
        ("args: =custom.args", "args: =custom.image", "is not of type 'array'"),
        ("env: =custom.env", "env: [=custom.requests]", "'name' is a required property"),
        ("resources: {requests:", "resources: {request:", "'request' was unexpected"),
    ],
)
def test_a_changed_example_is_found(right, wrong, problem, tmp_path):
    text = EXAMPLE.read_text()
    assert right in text
    _, job = sent(tmp_path, text.replace(right, wrong, 1))
    assert problem in " ".join(schemas.problems(job, NEWEST))


def answers():
    """Each recorded answer, by its step."""
    return {step: answer["body"] for step, answer in RECORDED.items() if isinstance(answer, dict) and "body" in answer}


@pytest.mark.parametrize("step", answers())
def test_a_recorded_answer_is_as_kubernetes_gives_it(step):
    answer = answers()[step]
    kind = "Status" if step in ("cancelled", "gone") or RECORDED[step].get("status", 200) >= 400 else "Job"
    assert answer["kind"] == kind
    assert not schemas.problems(answer, NEWEST)
    for member in answer.get("status", {}) if kind == "Job" else ("code", "message"):
        changed = copy.deepcopy(answer)
        within = changed["status"] if kind == "Job" else changed
        within[f"{member}Renamed"] = within.pop(member, 7)
        assert schemas.problems(changed, NEWEST), member
