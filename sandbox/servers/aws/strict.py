"""Rules of the real AWS that ministack does not have, put behind its own authorisation.

Each runs after ministack has decided that the caller may do it and before the work, so that who may not do a thing is
still told just that. The last one rewrites an answer: who may not list a bucket is not told that an object is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

from sandbox.servers.aws.emulator import Emulator, Handler, Headers, Query
from sandbox.servers.aws.errors import Answer, query_error, s3_error
from sandbox.servers.aws.lifecycle import LifecycleError, check_rules, parse_rules

TLS_VERSION: ContextVar[str | None] = ContextVar("tls_version", default=None)
"""The TLS version of the current request's connection (`1.3`), None for plain HTTP."""

MIN_PART_BYTES: Final = 5 * 1024 * 1024
_KEYS_PER_USER: Final = 2
_OBJECT_QUERY: Final = frozenset({"versionId", "partNumber", "x-id"})


@dataclass(frozen=True)
class S3Request:
    """A request as ministack's S3 handler gets it."""

    emulator: Emulator
    method: str
    path: str
    headers: Headers
    body: bytes
    query: Query

    @property
    def bucket(self) -> str:
        """The bucket, empty for the service itself."""
        return self.path.lstrip("/").partition("/")[0]

    @property
    def key(self) -> str:
        """The object key, empty for a bucket."""
        return self.path.lstrip("/").partition("/")[2]

    @property
    def reads_object(self) -> bool:
        """Whether it is GetObject or HeadObject, not a subresource."""
        plain = {name for name in self.query if not name.lower().startswith(("x-amz-", "response-"))}
        return self.method in ("GET", "HEAD") and bool(self.key) and plain <= _OBJECT_QUERY


def make_strict(emulator: Emulator) -> None:
    """Put the rules into ministack, in this process."""
    emulator.s3.handle_request = _with_s3_rules(emulator, emulator.s3.handle_request)
    emulator.iam.handle_request = _with_iam_rules(emulator, emulator.iam.handle_request)
    emulator.evaluator._resolve_condition_key = _with_tls_version(emulator.evaluator._resolve_condition_key)


def _with_s3_rules(emulator: Emulator, original: Callable[..., Any]) -> Callable[..., Any]:
    rules = (lifecycle_rule, part_size_rule)

    async def handle(
        method: str, path: str, headers: Headers, body: bytes, query_params: Query, *more: Any, **named: Any
    ) -> Any:
        request = S3Request(emulator, method, path, headers, body, query_params)
        for rule in rules:
            refusal = rule(request)
            if refusal is not None:
                return refusal
        answer = await original(method, path, headers, body, query_params, *more, **named)
        return missing_object_rule(request, answer[0]) or answer

    return handle


def _with_iam_rules(emulator: Emulator, original: Handler) -> Handler:
    async def handle(method: str, path: str, headers: Headers, body: bytes, query_params: Query) -> Any:
        refusal = access_key_rule(emulator, {**query_params, **parse_qs(body.decode("latin-1"))})
        return refusal or await original(method, path, headers, body, query_params)

    return handle


def _with_tls_version(original: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    def resolve(key: str, context: Any) -> Any:
        return TLS_VERSION.get() if key.lower() == "s3:tlsversion" else original(key, context)

    return resolve


def access_key_rule(emulator: Emulator, form: Query) -> Answer | None:
    """A user has two access keys at most."""
    if form.get("Action") != ["CreateAccessKey"]:
        return None
    user = form.get("UserName", [""])[0]
    if len(emulator.keys_of(user)) < _KEYS_PER_USER:
        return None
    return query_error("iam", 409, "LimitExceeded", f"Cannot exceed quota for AccessKeysPerUser: {_KEYS_PER_USER}")


def lifecycle_rule(request: S3Request) -> Answer | None:
    """A lifecycle configuration is checked as S3 does."""
    if request.method != "PUT" or request.key or "lifecycle" not in request.query:
        return None
    try:
        check_rules(parse_rules(request.body))
    except LifecycleError as error:
        return s3_error(400, error.code, str(error))
    return None


def part_size_rule(request: S3Request) -> Answer | None:
    """Every part but the last has 5 MiB or more."""
    if request.method != "POST" or "uploadId" not in request.query:
        return None
    sizes = request.emulator.part_sizes(request.query["uploadId"][0], request.body)
    for number, size in sizes[:-1]:
        if size < MIN_PART_BYTES:
            message = "Your proposed upload is smaller than the minimum allowed size"
            extra = {"ProposedSize": str(size), "MinSizeAllowed": str(MIN_PART_BYTES), "PartNumber": str(number)}
            return s3_error(400, "EntityTooSmall", message, **extra)
    return None


def missing_object_rule(request: S3Request, status: int) -> Answer | None:
    """Who may not list the bucket gets 403 for an object that is not there, as for one that is forbidden.

    The right to list is asked for with the object key as `s3:prefix`, so that a right bound to a prefix counts.
    """
    if status != 404 or not request.reads_object or request.emulator.bucket_region(request.bucket) is None:
        return None
    if request.emulator.may_list(request.bucket, request.key, request.headers, request.query):
        return None
    return s3_error(403, "AccessDenied", "Access Denied")
