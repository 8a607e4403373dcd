"""Who hears that something gives no answer and is asked again, so that nobody sits before a silent command.

Owns the one way by which that is told: whoever runs a command says `told_to`, and every client that is made meanwhile
(100ms, stores, boto3's clients) tells there. A back end that says nothing hears nothing. Does not know what is tried
again, nor when: `recordings.retry` does, and botocore for its own clients.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from recordings.redact import redact

QUIET: Final = 900.0
"""Seconds in which the same cause is not told again: no call is tried for longer."""


@dataclass
class Outages:
    """Tells of each cause once in QUIET seconds, however many calls on however many threads wait for it."""

    tell: Callable[[str], None] = lambda _: None
    monotonic: Callable[[], float] = time.monotonic
    _heard: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def hear(self, cause: str, line: str) -> None:
        """Tell `line`, unless one with the same `cause` was told a moment ago; the query of a URL is never shown."""
        with self._lock:
            now = self.monotonic()
            if now - self._heard.get(cause, -QUIET) < QUIET:
                return
            self._heard[cause] = now
        self.tell(redact(line))


_current: ContextVar[Outages] = ContextVar("outages", default=Outages())  # noqa: B039 - it tells nobody


@contextmanager
def told_to(tell: Callable[[str], None]) -> Iterator[None]:
    """Let clients that are made inside tell there. They go on doing so on threads, and after it."""
    token = _current.set(Outages(tell))
    try:
        yield
    finally:
        _current.reset(token)


def outages() -> Outages:
    """Where to tell now; to be asked when a client is made, since a new thread has no context."""
    return _current.get()
