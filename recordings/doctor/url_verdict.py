"""The verdict on a presigned URL, as a pure function of what is known of it: which of sixteen causes stops it now.

Knows no store and sends nothing (`recordings.doctor.url` gathers), and has no words (`recordings.doctor.url_words`).

Sources: "Error responses" of the S3 API Reference; https://cloud.google.com/storage/docs/xml-api/reference-status.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from recordings.doctor.url_parts import Parts

READS: Final = ("GET", "HEAD")
_SKEW: Final = timedelta(minutes=15)
"""S3 takes a URL that begins so much in the future."""


class Cause(StrEnum):
    """Why it fails."""

    WORKS = "it works"
    MALFORMED = "it is not whole"
    UNSIGNED = "it is not signed"
    ELSEWHERE = "it leads elsewhere"
    METHOD = "it was signed for something else"
    EXPIRED = "it has expired"
    NOT_YET = "it is not good yet"
    WRONG_KEY = "its key is refused"
    CHANGED = "its signature does not match"
    WRONG_REGION = "it was signed for the wrong region"
    NO_BUCKET = "the bucket is gone"
    GONE = "the recording is gone"
    ARCHIVED = "the recording is archived"
    DENIED = "its key may not read this"
    UNREACHABLE = "the store gives no answer"
    OTHER = "the store refuses it"


CODES: Final = {
    **dict.fromkeys(("InvalidAccessKeyId", "InvalidSecurity", "InvalidClientTokenId"), Cause.WRONG_KEY),
    "SignatureDoesNotMatch": Cause.CHANGED,
    **dict.fromkeys(("NoSuchKey", "NoSuchVersion"), Cause.GONE),
    "NoSuchBucket": Cause.NO_BUCKET,
    **dict.fromkeys(("InvalidObjectState", "ObjectNotInActiveTierError"), Cause.ARCHIVED),
    **dict.fromkeys(
        (
            "PermanentRedirect",
            "TemporaryRedirect",
            "AuthorizationHeaderMalformed",
            "IllegalLocationConstraintException",
        ),
        Cause.WRONG_REGION,
    ),
    **dict.fromkeys(("ExpiredToken", "RequestExpired", "InvalidToken", "TokenRefreshRequired"), Cause.EXPIRED),
    "RequestTimeTooSkewed": Cause.NOT_YET,
}
"""What an error code says by itself; `AccessDenied` says too little, and is looked into."""


class Lies(StrEnum):
    """What became of the object, as far as somebody here may see."""

    THERE = "there"
    GONE = "gone"
    DELETED = "deleted, with an old version left"
    ARCHIVED = "archived"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Reply:
    """What the store answered: HTTP status, its error code and message."""

    status: int
    code: str = ""
    message: str = ""


@dataclass(frozen=True)
class UrlFacts:
    """All that is known. `reply` is None where none came, or where nothing was asked; times are UTC.

    `key` is the object key, None where the URL leads out of the stack's buckets. `signer` names the key of the stack
    that the URL names, and `signed_for` the method for which that key really signed it (None: the URL was changed).
    """

    parts: Parts
    now: datetime
    bucket: str = ""
    key: str | None = None
    reply: Reply | None = None
    lies: Lies = Lies.UNKNOWN
    region: str = ""
    prefix: str = ""
    """Outside of it, nobody is allowed to read."""
    signer: str | None = None
    signed_for: str | None = None
    signer_is_active: bool = True

    @property
    def is_outside(self) -> bool:
        """Whether it leads to our bucket, and out of the prefix."""
        return self.key is not None and not self.key.startswith(self.prefix)

    @property
    def tried_secret(self) -> bool:
        """Whether the signature could be made again here, to compare."""
        return self.signer is not None and self.parts.signed_headers == ("host",)


def cause(facts: UrlFacts) -> Cause:
    """The one reason that stops it now."""
    parts, reply = facts.parts, facts.reply
    if parts.fault:
        return Cause.MALFORMED
    if facts.key is None:
        return Cause.ELSEWHERE
    if not parts.is_signed:
        return Cause.UNSIGNED
    if facts.signed_for is not None and facts.signed_for not in READS:
        return Cause.METHOD
    if reply is None:
        return Cause.UNREACHABLE
    if 200 <= reply.status < 300 or reply.status == 416:
        return Cause.WORKS
    return _refused(facts, reply)


def _refused(facts: UrlFacts, reply: Reply) -> Cause:
    parts, said = facts.parts, reply.message.lower()
    if "expired" in said or (parts.end is not None and parts.end <= facts.now and reply.status in (400, 403)):
        return Cause.EXPIRED
    if "not valid yet" in said or (parts.start is not None and parts.start > facts.now + _SKEW):
        return Cause.NOT_YET
    if (reply.code == "AuthorizationQueryParametersError" and "region" in said) or reply.status in (301, 307):
        return Cause.WRONG_REGION
    if reply.code in CODES:
        return CODES[reply.code]
    if reply.status == 404:
        return Cause.GONE
    if reply.status in (401, 403):
        gone = facts.lies in (Lies.GONE, Lies.DELETED) and not facts.is_outside
        return Cause.GONE if gone else Cause.ARCHIVED if facts.lies is Lies.ARCHIVED else Cause.DENIED
    return Cause.UNREACHABLE if reply.status == 429 or reply.status >= 500 else Cause.OTHER
