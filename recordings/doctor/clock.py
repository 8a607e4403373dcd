"""Findings about clocks: this machine's against the bucket's and 100ms'.

A signed URL is good by the store's clock and made by ours; a management token likewise. S3 refuses what is 15 minutes
off (`RequestTimeTooSkewed`), and a URL made by a clock that is late dies early by as much. Read from the Date header
(RFC 9110: whole seconds) of any answer, so that no right and no credentials are needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Final

import httpx

from recordings.doctor.findings import Finding, Look, Severity, fine
from recordings.doctor.patient import Patient
from recordings.verification.checks import NotRun

NOTICED: Final = timedelta(seconds=30)
BAD: Final = timedelta(minutes=5)
_REPAIR: Final = "timedatectl set-ntp true, or see what sets this machine's clock"


def looks(patient: Patient) -> list[Look]:
    """The store's clock, and 100ms'."""
    places = {"the bucket": patient.reader.url(".clock"), "100ms": patient.api_url}
    return [Look("clock", _title(who), partial(_look, patient, who, url)) for who, url in places.items()]


def judge(who: str, before: datetime, after: datetime, date: str | None) -> Finding:
    """`before` and `after` are our times around an answer with this Date header. Raises NotRun if it has none."""
    try:
        theirs = parsedate_to_datetime(date or "")
    except ValueError:
        raise NotRun(f"{who} named no time") from None
    theirs = theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)
    # the header has whole seconds: the true time is up to one later
    off = timedelta(0)
    if before > theirs + timedelta(seconds=1):
        off = before - theirs - timedelta(seconds=1)
    elif after < theirs:
        off = after - theirs
    if abs(off) <= NOTICED:
        return fine("clock", _title(who), "within seconds of ours")
    seen = f"ours is {abs(off).total_seconds():,.0f} s {'ahead' if off > timedelta(0) else 'behind'}"
    return Finding("clock", _title(who), Severity.FAULT if abs(off) > BAD else Severity.WARNING, seen, _REPAIR)


def _title(who: str) -> str:
    return f"clock against {who}"


def _look(patient: Patient, who: str, url: str) -> Iterator[Finding]:
    before = patient.now()
    try:
        answer = patient.http.get(url)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotRun(f"{who} gave no answer ({type(error).__name__})") from None
    yield judge(who, before, patient.now(), answer.headers.get("date"))
