"""Waiting between tries: how often, how long, and what a server may ask for."""

from __future__ import annotations

import string
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.outages import Outages
from recordings.retry import Attempts, RetryPolicy, parse_retry_after
from tests.unit.hms_fake import Clock


@given(seed=st.integers(0, 1000))
def test_attempts_without_retry_after(seed: int) -> None:
    """At least eight tries within a quarter of an hour, and never one without a wait before it."""
    clock = Clock()
    attempts = Attempts(timing=clock.timing(seed))
    tries = 1
    while attempts.wait_again("429"):
        tries += 1
    assert tries >= 8
    assert sum(clock.slept) <= 900
    assert all(wait > 0 for wait in clock.slept)


@given(asked=st.floats(0, 120), seed=st.integers(0, 1000))
def test_attempts_never_wait_less_than_asked(asked: float, seed: int) -> None:
    """Retry-After is a lower bound of every wait, and the budget still holds; two minutes leave seven waits."""
    clock = Clock()
    attempts = Attempts(timing=clock.timing(seed))
    while attempts.wait_again("429", asked):
        pass
    assert all(wait >= asked for wait in clock.slept)
    assert len(clock.slept) >= 7
    assert sum(clock.slept) <= 900


def test_attempts_give_up_at_once_when_asked_to_wait_beyond_the_budget() -> None:
    """A server that asks for an hour is not waited for, not even once."""
    clock = Clock()
    assert not Attempts(timing=clock.timing()).wait_again("429", 3600.0)
    assert clock.slept == []


def test_attempts_count_slow_calls_into_the_budget() -> None:
    """Time spent in the calls themselves is spent, too."""
    clock = Clock()
    attempts = Attempts(timing=clock.timing())
    clock.time += 899.9
    assert not attempts.wait_again("timeout")


def test_attempts_tell_of_longer_waits_alone() -> None:
    """Whoever waits a second or more is told why; half a second is not worth a line."""
    told: list[str] = []
    attempts = Attempts(RetryPolicy(), Clock().timing(), Outages(told.append))
    attempts.wait_again("GET /x answered 503")
    attempts.wait_again("GET /x answered 503", 7.0)
    assert told == ["GET /x answered 503: trying again in 7 s, for 15m at most"]


def test_attempts_tell_at_once_of_a_try_that_took_its_time() -> None:
    """Ten seconds without an answer are worth a line, though the next try comes soon."""
    told: list[str] = []
    clock = Clock()
    attempts = Attempts(RetryPolicy(), clock.timing(), Outages(told.append))
    clock.time += 10
    attempts.wait_again("GET /x got no answer")
    assert len(told) == 1


def test_attempts_of_one_party_are_told_once() -> None:
    """Many calls, on whatever, that wait for the same have one cause."""
    told: list[str] = []
    outages = Outages(told.append)
    for number in range(100):
        Attempts(RetryPolicy(), Clock().timing(), outages, "100ms").wait_again(f"GET /{number} answered 503", 7.0)
    Attempts(RetryPolicy(), Clock().timing(), outages, "Cloud Storage").wait_again("get x: no usable answer", 7.0)
    assert [line.partition(" ")[2].partition(":")[0] for line in told] == ["/0 answered 503", "x"]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Mon, 21 Sep 2026 12:00:30 GMT", 30.0),
        ("Mon, 21 Sep 2026 11:00:00 GMT", 0.0),
        ("Mon, 21 Sep 2026 12:00:30 -0000", 30.0),
        ("Mon, 21 Sep 2026 14:00:30 +0200", 30.0),
        (None, None),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("1.5", None),
        ("٣", None),
    ],
)
def test_parse_retry_after(header: str | None, seconds: float | None) -> None:
    """Seconds and every form of date are understood; anything else counts as not given."""
    noon = datetime(2026, 9, 21, 12, tzinfo=UTC).timestamp()
    assert parse_retry_after(header, noon) == seconds


@given(st.text(alphabet=string.printable, max_size=60))
def test_parse_retry_after_with_anything(header: str) -> None:
    """Whatever a server sends, the result is a wait that is not negative, or none."""
    wait = parse_retry_after(header, 0.0)
    assert wait is None or wait >= 0


@given(st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)))
def test_parse_retry_after_with_every_http_date(moment: datetime) -> None:
    """An HTTP date is the time until then."""
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    now = moment.timestamp() - 42
    assert parse_retry_after(format_datetime(moment, usegmt=True), now) == 42.0
