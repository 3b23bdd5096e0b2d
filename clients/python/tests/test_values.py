"""Outputs and information as JSON."""

import enum
import math
from datetime import date, datetime, timedelta, timezone

import pytest

from outrigger_plugin import Failed, Link, Running, Succeeded, Task
from outrigger_plugin.status import answer


class Colour(str, enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    "value, expected",
    [
        (None, None),
        (True, True),
        (2**63 - 1, 2**63 - 1),
        (0.5, 0.5),
        ((1, [2, (3,)]), [1, [2, [3]]]),
        ({"a": {"b": timedelta(0)}}, {"a": {"b": 0}}),
        (Colour.RED, "red"),
        (datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=timezone.utc), "2026-01-02T03:04:05.000678+00:00"),
        (date(2026, 1, 2), "2026-01-02T00:00:00+00:00"),
        (timedelta(days=1, microseconds=1), 86400.000001),
        (timedelta(seconds=-1.5), -1.5),
        (timedelta(seconds=100), 100),
    ],
)
def test_values_that_flyte_reads(value, expected):
    assert answer(Succeeded(o0=value))["outputs"] == {"o0": expected}


@pytest.mark.parametrize(
    "value, expected",
    [
        (math.nan, "output score: nan is not JSON"),
        ([1, {"a": -math.inf}], "output score[1].a: -inf is not JSON"),
        (2**64, "output score: an integer beyond 64 bits; write it as a string"),
        (datetime(2026, 1, 1), "output score: a datetime without a time zone; use datetime.now(timezone.utc)"),
        ("\ud800", "output score: not valid Unicode"),
    ],
)
def test_values_without_a_meaning_are_refused_where_they_are_written(value, expected):
    with pytest.raises(ValueError) as error:
        Succeeded(score=value)
    assert str(error.value) == expected


@pytest.mark.parametrize(
    "value, expected",
    [
        (b"x", "output score: expected str, int, float, bool, None, list, dict, datetime or timedelta, not bytes"),
        ({1: 2}, "output score: the key 1 is no string"),
    ],
)
def test_other_types_are_refused(value, expected):
    with pytest.raises(TypeError) as error:
        Succeeded(score=value)
    assert str(error.value) == expected


def test_information_is_checked_too():
    for wrong in (lambda: Running(info={"rate": math.nan}), lambda: Running().with_info(rate=math.nan)):
        with pytest.raises(ValueError, match="info rate: nan is not JSON"):
            wrong()


@pytest.mark.parametrize(
    "make, expected",
    [
        (lambda: Running(3), "message: expected str, not int"),
        (lambda: Running().with_message(None), "message: expected str, not NoneType"),
        (lambda: Failed(ValueError("x")), "message: expected str, not ValueError"),
        (lambda: Failed("x", 4.5), "code: expected str, not float"),
        (lambda: Running("x", links=["http://x"]), "links[0]: expected Link, not str"),
        (lambda: Running("x", links="http://x"), "links: expected a list of Link, not str"),
        (lambda: Running("x", links=Link("a", "b")), "links: expected a list of Link, not Link"),
        (lambda: Running().with_link("Log", None), "uri: expected str, not NoneType"),
        (lambda: Running(info=["x"]), "info: expected a dict, not list"),
    ],
)
def test_arguments_of_another_type_are_refused_where_they_are_written(make, expected):
    with pytest.raises(TypeError) as error:
        make()
    assert str(error.value) == expected


def test_outputs_may_have_any_name():
    status = Succeeded(self=1, message=2, links=3, info=4, outputs=5).with_message("done")
    assert status.outputs == {"self": 1, "message": 2, "links": 3, "info": 4, "outputs": 5}
    assert status.message == "done"


def test_statuses_are_compared_by_what_they_say():
    assert Running("a") == Running("a") != Running("b")
    assert Running("a") != Failed("a") and Running() != "RUNNING"
    assert repr(Succeeded(o0=1).with_message("ok")) == "Succeeded(message='ok', outputs={'o0': 1})"


def test_code_may_be_a_number():
    assert Failed("x", code=137) == Failed("x", code="137")


def test_changed_status_is_a_copy():
    status = Failed("bad", "CODE", links=[Link("a", "b")])
    changed = status.with_link("c", "d").with_info(n=1).with_message("worse")
    assert (status.message, len(status.links), status.info) == ("bad", 1, {})
    assert (changed.message, len(changed.links), changed.info, changed.code) == ("worse", 2, {"n": 1}, "CODE")


def test_tasks_for_tests_have_keys_of_their_own():
    first, second = Task("a"), Task("a")
    assert first.key != second.key and first.time_left() > 20
