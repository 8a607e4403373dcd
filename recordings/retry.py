"""When to try again, and how long to wait: one policy for every call that may be repeated.

Owns the arithmetic of waiting (exponential backoff with jitter, Retry-After, attempts and budget). Does not know what
is tried, nor whether it may be repeated at all: callers decide that. Waits are told by `recordings.outages`. Clock,
sleep and chance are injected, so that tests run fifteen minutes in no time.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from recordings.durations import show_duration
from recordings.outages import Outages, outages

WORTH_A_LINE: Final = 1.0
"""Seconds, of waiting or already spent, from which on whoever waits is told why."""


@dataclass(frozen=True)
class Timing:
    """Where time and chance come from: `now` (Unix seconds), `monotonic` and `sleep` (seconds), `chance` in [0, 1)."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random


@dataclass(frozen=True)
class RetryPolicy:
    """At most `attempts` tries within `budget` seconds; waits double from `base` up to `cap` seconds.

    Twelve tries wait at most about eight minutes in sum, which leaves room in the quarter of an hour for slow calls.
    """

    attempts: int = 12
    budget: float = 900.0
    base: float = 0.5
    cap: float = 120.0

    def backoff(self, failures: int, chance: float) -> float:
        """Seconds to wait after `failures` failed tries (1, 2, …): between half and all of the doubled wait."""
        full = min(self.cap, self.base * 2.0 ** (failures - 1))
        return full / 2 + full / 2 * chance


@dataclass
class Attempts:
    """The tries of one call. After each failure ask `wait_again`; False means that the call has to be given up.

    Waits are told to `told`, once for each `party`: who gives no answer (empty: each reason is one of its own).
    """

    policy: RetryPolicy = field(default_factory=RetryPolicy)
    timing: Timing = field(default_factory=Timing)
    told: Outages = field(default_factory=outages)
    party: str = ""
    failures: int = 0

    def __post_init__(self) -> None:
        self._started = self.timing.monotonic()

    @property
    def spent(self) -> float:
        """Seconds since the first try began."""
        return self.timing.monotonic() - self._started

    def wait_again(self, reason: str, retry_after: float | None = None) -> bool:
        """Count a failure and sleep before the next try; False, with no sleep, if attempts or budget are used up.

        `retry_after` (seconds) is what the server asked for: never waited less than that.
        """
        self.failures += 1
        wait = max(self.policy.backoff(self.failures, self.timing.chance()), retry_after or 0.0)
        if self.failures >= self.policy.attempts or self.spent + wait > self.policy.budget:
            return False
        if max(wait, self.spent) >= WORTH_A_LINE:
            limit = show_duration(timedelta(seconds=self.policy.budget))
            self.told.hear(self.party or reason, f"{reason}: trying again in {wait:.0f} s, for {limit} at most")
        self.timing.sleep(wait)
        return True


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Seconds that a Retry-After header asks to wait (RFC 9110: seconds, or an HTTP date), None if it says nothing.

    `now` is Unix time in seconds. A date in the past is 0; a value that is neither is taken for none.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.fromtimestamp(now, UTC)).total_seconds())
