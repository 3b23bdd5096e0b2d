"""`outrigger serve` before the real bridge, called over REST as people do."""

import json
import os
import pathlib
import urllib.error
import urllib.request

import pytest

from conftest import ROOT, eventually
from program import Outrigger

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT.parent.parent / "target"))
BRIDGE = TARGET / "debug" / "bridge"

MY_PLUGIN = """
from outrigger_plugin import Plugin, Refused, Running, Succeeded, SyncPlugin, serve

class Shoutout(Plugin):
    task_type = "shoutout"
    def create(self, task):
        if task.inputs["text"] == "":
            raise Refused("nothing to shout", code="EMPTY")
        JOBS.setdefault(task.key, {"text": task.inputs["text"], "left": 2, "creates": 0})["creates"] += 1
        return {"id": task.key, "padding": "x" * task.inputs.get("padding", 0)}
    def poll(self, job):
        it = JOBS[job["id"]]
        it["left"] -= 1
        if it["left"] > 0:
            return Running("shouting")
        return Succeeded(o0=it["text"].upper(), creates=it["creates"]).with_link("Log", "https://log.example.com")
    def delete(self, job):
        JOBS.pop(job["id"], None)

class Chat(SyncPlugin):
    task_type = "chat"
    async def execute(self, task):
        return Succeeded(answer=1 / task.inputs["n"])

JOBS = {}
app = serve(Shoutout(), Chat())
"""


@pytest.fixture
def outrigger(tmp_path):
    if not BRIDGE.exists() and "CI" not in os.environ:
        pytest.skip(f"{BRIDGE} is not built")
    it = Outrigger(tmp_path)
    (tmp_path / "my_plugin.py").write_text(MY_PLUGIN)
    (tmp_path / "bridge").unlink()
    (tmp_path / "bridge").symlink_to(BRIDGE)
    with it.serving("my_plugin:app", "--insecure-no-auth"):
        yield it


def call(outrigger, method, path, body=None):
    url = f"http://127.0.0.1:{outrigger.port}/plugins/v1/{path}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"idempotency-key": "k"}, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.parametrize("padding", [0, 5000])
def test_job_runs_to_its_end(outrigger, padding):
    task = {"inputs": {"text": "good night", "padding": padding}}
    handles = [call(outrigger, "PUT", "shoutout/0", task)[1]["job_id"] for _ in range(2)]
    path = f"shoutout/0?job_id={handles[0]}"
    assert call(outrigger, "GET", path)[1]["message"] == "shouting"
    done = eventually(lambda: (it := call(outrigger, "GET", path)[1])["phase"] == "SUCCEEDED" and it, "the end")
    outputs = {name: it["scalar"]["primitive"] for name, it in done["outputs"]["literals"].items()}
    # The plugin is asked again, and finds the job that has the key.
    assert outputs == {"o0": {"string_value": "GOOD NIGHT"}, "creates": {"integer": "2"}}
    assert done["log_links"] == [{"name": "Log", "uri": "https://log.example.com"}]
    assert call(outrigger, "DELETE", path)[0] == 200


def test_refusal_has_the_plugins_words(outrigger):
    status, problem = call(outrigger, "PUT", "shoutout/0", {"inputs": {"text": ""}})
    assert (status, problem["error_code"], problem["message"]) == (422, "EMPTY", "nothing to shout")


def test_sync_task_is_answered_at_once(outrigger):
    assert call(outrigger, "POST", "chat/0", {"inputs": {"n": 4}})[1]["job_state"] == "succeed"
    failed = call(outrigger, "POST", "chat/0", {"inputs": {"n": 0}})[1]
    assert (failed["phase"], failed["message"]) == ("RETRYABLE_FAILED", "ZeroDivisionError: division by zero")
