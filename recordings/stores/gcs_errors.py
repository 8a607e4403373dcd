"""What Google says, in the words of `recordings.errors`: answers of both its storage APIs, JSON and XML.

Owns the tables of error codes, reasons and organisation policies, and the messages with the next act. Imports nothing
of Google's: exceptions of its libraries are reduced to an answer in `gcs_sdk_errors`. A message holds the operation,
the thing, Google's code and the next act; never a secret, never the query of a URL.

Sources: https://cloud.google.com/storage/docs/xml-api/reference-status, .../json_api/v1/status-codes,
https://cloud.google.com/storage/docs/org-policy-constraints.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from xml.etree import ElementTree

from recordings.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    CredentialsError,
    ObjectNotFoundError,
    OrganisationPolicyError,
    PreconditionError,
    StoreError,
    StoreUnreachableError,
)
from recordings.redact import redact

CODES: Final[Mapping[str, type[StoreError]]] = {
    **dict.fromkeys(
        ("AccessDenied", "AccountProblem", "UserProjectAccountProblem", "forbidden", "insufficientPermissions"),
        AccessDeniedError,
    ),
    **dict.fromkeys(
        (
            "AuthenticationRequired",
            "ExpiredToken",
            "InvalidAccessKeyId",
            "InvalidSecurity",
            "InvalidToken",
            "MalformedSecurityHeader",
            "MissingSecurityHeader",
            "RequestTimeTooSkewed",
            "SignatureDoesNotMatch",
            "authError",
            "required",
            "accountDisabled",
        ),
        CredentialsError,
    ),
    **dict.fromkeys(("NoSuchKey", "NoSuchUpload", "NoSuchVersion"), ObjectNotFoundError),
    "NoSuchBucket": BucketNotFoundError,
    **dict.fromkeys(("PreconditionFailed", "conditionNotMet", "conflict"), PreconditionError),
    **dict.fromkeys(
        (
            "InternalError",
            "OperationAborted",
            "RequestTimeout",
            "ServiceUnavailable",
            "SlowDown",
            "backendError",
            "internalError",
            "rateLimitExceeded",
            "userRateLimitExceeded",
        ),
        StoreUnreachableError,
    ),
}
"""Codes of the XML API and reasons of the JSON API; what is in neither goes by its HTTP status."""

STATUSES: Final[Mapping[int, type[StoreError]]] = {
    401: CredentialsError,
    403: AccessDeniedError,
    404: ObjectNotFoundError,
    408: StoreUnreachableError,
    409: PreconditionError,
    412: PreconditionError,
    429: StoreUnreachableError,
}
"""For answers with no code, as those to HEAD are. Google answers 409 where another change came in between."""

NEXT: Final[Mapping[type[StoreError], str]] = {
    AccessDeniedError: "this identity is valid but not allowed to: check its role on the bucket, the condition with "
    "the prefix, and `pulumi up`",
    CredentialsError: "check that the key is active and of this stack, that the clock is right, and for the operator "
    "the login (`gcloud auth application-default login`, or GOOGLE_APPLICATION_CREDENTIALS)",
    ObjectNotFoundError: "check the key with `gcloud storage ls`, letter by letter",
    BucketNotFoundError: "check bucketName in the stack outputs; was the stack destroyed?",
    PreconditionError: "somebody else wrote it meanwhile: read it again, then decide",
    StoreUnreachableError: "retries are used up: check the network and status.cloud.google.com, then try again",
    StoreError: "see the code above in Google's reference of status codes",
}

_KEYS_FORBIDDEN: Final = (
    "an organisation policy forbids to make keys of service accounts, HMAC keys included, and 100ms takes nothing "
    "else: ask the organisation's administrator for an exception for this project, or give keys made elsewhere as "
    "`recordings:writerExternal` and `recordings:readerExternal`"
)
POLICIES: Final[Mapping[str, str]] = {
    "iam.disableServiceAccountKeyCreation": _KEYS_FORBIDDEN,
    "iam.managed.disableServiceAccountKeyCreation": _KEYS_FORBIDDEN,
    "storage.restrictAuthTypes": (
        "an organisation policy refuses requests signed with HMAC keys, and 100ms signs with nothing else: ask the "
        "organisation's administrator to allow SERVICE_ACCOUNT_HMAC_SIGNED_REQUESTS in this project, or keep "
        "recordings in a project where it is allowed"
    ),
    "storage.secureHttpTransport": "an organisation policy refuses plain HTTP: use https",
}
"""Constraints that stand in this project's way, and the way out."""
_OTHER_POLICY: Final = (
    "an organisation policy forbids it: ask the organisation's administrator for an exception for this project"
)
_CONSTRAINT: Final = re.compile(r"constraints/([A-Za-z.]+[A-Za-z])")


@dataclass(frozen=True)
class Refusal:
    """An answer that is an error: HTTP status, Google's code or reason, and its message."""

    status: int
    code: str = ""
    message: str = ""

    @property
    def kind(self) -> type[StoreError]:
        """What it means."""
        if _CONSTRAINT.search(self.message):
            return OrganisationPolicyError
        if self.status == 404 and "bucket does not exist" in self.message:
            return BucketNotFoundError
        found = CODES.get(self.code) or STATUSES.get(self.status)
        return found or (StoreUnreachableError if self.status >= 500 else StoreError)

    @property
    def next_act(self) -> str:
        """What to do about it."""
        return way_out(self.message) or NEXT[self.kind]

    def error(self, what: str) -> StoreError:
        """The error to raise; `what` says who did what to which thing."""
        said = f"{self.code or self.status}{f' ({redact(self.message)})' if self.message else ''}"
        return self.kind(f"{what}: {said}; {self.next_act}")


def way_out(message: str) -> str | None:
    """What to do if `message` says that an organisation policy forbids something, else None.

    Any text will do in which Google names the constraint, such as what a deployment printed.
    """
    named = _CONSTRAINT.search(message)
    return POLICIES.get(named[1], _OTHER_POLICY) if named else None


def from_xml(status: int, body: bytes) -> Refusal:
    """The refusal in an answer of the XML API; `Details` says more than `Message` where it is there."""
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - the provider's own answer; expat bounds entities
    except ElementTree.ParseError:
        return Refusal(status)
    return Refusal(status, root.findtext("Code") or "", root.findtext("Details") or root.findtext("Message") or "")


def from_json(status: int, body: bytes) -> Refusal:
    """The refusal in an answer of the JSON API, or of IAM, which names no reason."""
    try:
        error: Any = json.loads(body)["error"]
        reasons = error.get("errors") or [{}]
        return Refusal(status, str(reasons[0].get("reason", "")), str(error.get("message", "")))
    except (ValueError, TypeError, KeyError, AttributeError, IndexError):
        return Refusal(status)
