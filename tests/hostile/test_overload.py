"""More calls than can be answered in time."""

import collections
import threading

import pytest
from flyteidl.admin import agent_pb2

from burst import burst
from callers import Grpc, Rest, code
from http_server import Answer
from issuer import shared_token
from programs import IS_RELEASE, eventually

GET, CREATE = "/flyteidl.service.AsyncAgentService/GetTask", "/flyteidl.service.AsyncAgentService/CreateTask"
TASK_TYPE = "bigquery_query_job_task"
PROPELLERS_TIMEOUT = 10
# A debug build needs some milliseconds for each.
MANY = 10_000 if IS_RELEASE else 1_500
OK, RESOURCE_EXHAUSTED, UNAVAILABLE = 0, 8, 14
pytestmark = pytest.mark.xdist_group("overload")


def polls(flyte, count, jobs=200):
    """The encoded polls of some jobs."""
    category = agent_pb2.TaskCategory(name=TASK_TYPE, version=0)
    bodies = []
    for _ in range(jobs):
        answer = flyte.create()
        assert code(answer) == "OK", answer
        request = agent_pb2.GetTaskRequest(task_type=TASK_TYPE, task_category=category, resource_meta=answer.resource_meta)
        bodies.append(request.SerializeToString())
    return [bodies[number % jobs] for number in range(count)]


def assert_in_time(outcomes, count):
    statuses = collections.Counter(status for _, status in outcomes)
    assert len(outcomes) == count, f"{count - len(outcomes)} were not answered in time: {statuses}"
    assert set(statuses) <= {OK, UNAVAILABLE}, statuses
    return statuses


@pytest.mark.parametrize("latency", [0, 1])
def test_a_burst_of_polls_is_answered_in_time_or_refused(service, flyte, vendor, latency):
    bodies = polls(flyte, MANY)
    if latency:
        slow = {"get": vendor._get, "list": vendor._list}

        def answer(request):
            regular = slow[request.kind](request, *vendor._kind(request)[1])
            regular.delay = latency
            return regular

        vendor.on = dict.fromkeys(slow, answer)
    # Some seconds more than propeller's: it is this process that has to read the answers.
    outcomes = burst(service.port, GET, shared_token("propeller"), bodies, within=PROPELLERS_TIMEOUT + 5)
    statuses = assert_in_time(outcomes, len(bodies))
    assert statuses[OK] > 0
    assert service.memory(peak=True) < 256 << 20
    eventually(lambda: Rest(service).create().status == 200, what="served again")


def test_a_burst_of_creates_starts_no_job_twice(service, vendor):
    bodies = [
        agent_pb2.CreateTaskRequest(output_prefix=f"s3://flyte/overload/{n % 1000}", template=Grpc(service).template()).SerializeToString()
        for n in range(2_000)
    ]
    outcomes = burst(service.port, CREATE, shared_token("propeller"), bodies, within=40)
    statuses = collections.Counter(status for _, status in outcomes)
    assert len(outcomes) == len(bodies) and set(statuses) <= {OK, RESOURCE_EXHAUSTED, UNAVAILABLE}, statuses
    assert len(vendor.jobs) <= 1000


def test_propellers_calls_come_before_users(start, vendor):
    """Users take every permit they can get; there are some left for Flyte."""
    service = start(vendor, "--max-requests=100")
    flyte = Grpc(service, timeout=PROPELLERS_TIMEOUT)
    handle = flyte.create().resource_meta
    vendor.on["create"] = lambda request: Answer(200, vendor.job("acme", request.json()["jobReference"]["jobId"]), delay=6)
    template = flyte.template()
    bodies = [agent_pb2.CreateTaskRequest(output_prefix=f"s3://flyte/u/{n}", template=template).SerializeToString() for n in range(250)]


    users = threading.Thread(target=burst, args=(service.port, CREATE, shared_token("alice"), bodies, 20))
    users.start()
    eventually(lambda: vendor.count("create") > 20, what="users hold permits")
    answers = [code(flyte.get(handle)) for _ in range(20)]
    users.join()
    assert answers == ["OK"] * 20, answers


def test_what_is_shed_is_counted_and_says_when_to_return(start, vendor):
    service = start(vendor, "--max-requests=10")
    template = Grpc(service).template()
    vendor.on["create"] = lambda request: Answer(200, vendor.job("acme", request.json()["jobReference"]["jobId"]), delay=1)
    bodies = [agent_pb2.CreateTaskRequest(output_prefix=f"s3://flyte/s/{n}", template=template).SerializeToString() for n in range(200)]
    outcomes = burst(service.port, CREATE, shared_token("propeller"), bodies, within=30)
    statuses = collections.Counter(status for _, status in outcomes)
    assert set(statuses) == {OK, UNAVAILABLE}, statuses
    assert service.metric("plugin_shed_requests_total") >= statuses[UNAVAILABLE]
    assert service.probe("/livez")[0] == 200
