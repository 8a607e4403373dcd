"""What the doctor says of a presigned URL: a line for each cause, and the command that repairs it.

Owns the words. A URL is a secret by its query: no line holds that.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Final

from recordings.doctor.findings import Finding, Severity
from recordings.doctor.url_verdict import Cause, Lies, UrlFacts, cause
from recordings.durations import show_duration
from recordings.verification.checks import PERMISSIONS

_SIGNS_AGAIN: Final = frozenset(
    {Cause.EXPIRED, Cause.WRONG_KEY, Cause.CHANGED, Cause.WRONG_REGION, Cause.NOT_YET, Cause.MALFORMED}
)
"""What a new URL would not suffer from."""
_WOULD_FAIL: Final = {Lies.GONE: Cause.GONE, Lies.DELETED: Cause.GONE, Lies.ARCHIVED: Cause.ARCHIVED}

_SEEN: Final[Mapping[Cause, str]] = {
    Cause.WORKS: "{answered}{until}",
    Cause.MALFORMED: "{fault}",
    Cause.ELSEWHERE: "{place} is in no bucket of this stack: it was not asked for",
    Cause.UNSIGNED: "it has no signature: the bucket answers nobody without one",
    Cause.METHOD: "it was signed for {method}, which no download uses: it was not asked for",
    Cause.EXPIRED: "{answered}; {ended}",
    Cause.NOT_YET: "{answered}; it was made by a clock that is ahead",
    Cause.WRONG_KEY: "{answered}: the key {whose} is deleted or inactive",
    Cause.CHANGED: "{answered}: {mismatch}",
    Cause.WRONG_REGION: "{answered}: signed for {region}{lies_in}",
    Cause.NO_BUCKET: "{answered}",
    Cause.GONE: "{answered}: {object}",
    Cause.ARCHIVED: "{answered}: it must be restored before it can be read",
    Cause.DENIED: "{answered}: the key {whose} is valid and not allowed{not_here}",
    Cause.UNREACHABLE: "{answered}",
    Cause.OTHER: "{answered}",
}
_REPAIRS: Final[Mapping[Cause, str]] = {
    Cause.WORKS: "",
    Cause.MALFORMED: "copy it whole, or sign it again: {sign}",
    Cause.ELSEWHERE: "give the outputs of the stack that owns it; for 100ms' own storage, ask 100ms for a new URL",
    Cause.UNSIGNED: "{sign}",
    Cause.METHOD: "{sign}",
    Cause.EXPIRED: "{sign}",
    Cause.NOT_YET: "timedatectl set-ntp true on the machine that signs, then {sign}",
    Cause.WRONG_KEY: "{sign}",
    Cause.CHANGED: "{sign}",
    Cause.WRONG_REGION: "correct the region where it was signed, then {sign}",
    Cause.NO_BUCKET: "was the stack destroyed? pulumi up",
    Cause.GONE: "recordings reconcile {select} says what is missing; retentionDays may have deleted it",
    Cause.ARCHIVED: "aws s3api restore-object --bucket {bucket} --key {key} --restore-request Days=7",
    Cause.DENIED: PERMISSIONS,
    Cause.UNREACHABLE: "recordings verify {select} from the same machine",
    Cause.OTHER: "recordings verify {select} from the same machine",
}
_DELETED: Final = "bring the old version back (on S3: delete the delete marker of {key}), then {sign}"


def judge(facts: UrlFacts, select: str) -> Iterator[Finding]:
    """The cause that stops the URL now; then what would stop a new one."""
    why = cause(facts)
    severity = Severity.FINE if why is Cause.WORKS else Severity.FAULT
    words = _words(facts, select)
    yield Finding("url", why.value, severity, _SEEN[why].format(**words), _repair(facts, why, words), _about(facts))
    after = _WOULD_FAIL.get(facts.lies)
    if why in _SIGNS_AGAIN and after is not None:
        title = f"a new URL would fail too: {after.value}"
        yield Finding("url", title, Severity.WARNING, facts.lies.value, _repair(facts, after, words))
    if why is not Cause.WRONG_KEY and not facts.signer_is_active:
        repair = "make it active, or sign with the key that is"
        yield Finding("url", f"the key {facts.signer} is inactive", Severity.WARNING, "as the stack says", repair)


def _repair(facts: UrlFacts, why: Cause, words: Mapping[str, str]) -> str:
    if why is Cause.GONE and facts.lies is Lies.DELETED:
        return _DELETED.format(**words)
    return _REPAIRS[why].format(**words)


def _about(facts: UrlFacts) -> tuple[str, ...]:
    """What the URL says of itself, without its query."""
    parts = facts.parts
    lines = [parts.place]
    if parts.key_id:
        lines.append(f"key {_whose(facts)}{f', region {parts.region}' if parts.region else ''}")
    if parts.start and parts.end:
        lines.append(f"good from {parts.start:%Y-%m-%d %H:%M:%S} to {parts.end:%Y-%m-%d %H:%M:%S} UTC")
    return tuple(lines)


def _words(facts: UrlFacts, select: str) -> dict[str, str]:
    """What the lines are made of."""
    parts, reply = facts.parts, facts.reply
    key = shlex.quote(facts.key) if facts.key and facts.key.isprintable() else "KEY"
    unknown = facts.lies is Lies.UNKNOWN
    return {
        "answered": f"{reply.status} {reply.code}".strip() if reply else "no answer",
        "bucket": facts.bucket,
        "ended": _ended(facts),
        "fault": parts.fault,
        "key": key,
        "lies_in": f"; the bucket lies in {facts.region}" if facts.region else "",
        "not_here": _not_here(facts),
        "method": facts.signed_for or "",
        "mismatch": _mismatch(facts),
        "object": "no such object" if unknown or facts.lies is Lies.THERE else facts.lies.value,
        "place": parts.place,
        "region": parts.region or "another region",
        "select": select,
        "sign": f"recordings sign {select} {key}",
        "until": f", until {parts.end:%Y-%m-%d %H:%M:%S} UTC" if parts.end else "",
        "whose": _whose(facts),
    }


def _whose(facts: UrlFacts) -> str:
    return f"{facts.parts.key_id} ({facts.signer or 'none of this stack'})"


def _not_here(facts: UrlFacts) -> str:
    if facts.is_outside:
        return f": it lies outside of {facts.prefix}"
    return ", or the recording is gone: nobody here may look" if facts.lies is Lies.UNKNOWN else ""


def _ended(facts: UrlFacts) -> str:
    end = facts.parts.end
    if end is not None and end <= facts.now:
        return f"it ended {show_duration(facts.now - end)} ago"
    return "the login that signed it has ended" if facts.parts.session else "by the clock of the store, if not by ours"


def _mismatch(facts: UrlFacts) -> str:
    if not facts.tried_secret:
        return f"changed after it was signed, or signed with another secret than that of {facts.parts.key_id}"
    if facts.signed_for is None:
        return f"changed after it was signed, or not signed with the secret that the stack has for {facts.signer}"
    return "it is as it was signed: something on the way changes requests, or the key was made anew"
