"""Nobody reads the log, and somebody writes too much into it."""

import json
import urllib.parse
import urllib.request

import pytest

from burst import burst
from callers import Rest
from issuer import shared_token
from programs import Proxy, eventually

LIST = "/flyteidl.service.AgentMetadataService/ListAgents"


def log_level(program, level):
    request = urllib.request.Request(f"http://{program.admin}/log-level", level.encode(), method="PUT")
    assert urllib.request.urlopen(request, timeout=10).status in (200, 204)


def test_a_log_that_nobody_reads_stops_nobody(start, vendor):
    service = start(vendor, unread=True)
    log_level(service, "trace")
    rest = Rest(service, timeout=10)
    for _ in range(100):
        if service.metric("plugin_log_lines_dropped_total"):
            break
        # At this level, each of their frames is a line.
        outcomes = burst(service.port, LIST, shared_token(), [b""] * 500, within=60)
        assert len(outcomes) == 500
    assert service.metric("plugin_log_lines_dropped_total") > 0
    for _ in range(50):
        assert rest.request("GET", "/plugins/v1").status == 200
        assert service.probe("/livez")[0] == 200 and service.probe("/readyz")[0] == 200
    assert rest.create().status == 200
    assert service.memory() < 192 << 20
    took, _ = service.terminate()
    assert took < 20


def test_the_sidecars_log_stops_nobody(start, vendor, tmp_path):
    service = start(vendor)
    with Proxy(tmp_path / "proxy", f"http://{service.api}", shared_token("propeller")) as proxy:
        assert proxy.metric("propeller_proxy_log_lines_dropped_total") == 0
        assert proxy.probe("/livez")[0] == 200


FORGED = ["a\nb", "a\r\n{\"level\":\"ERROR\",\"message\":\"forged\"}", "\x1b[2J", "\u2028", "\x00", '"}{"', "%0a%0d"]


@pytest.mark.parametrize("text", FORGED, ids=ascii)
def test_a_caller_writes_no_line_of_its_own(shared_service, text):
    rest = Rest(shared_service)
    rest.create(sql=text, custom={"ProjectID": text})
    rest.get(text)
    rest.request("GET", f"/plugins/v1/{urllib.parse.quote(text)}/0")
    rest.request("GET", "/plugins/v1", headers={"user-agent": "x" + text.encode("unicode-escape").decode()})
    eventually(lambda: len(shared_service.lines) > 3, what="lines")
    for line in shared_service.lines:
        record = json.loads(line)
        assert record.get("message") != "forged"
        assert "\x1b" not in line


def test_labels_and_spans_come_from_closed_sets(shared_service):
    rest = Rest(shared_service)
    rest.request("GET", "/plugins/v1")
    before = len(shared_service.metrics().splitlines())
    for number in range(200):
        rest.request(f"BOGUS{number}", "/plugins/v1")
        rest.request("GET", f"/plugins/v1/type_{number}/0")
        rest.request("GET", f"/bogus/{number}")
        rest.request("GET", "/plugins/v1", headers={"host": f"host-{number}"})
    assert len(shared_service.metrics().splitlines()) - before < 100
    assert "BOGUS" not in shared_service.metrics() and "type_1" not in shared_service.metrics()
