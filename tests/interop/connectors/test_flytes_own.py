"""Connectors that Flyte publishes, with requests that its SDKs made."""

import http.server
import threading

import pytest
from callers import Flyte1, Refused, Rest, task
from conftest import ROOT
from flyteidl.admin import agent_pb2
from flyteidl.core import literals_pb2
from vendor_requests import sensor

GOLDEN = ROOT / "tests" / "golden"


# Flyte 2's connector gets a request of Flyte 1, and the other way around, too.
@pytest.mark.parametrize("golden", ["v1/bq_scalars", "v2/bq_scalars"])
def test_bigquery(bridge, kind, golden, job):
    request = agent_pb2.CreateTaskRequest.FromString((GOLDEN / f"{golden}.pb").read_bytes())
    request.output_prefix = f"s3://bucket/{job}"
    answers = bridge.caller(kind).run_to_end(request)
    assert answers[-1].phase == "SUCCEEDED", answers
    assert [name for name, _ in answers[-1].links] == ["BigQuery Console"]
    results = literals_pb2.Literal.FromString(answers[-1].outputs["results"])
    assert results.scalar.structured_dataset.uri.startswith("bq://")


def test_bigquery_says_what_is_wrong(bridge, job):
    request = agent_pb2.CreateTaskRequest.FromString((GOLDEN / "v1/bq_empty_sql.pb").read_bytes())
    request.output_prefix = f"s3://bucket/{job}"
    request.template.sql.statement = ""
    with pytest.raises(Refused) as refused:
        bridge.caller().create(request)
    assert "Required parameter is missing: query" in refused.value.message


def test_sensor_waits_for_a_file(flytekit_bridge, kind, job, tmp_path):
    file = tmp_path / "arrived"
    request = sensor(job, file)
    caller = flytekit_bridge.caller(kind)
    handle = caller.create(request)
    assert caller.get("sensor", handle).phase == "RUNNING"
    file.touch()
    assert caller.poll_to_end("sensor", handle)[-1].phase == "SUCCEEDED"


class Site(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"received " + body)

    def log_message(self, *_):
        pass


@pytest.fixture
def site():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.parametrize("kind", [Flyte1, Rest], ids=lambda kind: kind.__name__)
def test_webhook(pyflyte_bridge, kind, job, site):
    request = task("webhook", job)
    request.template.custom.Clear()
    # What flytekit's WebhookTask sends.
    settings = {"url": site, "method": "POST", "headers": {}, "data": {"text": "{inputs.text}"}, "timeout_sec": 5}
    request.template.custom.update({**settings, "show_data": False, "show_url": False})
    answer = pyflyte_bridge.caller(kind).execute(request)
    assert answer.phase == "SUCCEEDED", answer
    assert b"good night" in b"".join(answer.outputs.values())
