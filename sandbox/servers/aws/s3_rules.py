"""Rules of S3 that ministack does not have, each a function of a request that is already authorised.

Lifecycle is `lifecycle`, encryption with KMS `encryption`. Sources: the Amazon S3 User Guide and API Reference; error
texts as S3 answers them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import fromstring

from sandbox.servers.aws.emulator import Emulator, Headers, Query
from sandbox.servers.aws.errors import Answer, s3_error
from sandbox.servers.aws.lifecycle import LifecycleError, check_rules, parse_rules

MIN_PART_BYTES: Final = 5 * 1024 * 1024
_OBJECT_QUERY: Final = frozenset({"versionId", "partNumber", "x-id"})
_CORS_METHODS: Final = ("GET", "PUT", "HEAD", "POST", "DELETE")


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

    def sets(self, subresource: str) -> bool:
        """Whether it puts this configuration of a bucket."""
        return self.method == "PUT" and not self.key and subresource in self.query

    def xml(self) -> Element:
        """The body without namespaces; an empty element if it is no XML, which ministack refuses by itself."""
        try:
            root: Element = fromstring(self.body)
        except (ParseError, ValueError):
            return Element("none")
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        return root


def lifecycle_rule(request: S3Request) -> Answer | None:
    """A lifecycle configuration is checked as S3 does."""
    if not request.sets("lifecycle"):
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


def logging_rule(request: S3Request) -> Answer | None:
    """Access logs go to a bucket that is there."""
    target = request.xml().findtext("LoggingEnabled/TargetBucket") if request.sets("logging") else None
    if target is None or request.emulator.bucket_region(target) is not None:
        return None
    message = "The target bucket for logging does not exist"
    return s3_error(400, "InvalidTargetBucketForLogging", message, TargetBucket=target)


def cors_rule(request: S3Request) -> Answer | None:
    """CORS knows five methods, one wildcard in an origin, and none in an exposed header."""
    if not request.sets("cors"):
        return None
    root = request.xml()
    for method in root.iter("AllowedMethod"):
        if method.text not in _CORS_METHODS:
            found = f"Found unsupported HTTP method in CORS config. Unsupported method is {method.text}"
            return s3_error(400, "InvalidRequest", found)
    for name in ("AllowedOrigin", "AllowedHeader"):
        for element in root.iter(name):
            if (element.text or "").count("*") > 1:
                message = f'{name} "{element.text}" can not have more than one wildcard.'
                return s3_error(400, "InvalidRequest", message)
    for header in root.iter("ExposeHeader"):
        if "*" in (header.text or ""):
            found = f'ExposeHeader "{header.text}" contains wildcard.'
            return s3_error(400, "InvalidRequest", f"{found} We currently do not support wildcard for ExposeHeader.")
    return None


def bucket_policy_rule(request: S3Request) -> Answer | None:
    """A bucket policy is about this bucket and about principals that are there."""
    if not request.sets("policy"):
        return None
    arn = f"arn:aws:s3:::{request.bucket}"
    for statement in _statements(request.body):
        resources = _listed(statement.get("Resource")) + _listed(statement.get("NotResource"))
        if any(str(one) != arn and not str(one).startswith(f"{arn}/") for one in resources):
            return s3_error(400, "MalformedPolicy", "Policy has invalid resource")
        principal = statement.get("Principal")
        named = _listed(principal.get("AWS")) if isinstance(principal, dict) else []
        if not all(request.emulator.is_principal(str(one)) for one in named):
            return s3_error(400, "MalformedPolicy", "Invalid principal in policy")
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


def _statements(body: bytes) -> Iterator[dict[str, Any]]:
    try:
        policy = json.loads(body)
    except ValueError:
        return
    for statement in _listed(policy.get("Statement") if isinstance(policy, dict) else None):
        if isinstance(statement, dict):
            yield statement


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
