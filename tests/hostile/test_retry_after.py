"""A vendor that asks for quiet gets it, and nobody else pays for it."""

import concurrent.futures
import datetime
import time

import pytest

from callers import Grpc, Rest, code
from conftest import every_vendor
from http_server import Answer
from programs import eventually

PAUSE = 6
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def in_(seconds):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)


def of_parts(form):
    """A date in one of the forms of RFC 9110, §5.6.7, in any locale."""

    def write(seconds):
        at = in_(seconds)
        day, month, clock = DAYS[at.weekday()], MONTHS[at.month - 1], f"{at:%H:%M:%S}"
        return form.format(day=day, short=day[:3], d=at.day, month=month, yy=at.year % 100, year=at.year, clock=clock)

    return write


FORMS = {
    "seconds": str,
    "IMF-fixdate": of_parts("{short}, {d:02} {month} {year} {clock} GMT"),
    "RFC 850": of_parts("{day}, {d:02}-{month}-{yy:02} {clock} GMT"),
    "asctime": of_parts("{short} {month} {d:>2} {clock} {year}"),
}


def quiet(vendor, seconds=PAUSE, form=str):
    """Makes the vendor answer everything with 429. Returns the list of when it first did."""
    since = []

    def answer(request):
        since.append(request.at)
        refusal = vendor.refusal(429, "slow down")
        return Answer(429, refusal.content, {"retry-after": form(seconds)})

    vendor.on = dict.fromkeys(["create", "get", "list", "delete"], answer)
    return since


def requests_in_the_pause(vendor, since, pause=PAUSE):
    """The requests that began in the pause. Those of the first instant were on their way already."""
    return [r.kind for r in vendor.server.requests if since[0] + 1 < r.at < since[0] + pause - 1 and r.kind != "token"]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("vendor", ["databricks"], indirect=True)
def test_every_form_of_retry_after_is_kept(service, rest, vendor, form):
    handle = rest.created()
    # A date has whole seconds.
    since = quiet(vendor, PAUSE + 1, form)
    while not since:
        assert rest.get(handle).json["job_state"] == "running"
    while time.monotonic() < since[0] + PAUSE - 1:
        assert rest.get(handle).json["job_state"] == "running"
        time.sleep(0.1)
    assert requests_in_the_pause(vendor, since) == []
    vendor.on = {}
    eventually(lambda: rest.get(handle) and vendor.count("get", "list", since=since[0] + PAUSE - 1), within=15, what="the vendor is asked again")


@every_vendor
def test_turns_that_were_booked_before_wait_too(service, vendor):
    rest, flyte = Rest(service), Grpc(service)
    handles = [rest.created() for _ in range(40)]
    assert code(flyte.create()) == "OK"
    vendor.server.clear()
    since = quiet(vendor)
    with concurrent.futures.ThreadPoolExecutor(60) as pool:
        calls = [pool.submit(rest.create, headers={"X-Request-Timeout": "4s"}) for _ in range(20)]
        calls += [pool.submit(rest.get, handle, {"X-Request-Timeout": "4s"}) for handle in handles]
        replies = [call.result() for call in calls]
    assert {reply.status for reply in replies[20:]} == {200}
    # Each may say when a repeat makes sense.
    assert {reply.status for reply in replies[:20]} <= {429, 503, 504}
    eventually(lambda: time.monotonic() > since[0] + PAUSE - 1, within=PAUSE, what="the pause is nearly over")
    assert requests_in_the_pause(vendor, since) == []


@every_vendor
def test_polls_are_answered_from_memory_meanwhile(service, vendor):
    rest = Rest(service)
    handles = [rest.created() for _ in range(20)]
    for handle in handles:
        assert rest.get(handle).json["phase"] == "RUNNING"
    since = quiet(vendor, 30)
    eventually(lambda: rest.get(handles[0]) and since, what="the vendor asks for quiet")
    asked = vendor.count("get", "list")
    started = time.monotonic()
    for _ in range(5):
        for handle in handles:
            assert rest.get(handle).json["phase"] == "RUNNING"
    # Not a tenth of the pause: nobody waited for it.
    assert time.monotonic() - started < 3 + len(handles) * 5 * 0.05
    assert vendor.count("get", "list") - asked <= 2


def another_tenant(vendor):
    """The settings of a task in two places, each with a quota of its own."""
    match vendor.program:
        case "bigquery":
            return {**vendor.custom, "ProjectID": "throttled"}, {**vendor.custom, "ProjectID": "another"}
        case "databricks":
            return (
                {**vendor.custom, "databricksInstance": "acme.cloud.databricks.com"},
                {**vendor.custom, "databricksInstance": "other.cloud.databricks.com"},
            )
        case "snowflake":
            return vendor.custom, {**vendor.custom, "account": "ACMEORG-OTHER"}


@every_vendor
def test_another_tenant_is_not_affected(service, rest, vendor):
    throttled, other = another_tenant(vendor)
    handle = rest.created(custom=other)
    assert rest.get(handle).status == 200
    quiet(vendor, 60)
    assert rest.create(custom=throttled, headers={"X-Request-Timeout": "2s"}).status in (429, 503, 504)
    vendor.on = {}
    vendor.server.clear()
    started = time.monotonic()
    for _ in range(20):
        assert rest.create(custom=other).status == 200
        assert rest.get(handle).status == 200
    assert time.monotonic() - started < 15, "their rate was lowered, too"
    assert vendor.count("create") == 20 and vendor.count("get", "list") == 20
    # The throttled one has to wait still, and does not ask.
    assert rest.create(custom=throttled, headers={"X-Request-Timeout": "2s"}).status in (429, 503, 504)
    assert vendor.count("create") == 20


ABSURD = ["-1", "x", "", "1e9", "99999999999999999999", "0", "Sun, 99 Nov 2026 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "1.5", "5, 6"]


@pytest.mark.parametrize("value", ABSURD, ids=repr)
def test_an_absurd_retry_after_stops_nobody_for_long(shared_vendors, value):
    service = shared_vendors("databricks")
    vendor, rest = service.vendor, Rest(service)
    vendor.reset()
    handle = rest.created(headers={"X-Request-Timeout": "30s"})
    first = []

    def once(request):
        if not first:
            first.append(request)
            return Answer(429, vendor.refusal(429, "x").content, {"retry-after": value})

    vendor.on = {"get": once, "list": once}
    eventually(lambda: rest.get(handle).status == 200 and first, what="the vendor asks for quiet")
    assert rest.get(handle).status == 200
    if value not in ("1e9", "99999999999999999999"):
        eventually(lambda: rest.get(handle) and vendor.count("get", "list") > 1, within=20, what="the vendor is asked again")
