"""Google's errors in the forms in which Google writes them, and nothing that decides about them.

One refusal has three faces: the storage JSON API's (`errors[].reason`), the XML API's (`<Code>`), and that of the
newer APIs (IAM, Resource Manager: `status`). `GoogleError` carries what all three need; the surface that a request
came in by picks the face. OAuth has its own (`OAuthError`, RFC 6749 section 5.2).

Sources: cloud.google.com/storage/docs/json_api/v1/status-codes, .../xml-api/reference-status, and answers of the real
service that users published (the XML API puts a general sentence into `<Message>`, the particular one into
`<Details>`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final
from xml.sax.saxutils import escape

_STATUS: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
}
_GENERAL: Final = {
    400: "Invalid argument.",
    403: "Access denied.",
    404: "The specified key does not exist.",
    412: "At least one of the pre-conditions you specified did not hold.",
}
PRECONDITION: Final = "At least one of the pre-conditions you specified did not hold."


class GoogleError(Exception):
    """A refusal. `reason` is the JSON API's, `code` the XML API's; `extra` are further XML elements."""

    def __init__(
        self,
        http: int,
        reason: str,
        message: str,
        *,
        code: str = "",
        general: str = "",
        status: str = "",
        location: tuple[str, str] | None = None,
        details: Sequence[dict[str, Any]] = (),
        extra: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.http = http
        self.reason = reason
        self.message = message
        self.code = code or reason[:1].upper() + reason[1:]
        self.general = general or _GENERAL.get(http, message)
        self.status = status or _STATUS.get(http, "INTERNAL")
        self.location = location
        self.details = details
        self.extra = extra

    def as_json(self) -> bytes:
        """The storage JSON API's form."""
        entry: dict[str, Any] = {"message": self.message, "domain": "global", "reason": self.reason}
        if self.location:
            entry["locationType"], entry["location"] = self.location
        return json.dumps({"error": {"code": self.http, "message": self.message, "errors": [entry]}}).encode()

    def as_status(self) -> bytes:
        """The form of IAM and Resource Manager."""
        error: dict[str, Any] = {"code": self.http, "message": self.message, "status": self.status}
        if self.details:
            error["details"] = list(self.details)
        return json.dumps({"error": error}).encode()

    def as_xml(self) -> bytes:
        """The XML API's form."""
        parts = [("Code", self.code), ("Message", self.general)]
        if self.message != self.general:
            parts.append(("Details", self.message))
        body = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in [*parts, *self.extra])
        return f"<?xml version='1.0' encoding='UTF-8'?><Error>{body}</Error>".encode()


class OAuthError(Exception):
    """A refusal of the token endpoint."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description

    def as_json(self) -> bytes:
        """The body, RFC 6749 section 5.2."""
        return json.dumps({"error": self.error, "error_description": self.description}).encode()


def invalid(message: str, code: str = "InvalidArgument") -> GoogleError:
    """400: an argument cannot be used."""
    return GoogleError(400, "invalid", message, code=code)


def required(message: str) -> GoogleError:
    """400: an argument is missing."""
    return GoogleError(400, "required", message, code="InvalidArgument")


def unsupported(what: str) -> GoogleError:
    """501: Google may well know it, this sandbox does not, and it ignores nothing in silence."""
    return GoogleError(501, "notImplemented", f"The sandbox does not support {what}.", code="NotImplemented")


def bucket_not_found() -> GoogleError:
    """404: no such bucket."""
    message = "The specified bucket does not exist."
    return GoogleError(404, "notFound", message, code="NoSuchBucket", general=message)


def object_not_found(bucket: str, name: str) -> GoogleError:
    """404: no such object, or not in this generation."""
    return GoogleError(404, "notFound", f"No such object: {bucket}/{name}", code="NoSuchKey")


def upload_not_found() -> GoogleError:
    """404: no such multipart upload."""
    message = "The requested upload was not found."
    return GoogleError(404, "notFound", message, code="NoSuchUpload", general=message)


def precondition_failed(message: str = PRECONDITION) -> GoogleError:
    """412: a condition that came with the request does not hold."""
    return GoogleError(
        412,
        "conditionNotMet",
        message,
        code="PreconditionFailed",
        location=("header", "If-Match"),
        general=PRECONDITION,
    )


def constraint_violated(constraint: str) -> GoogleError:
    """412: an organisation policy forbids it."""
    message = f"Request violates constraint '{constraint}'"
    return GoogleError(412, "conditionNotMet", message, code="OrgPolicyConstraintViolated")


def conflict(message: str, code: str) -> GoogleError:
    """409: something with this name is there already, or still."""
    return GoogleError(409, "conflict", message, code=code, general=message)


def bad_credentials() -> GoogleError:
    """401: an access token that is unknown or has expired."""
    return GoogleError(
        401,
        "authError",
        "Invalid Credentials",
        code="AuthenticationRequired",
        general="Authentication required.",
        location=("header", "Authorization"),
    )


def denied(who: str | None, permission: str) -> GoogleError:
    """403, or 401 where nobody is logged in: the permission is missing. `who` is None for an anonymous caller."""
    what = "bucket" if permission.startswith("storage.buckets.") or permission.endswith(".list") else "object"
    message = (
        f"{who or 'Anonymous caller'} does not have {permission} access to the Google Cloud Storage {what}. "
        f"Permission '{permission}' denied on resource (or it may not exist)."
    )
    if who is None:
        return AnonymousError(message)
    return GoogleError(403, "forbidden", message, code="AccessDenied")


class AnonymousError(GoogleError):
    """Nobody is logged in: 401 in JSON, 403 in XML."""

    def __init__(self, message: str) -> None:
        super().__init__(
            401,
            "required",
            message,
            code="AccessDenied",
            general="Access denied.",
            location=("header", "Authorization"),
        )
