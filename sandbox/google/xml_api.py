"""The XML API, path style (`/bucket/key`): objects, listings, and what clients ask about a bucket.

Requests bear a V4 signature, a bearer token, or nothing (and then get nothing, for no bucket is public). Sources:
cloud.google.com/storage/docs/xml-api/reference-methods, .../xml-api/reference-headers, .../access-control/iam-xml.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Final
from urllib.parse import unquote

from sandbox.google import signatures, xml_multipart
from sandbox.google.cloud import Cloud
from sandbox.google.errors import invalid, precondition_failed, unsupported
from sandbox.google.http import Json, Request, Response, xml_response
from sandbox.google.objects import (
    LIVE,
    NONCURRENT,
    Attributes,
    Listing,
    Objects,
    Page,
    Preconditions,
    Version,
    attributes_of,
    check_name,
)
from sandbox.google.objects_api import media, require_overwrite
from sandbox.google.policies import Caller, Target, require
from sandbox.google.uploads import finish, given_hashes
from sandbox.google.xml_forms import Element, bucket_list, listing, rendered, xml_etag

_PAGE: Final = 1000
_AFTER: Final = "\U0010ffff"
_SUBRESOURCES: Final = frozenset(
    {"acl", "billing", "compose", "cors", "defaultObjectAcl", "delete", "encryption", "encryptionConfig", "lifecycle",
     "logging", "notification", "object-lock", "ownershipControls", "policy", "policyStatus", "publicAccessBlock",
     "requestPayment", "restore", "retention", "select", "storageClass", "tagging", "torrent", "websiteConfig"}
)  # fmt: skip
_OVERRIDES: Final = {
    "response-content-type": "content-type",
    "response-content-disposition": "content-disposition",
    "response-content-encoding": "content-encoding",
    "response-content-language": "content-language",
    "response-cache-control": "cache-control",
    "response-expires": "expires",
}


async def service(cloud: Cloud, caller: Caller, request: Request) -> Response:
    """`/`: the project's buckets."""
    if request.method != "GET":
        raise unsupported(f"{request.method} /")
    cloud.require(caller, "storage.buckets.list")
    return xml_response(bucket_list(cloud.project_id, cloud.state.all("bucket")))


async def bucket_request(cloud: Cloud, caller: Caller, request: Request, payload: str, bucket: str) -> Response:
    """`/bucket`."""
    _refuse_subresources(request)
    if request.method == "HEAD":
        found = cloud.allowed_bucket(caller, "storage.buckets.get", bucket)
        return Response(200, b"", [("x-goog-metageneration", str(found["metageneration"]))])
    if request.method != "GET":
        raise unsupported(f"{request.method} on a bucket in the XML API; use the JSON API")
    for name in ("location", "versioning"):
        if name in request.query:
            return _bucket_fact(cloud.allowed_bucket(caller, "storage.buckets.get", bucket), name)
    if "uploads" in request.query:
        return xml_multipart.list_uploads(cloud, caller, request, cloud.bucket(bucket))
    found = cloud.allowed_bucket(caller, "storage.objects.list", bucket, list_prefix=request.query.get("prefix", ""))
    return xml_response(_listed(request, Objects(cloud, found), bucket))


def _bucket_fact(bucket: Json, name: str) -> Response:
    if name == "location":
        return xml_response(rendered("LocationConstraint", []).replace("><", f">{bucket['resource']['location']}<"))
    enabled = bucket["resource"].get("versioning", {}).get("enabled")
    status: list[Element] = [("Status", "Enabled" if enabled else "Suspended")] if enabled is not None else []
    return xml_response(rendered("VersioningConfiguration", status))


def _listed(request: Request, objects: Objects, bucket: str) -> str:
    second = request.query.get("list-type") == "2"
    versions = "versions" in request.query
    prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter", "")
    size = min(request.integer("max-keys", _PAGE) or 0, _PAGE)
    marker = _marker(request, second=second, versions=versions)
    start = marker + (_AFTER if delimiter and marker.endswith(delimiter) else "\0") if marker else ""
    states = (LIVE, NONCURRENT) if versions else (LIVE,)
    page = Page([], [], None)
    if size > 0:
        page = Listing(prefix, delimiter, states, (start, 0), "", size).page(objects)
    last = max([version.name for version in page.versions[-1:]] + page.prefixes[-1:], default="")
    echoed: list[Element] = [("Prefix", prefix), ("MaxKeys", str(size))]
    echoed += [("Delimiter", delimiter)] if delimiter else []
    echoed.append(("IsTruncated", str(page.following is not None).lower()))
    if second:
        echoed.append(("KeyCount", str(len(page.versions) + len(page.prefixes))))
    else:
        echoed.append(("KeyMarker" if versions else "Marker", marker))
    if page.following is not None:
        echoed.append(("NextContinuationToken" if second else "NextKeyMarker" if versions else "NextMarker", last))
    return listing(bucket, page, echoed, versions=versions)


def _marker(request: Request, *, second: bool, versions: bool) -> str:
    if second:
        return request.query.get("continuation-token") or request.query.get("start-after", "")
    return request.query.get("key-marker" if versions else "marker", "")


async def object_request(
    cloud: Cloud, caller: Caller, request: Request, payload: str, bucket: str, name: str
) -> Response:
    """`/bucket/key`."""
    _refuse_subresources(request)
    found = cloud.bucket(bucket)
    if "uploads" in request.query or "uploadId" in request.query:
        return await _multipart(cloud, caller, request, payload, found, name)
    if request.method in ("GET", "HEAD"):
        return _get(cloud, caller, request, found, name)
    if request.method == "PUT":
        return await _put(cloud, caller, request, payload, found, name)
    if request.method == "DELETE":
        require(cloud.project, caller, "storage.objects.delete", Target(found, name))
        Objects(cloud, found).delete(name, _generation(request), _preconditions(request))
        return Response(204)
    raise unsupported(f"{request.method} on an object in the XML API")


async def _multipart(cloud: Cloud, caller: Caller, request: Request, payload: str, bucket: Json, name: str) -> Response:
    if request.method == "POST" and "uploads" in request.query:
        return xml_multipart.begin(cloud, caller, bucket, name, _fields(request))
    body = _checked_body(request, payload)
    if request.method == "PUT":
        return await xml_multipart.put_part(cloud, caller, request, bucket, name, body)
    if request.method == "GET":
        return xml_multipart.list_parts(cloud, caller, request, bucket, name)
    if request.method == "POST":
        return await xml_multipart.complete(cloud, caller, request, bucket, name, _preconditions(request), body)
    if request.method == "DELETE":
        return xml_multipart.abort(cloud, caller, request, bucket, name)
    raise unsupported(f"{request.method} on a multipart upload")


def _get(cloud: Cloud, caller: Caller, request: Request, bucket: Json, name: str) -> Response:
    require(cloud.project, caller, "storage.objects.get", Target(bucket, name))
    version = Objects(cloud, bucket).get(name, _generation(request))
    _preconditions(request).check(version)
    modified = datetime.fromisoformat(version.updated)
    headers = [
        ("etag", xml_etag(version)),
        ("last-modified", format_datetime(modified, usegmt=True)),
        ("content-disposition", version.attributes.content_disposition or ""),
    ]
    for key, value in version.attributes.metadata.items():
        headers.append((f"x-goog-meta-{key}", value))
        if caller.aws:
            headers.append((f"x-amz-meta-{key}", value))
    if _is_unchanged(request, version, modified):
        return Response(304, b"", headers[:2])
    response = media(cloud, request, version, headers)
    return _overridden(request, response)


def _is_unchanged(request: Request, version: Version, modified: datetime) -> bool:
    """The conditional headers of RFC 9110. Raises GoogleError 412 for those that guard."""
    headers = request.headers
    if headers.get("if-match", xml_etag(version)) not in (xml_etag(version), "*"):
        raise precondition_failed()
    if "if-none-match" in headers:
        return headers["if-none-match"] in (xml_etag(version), "*")
    if "if-modified-since" in headers:
        try:
            return modified.replace(microsecond=0) <= parsedate_to_datetime(headers["if-modified-since"])
        except (ValueError, TypeError):
            return False
    return False


def _overridden(request: Request, response: Response) -> Response:
    for parameter, header in _OVERRIDES.items():
        if parameter in request.query:
            response.headers = [(key, value) for key, value in response.headers if key != header]
            response.headers.append((header, request.query[parameter]))
    return response


async def _put(cloud: Cloud, caller: Caller, request: Request, payload: str, bucket: Json, name: str) -> Response:
    check_name(name)
    require(cloud.project, caller, "storage.objects.create", Target(bucket, name))
    require_overwrite(cloud, caller, bucket, name)
    source = request.headers.get("x-goog-copy-source") or request.headers.get("x-amz-copy-source")
    if source:
        return _copied(cloud, caller, request, bucket, name, source)
    blob = await xml_multipart.received(cloud, _checked_body(request, payload), given_hashes(request))
    version = finish(cloud, bucket["name"], name, blob, _fields(request), _preconditions(request))
    return Response(200, b"", _written(version))


def _written(version: Version) -> list[tuple[str, str]]:
    hashes = [f"crc32c={version.crc32c}", *([f"md5={version.md5}"] if version.md5 else [])]
    return [
        ("etag", xml_etag(version)),
        ("x-goog-generation", str(version.generation)),
        ("x-goog-metageneration", str(version.metageneration)),
        ("x-goog-hash", ",".join(hashes)),
        ("x-goog-stored-content-length", str(version.size)),
    ]


def _copied(cloud: Cloud, caller: Caller, request: Request, bucket: Json, name: str, source: str) -> Response:
    from_bucket, _, from_name = unquote(source).lstrip("/").partition("/")
    origin = cloud.allowed_bucket(caller, "storage.objects.get", from_bucket, name=from_name)
    version = Objects(cloud, origin).get(from_name)
    directive = request.headers.get("x-goog-metadata-directive") or request.headers.get("x-amz-metadata-directive")
    attributes: Attributes = attributes_of(_fields(request)) if directive == "REPLACE" else version.attributes
    made = Objects(cloud, bucket).copy(version, name, attributes, _preconditions(request))
    result: list[Element] = [("LastModified", made.updated), ("ETag", xml_etag(made))]
    return xml_response(rendered("CopyObjectResult", result), headers=_written(made)[1:])


async def _checked_body(request: Request, payload: str) -> AsyncIterator[bytes]:
    """The body; if its hash is signed, it must be that."""
    digest = hashlib.sha256()
    async for piece in request.stream():
        digest.update(piece)
        yield piece
    if signatures.is_hash(payload) and digest.hexdigest() != payload:
        raise invalid("The provided 'x-amz-content-sha256' header does not match what was computed.", "BadDigest")


def _fields(request: Request) -> Json:
    """What the headers say about the new object, under the names of the object resource."""
    headers = request.headers
    for name in ("x-goog-acl", "x-amz-acl"):
        if name in headers:
            raise invalid("Cannot insert legacy ACL for an object when uniform bucket-level access is enabled.")
    for name in headers:
        if name.startswith(
            ("x-goog-encryption-", "x-amz-server-side-encryption", "x-amz-tagging", "x-amz-object-lock")
        ):
            raise unsupported(f"the header {name}")
    metadata = {
        name.removeprefix(prefix): value
        for name, value in headers.items()
        for prefix in ("x-goog-meta-", "x-amz-meta-")
        if name.startswith(prefix)
    }
    named = {
        "contentType": headers.get("content-type"),
        "cacheControl": headers.get("cache-control"),
        "contentDisposition": headers.get("content-disposition"),
        "contentEncoding": headers.get("content-encoding"),
        "contentLanguage": headers.get("content-language"),
        "customTime": headers.get("x-goog-custom-time"),
        "storageClass": headers.get("x-goog-storage-class") or headers.get("x-amz-storage-class"),
    }
    return {**{key: value for key, value in named.items() if value is not None}, "metadata": metadata}


def _preconditions(request: Request) -> Preconditions:
    def number(name: str) -> int | None:
        value = request.headers.get(f"x-goog-if-{name}")
        if value is None:
            return None
        if not value.isascii() or not value.isdigit():
            raise invalid(f"Invalid value for the header x-goog-if-{name}: {value!r} is not a whole number.")
        return int(value)

    return Preconditions(number("generation-match"), None, number("metageneration-match"), None)


def _generation(request: Request) -> int | None:
    generation = request.integer("generation")
    return generation if generation is not None else request.integer("versionId")


def _refuse_subresources(request: Request) -> None:
    for name in request.query:
        if name in _SUBRESOURCES:
            raise unsupported(f"the XML API's subresource {name}")
