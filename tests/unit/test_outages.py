"""Who hears of what gives no answer: once for each cause, from every thread, and nobody who did not ask."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from recordings.outages import QUIET, Outages, outages, told_to
from recordings.retry import Attempts


def test_each_cause_is_told_once_and_again_when_it_lasts() -> None:
    """A worker that runs for days says each quarter of an hour that the same is still away."""
    now, told = [0.0], list[str]()
    heard = Outages(told.append, lambda: now[0])
    for cause in ("100ms", "store", "100ms", "store"):
        heard.hear(cause, f"{cause} is away")
    assert told == ["100ms is away", "store is away"]
    now[0] = QUIET - 1
    heard.hear("100ms", "100ms is away still")
    now[0] = QUIET
    heard.hear("100ms", "100ms is away yet")
    assert told[2:] == ["100ms is away yet"]


def test_query_of_a_url_is_never_told() -> None:
    """A presigned URL is a secret by its query."""
    told: list[str] = []
    Outages(told.append).hear("x", "GET https://bucket.example/key?X-Amz-Signature=canary broke off")
    assert "canary" not in told[0]
    assert "https://bucket.example/key" in told[0]


def test_client_tells_who_ran_it_on_any_thread() -> None:
    """What is made inside tells there, on threads and afterwards; what is made outside tells nobody."""
    told: list[str] = []
    with told_to(told.append):
        made = outages()
        assert Attempts().told is made
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: made.hear("c", "line"), range(100)))
    assert told == ["line"]
    assert outages() is not made
    outages().hear("d", "nobody hears this")
    assert told == ["line"]
