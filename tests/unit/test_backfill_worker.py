"""What a worker tries again, in which order jobs come, and how the bytes get out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from procrastinate.jobs import Job

from recordings.backfill.mover import StoppedError
from recordings.backfill.moves import Move
from recordings.backfill.queue import priority_of, queue_of
from recordings.backfill.record import BusyError
from recordings.backfill.source import ChangedError
from recordings.backfill.wire import _proxy
from recordings.errors import (
    CheckFailedError,
    ConflictError,
    ObjectNotFoundError,
    RecordingsError,
    StoreUnreachableError,
)
from recordings.hms_models import RecordingAsset
from recordings.hosts import Origin
from recordings.worker import JobError, _Again
from tests.unit.hms_fake import stack_outputs

NOW = datetime(2026, 8, 20, tzinfo=UTC)
ASSET = RecordingAsset(id="a", type="room-composite", status="completed")


def wait(error: RecordingsError, attempts: int = 0) -> float | None:
    """Seconds until the next try of a job that failed so."""
    job = Job(id=1, queue="q", lock=None, queueing_lock=None, task_name="t", attempts=attempts)
    decision = _Again().get_retry_decision(exception=JobError(error), job=job)
    if decision is None:
        return None
    assert decision.retry_at is not None
    return (decision.retry_at - datetime.now(UTC)).total_seconds()


@pytest.mark.parametrize("error", [CheckFailedError("x"), ConflictError("x"), ObjectNotFoundError("x")])
def test_what_no_other_try_changes_is_told_at_once(error: RecordingsError) -> None:
    """While there are days left to do something about it."""
    assert wait(error) is None


@pytest.mark.parametrize("error", [StoreUnreachableError("x"), ChangedError("x"), StoppedError("x")])
def test_what_may_heal_is_tried_eight_times(error: RecordingsError) -> None:
    """Each time after a longer wait, a quarter of an hour at most."""
    waits = [wait(error, attempts) for attempts in range(9)]
    told = [seconds for seconds in waits[:7] if seconds is not None]
    assert len(told) == 7
    assert told == sorted(told)
    assert 0 < told[0] < 3
    assert told[-1] <= 900
    assert waits[7:] == [None, None]


def test_a_recording_that_another_run_has_costs_no_try() -> None:
    """It waits until that run's claim ends."""
    until = datetime.now(UTC) + timedelta(seconds=40)
    assert 38 < (wait(BusyError("x", until), attempts=100) or 0) <= 40


def test_what_ends_sooner_has_the_higher_priority() -> None:
    """Within Postgres' integer, far from now too; what says no time might end at once."""
    ends = [None, NOW - timedelta(days=20000), NOW, NOW + timedelta(seconds=1), NOW + timedelta(days=40000)]
    given = [priority_of(Move(ASSET, "k", end)) for end in ends]
    assert given == sorted(given, reverse=True)
    assert len(set(given[1:])) == 4
    assert all(-(2**31) < priority < 2**31 for priority in given)


def test_stacks_do_not_share_a_queue() -> None:
    """Bucket, prefix and provider tell them apart; the name is short enough for Postgres' channels."""
    names = {
        queue_of(stack_outputs()),
        queue_of(stack_outputs(bucket="another-bucket")),
        queue_of(stack_outputs(pathPrefix="other/")),
        queue_of(stack_outputs(storageProvider="gcs")),
    }
    assert len(names) == 4
    assert all(len(name) < 40 for name in names)


def test_a_proxy_is_used_for_the_outside_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the environment names it; never for this machine, nor without TLS."""
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "direct.example")
    assert _proxy(Origin("https", "bucket.s3.amazonaws.com", 443)) == ("proxy.example", 3128)
    for origin in (
        Origin("https", "direct.example", 443),
        Origin("https", "127.0.0.1", 443),
        Origin("http", "b.example", 80),
    ):
        assert _proxy(origin) is None
    monkeypatch.delenv("https_proxy")
    assert _proxy(Origin("https", "bucket.s3.amazonaws.com", 443)) is None
