import pytest
from callers import *
from conftest import ROOT, eventually, bridge_before
GOLDEN = ROOT / "tests" / "golden"
def test_bq_refused(bridge, job):
    request = agent_pb2.CreateTaskRequest.FromString((GOLDEN / "v1/bq_empty_sql.pb").read_bytes())
    request.output_prefix = f"s3://bucket/{job}"
    request.template.sql.statement = ""
    for c in (bridge.caller(), bridge.connectors.directly()):
        try: print("RES", c.create(request))
        except Refused as r: print("RES", repr(r.code), repr(r.message[-700:]))
def test_big(bridge, job):
    c = bridge.caller()
    h = c.create(task("sleeping", job, inputs={"text": "x" * 13000}, polls=5))
    print("RES", len(h), c.get("sleeping", h), bridge.connectors.calls(job))
    h = c.create(task("sleeping", job+"-s", inputs={"text": "x" * 11000}, polls=5))
    print("RES", len(h), c.get("sleeping", h).phase)
def test_gone(processes, tmp_path, job):
    connectors = processes["mortal"]
    with bridge_before(connectors, tmp_path, "--task-types=sleeping") as bridge:
        c = bridge.caller()
        h = c.create(task("sleeping", job, polls=5))
        print("RES", c.get("sleeping", h))
        command = connectors.command
        connectors.kill()
        connectors.command = [x for x in command if x not in ("sleeping", "pickled")]
        connectors.start()
        eventually(lambda: connectors.directly().task_types(), "up")
        print("RES", c.get("sleeping", h), bridge.readiness)
        try: print("RES", c.delete("sleeping", h))
        except Refused as r: print("RES", r)
        import time
        time.sleep(61)
        print("RES after 60 s", c.get("sleeping", h), bridge.readiness)
        print("RES delete", c.delete("sleeping", h), connectors.calls(job))
        connectors.kill(); connectors.command = command; connectors.start()
        eventually(lambda: connectors.directly().task_types(), "up")
        print("RES back", c.get("sleeping", h), bridge.readiness)
