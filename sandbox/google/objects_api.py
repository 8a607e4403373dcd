"""Objects of the JSON API: get, download, list, patch, delete, restore, compose, rewrite and copy.

Uploads are in `sandbox.google.uploads`. `fields` is ignored (the answer holds everything). Sources:
cloud.google.com/storage/docs/json_api/v1/objects, .../access-control/iam-json (permissions per method).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import quote

from sandbox.google import blobs
from sandbox.google.buckets import merged
from sandbox.google.cloud import Cloud
from sandbox.google.errors import GoogleError, invalid, required, unsupported
from sandbox.google.http import FileSlice, Json, Request, Response, json_response
from sandbox.google.objects import (
    LIVE,
    NONCURRENT,
    SOFT_DELETED,
    Attributes,
    Listing,
    Objects,
    Preconditions,
    Version,
    attributes_of,
)
from sandbox.google.policies import Caller, Target, require

_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)")
_READ_ONLY: Final = frozenset(
    {"kind", "id", "selfLink", "mediaLink", "name", "bucket", "generation", "metageneration", "timeCreated", "updated",
     "timeStorageClassUpdated", "timeFinalized", "timeDeleted", "softDeleteTime", "hardDeleteTime", "size", "md5Hash",
     "crc32c", "etag", "componentCount", "owner"}
)  # fmt: skip
_WRITABLE: Final = frozenset(
    {"contentType", "cacheControl", "contentDisposition", "contentEncoding", "contentLanguage", "customTime",
     "storageClass", "metadata"}
)  # fmt: skip
_PAGE: Final = 1000
_COMPOSE_LIMIT: Final = 32


def resource(request: Request, version: Version) -> Json:
    """The object as the API shows it."""
    path = f"{request.base}/storage/v1/b/{version.bucket}/o/{_encoded(version.name)}"
    media = f"{request.base}/download/storage/v1/b/{version.bucket}/o/{_encoded(version.name)}"
    attributes = version.attributes
    shown: Json = {
        "kind": "storage#object",
        "id": f"{version.bucket}/{version.name}/{version.generation}",
        "selfLink": path,
        "mediaLink": f"{media}?generation={version.generation}&alt=media",
        "name": version.name,
        "bucket": version.bucket,
        "generation": str(version.generation),
        "metageneration": str(version.metageneration),
        "contentType": attributes.content_type,
        "storageClass": version.storage_class,
        "size": str(version.size),
        "md5Hash": version.md5,
        "crc32c": version.crc32c,
        "componentCount": version.components,
        "etag": version.etag,
        "timeCreated": version.created,
        "updated": version.updated,
        "timeFinalized": version.created,
        "timeStorageClassUpdated": version.class_updated,
        "timeDeleted": version.noncurrent_since,
        "softDeleteTime": version.soft_deleted,
        "hardDeleteTime": version.hard_delete,
        "cacheControl": attributes.cache_control,
        "contentDisposition": attributes.content_disposition,
        "contentEncoding": attributes.content_encoding,
        "contentLanguage": attributes.content_language,
        "customTime": attributes.custom_time,
        "metadata": attributes.metadata or None,
    }
    return {key: value for key, value in shown.items() if value is not None}


def _encoded(name: str) -> str:
    return quote(name, safe="~")


def preconditions(request: Request) -> Preconditions:
    """The conditions in the query string."""
    return Preconditions(
        request.integer("ifGenerationMatch"),
        request.integer("ifGenerationNotMatch"),
        request.integer("ifMetagenerationMatch"),
        request.integer("ifMetagenerationNotMatch"),
    )


def checked_attributes(fields: Json) -> Attributes:
    """Attributes of an object resource as a client writes it; unknown fields are refused by name."""
    unknown = sorted(name for name in set(fields) - _READ_ONLY - _WRITABLE if fields[name] not in (None, [], False))
    if unknown:
        raise invalid(f"Invalid value at '{unknown[0]}': unknown field, or one that the sandbox does not support.")
    return attributes_of(fields)


def refuse_parameters(request: Request, *names: str) -> None:
    """Raise GoogleError for parameters that would change the outcome and that are not supported."""
    for name in names:
        if request.query.get(name):
            raise unsupported(f"the parameter {name}")


def require_overwrite(cloud: Cloud, caller: Caller, bucket: Json, name: str) -> None:
    """Replacing a live object needs the right to delete it, beside the right to create."""
    if Objects(cloud, bucket).live(name) is not None:
        require(cloud.project, caller, "storage.objects.delete", Target(bucket, name))


async def get_object(cloud: Cloud, caller: Caller, request: Request, bucket: str, name: str) -> Response:
    """`objects.get`: metadata, or with `alt=media` the bytes."""
    found = cloud.allowed_bucket(caller, "storage.objects.get", bucket, name=name)
    soft_deleted = request.flag("softDeleted")
    generation = request.integer("generation")
    if soft_deleted and generation is None:
        raise required("Required parameter: generation")
    version = Objects(cloud, found).get(name, generation, soft_deleted=soft_deleted)
    unchanged = _condition_answer(request, version)
    if unchanged:
        return unchanged
    if request.query.get("alt") == "media" or request.path.startswith("/download/"):
        if soft_deleted:
            raise invalid("A soft-deleted object cannot be downloaded: restore it first.")
        return media(cloud, request, version, [("content-disposition", version.attributes.content_disposition or "")])
    return json_response(resource(request, version), headers=[("etag", version.etag)])


def _condition_answer(request: Request, version: Version) -> Response | None:
    conditions = preconditions(request)
    if version.generation == conditions.not_generation or version.metageneration == conditions.not_metageneration:
        return Response(304)
    conditions.check(version)
    return None


def media(cloud: Cloud, request: Request, version: Version, headers: Sequence[tuple[str, str]]) -> Response:
    """The bytes, whole or by Range (206), with the headers that describe them."""
    wanted = requested_range(request, version)
    start, length = wanted or (0, version.size)
    hashes = [f"crc32c={version.crc32c}", *([f"md5={version.md5}"] if version.md5 else [])]
    described = [
        ("content-type", version.attributes.content_type or "application/octet-stream"),
        ("accept-ranges", "bytes"),
        ("cache-control", version.attributes.cache_control or "private, max-age=0"),
        ("content-encoding", version.attributes.content_encoding or ""),
        ("content-language", version.attributes.content_language or ""),
        ("x-goog-generation", str(version.generation)),
        ("x-goog-metageneration", str(version.metageneration)),
        ("x-goog-storage-class", version.storage_class),
        ("x-goog-stored-content-encoding", version.attributes.content_encoding or "identity"),
        ("x-goog-stored-content-length", str(version.size)),
        ("x-goog-hash", ",".join(hashes)),
        *headers,
    ]
    if wanted is not None:  # also of all bytes, as browsers ask for a video (RFC 9110, 15.3.7)
        described.append(("content-range", f"bytes {start}-{start + length - 1}/{version.size}"))
    body = FileSlice(cloud.state.blobs / version.file, start, length)
    return Response(200 if wanted is None else 206, body, [(key, value) for key, value in described if value])


def requested_range(request: Request, version: Version) -> tuple[int, int] | None:
    """Start and length of what the Range header asks for, None without one that can be read. Raises GoogleError 416."""
    match = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first == "":
        length = min(int(last), version.size)
        start = version.size - length
    else:
        start = int(first)
        end = min(int(last), version.size - 1) if last else version.size - 1
        length = end - start + 1
    if length <= 0 or start >= version.size:
        message = f"Request range not satisfiable: the object has {version.size} bytes."
        raise GoogleError(
            416, "requestedRangeNotSatisfiable", message, code="InvalidRange",
            general="The requested range cannot be satisfied.",
        )  # fmt: skip
    return start, length


async def get_objects(cloud: Cloud, caller: Caller, request: Request, bucket: str) -> Response:
    """`objects.list`."""
    prefix = request.query.get("prefix", "")
    found = cloud.allowed_bucket(caller, "storage.objects.list", bucket, list_prefix=prefix)
    refuse_parameters(request, "matchGlob", "includeTrailingDelimiter", "includeFoldersAsPrefixes", "filter")
    states = (
        (SOFT_DELETED,) if request.flag("softDeleted") else (LIVE, NONCURRENT) if request.flag("versions") else (LIVE,)
    )
    size = request.integer("maxResults", _PAGE) or 0
    if size < 1:
        raise invalid("Invalid maxResults: it must be at least 1.")
    listing = Listing(
        prefix,
        request.query.get("delimiter", ""),
        states,
        _page_start(request),
        request.query.get("endOffset", ""),
        min(size, _PAGE),
    )
    page = listing.page(Objects(cloud, found))
    answer: Json = {"kind": "storage#objects"}
    if page.versions:
        answer["items"] = [resource(request, version) for version in page.versions]
    if page.prefixes:
        answer["prefixes"] = page.prefixes
    if page.following:
        answer["nextPageToken"] = base64.urlsafe_b64encode(json.dumps(page.following).encode()).decode()
    return json_response(answer)


def _page_start(request: Request) -> tuple[str, int]:
    token = request.query.get("pageToken")
    if not token:
        return request.query.get("startOffset", ""), 0
    try:
        name, generation = json.loads(base64.urlsafe_b64decode(token))
        return str(name), int(generation)
    except ValueError:
        raise invalid("Invalid value for query parameter pageToken.") from None


async def patch_object(cloud: Cloud, caller: Caller, request: Request, bucket: str, name: str) -> Response:
    """`objects.patch`: null removes, metadata merges."""
    return await _update(cloud, caller, request, bucket, name, merged)


async def put_object(cloud: Cloud, caller: Caller, request: Request, bucket: str, name: str) -> Response:
    """`objects.update`: everything that is not given is removed."""
    return await _update(cloud, caller, request, bucket, name, lambda old, new: new)


async def _update(
    cloud: Cloud, caller: Caller, request: Request, bucket: str, name: str, combine: Callable[[Any, Json], Json]
) -> Response:
    cloud.allowed_bucket(caller, "storage.objects.update", bucket, name=name)
    body = await request.json()
    objects = Objects(cloud, cloud.bucket(bucket))
    version = objects.get(name, request.integer("generation"))
    preconditions(request).check(version)
    if body.get("storageClass", version.storage_class) != version.storage_class:
        raise invalid("The storage class of an object is changed by a rewrite, not by an update.")
    old = {key: value for key, value in resource(request, version).items() if key in _WRITABLE - {"storageClass"}}
    changed = objects.change(version, checked_attributes(combine(old, body)))
    return json_response(resource(request, changed))


async def remove_object(cloud: Cloud, caller: Caller, request: Request, bucket: str, name: str) -> Response:
    """`objects.delete`: the live version, or the given generation for good."""
    found = cloud.allowed_bucket(caller, "storage.objects.delete", bucket, name=name)
    Objects(cloud, found).delete(name, request.integer("generation"), preconditions(request))
    return Response(204)


async def restore_object(cloud: Cloud, caller: Caller, request: Request, bucket: str, name: str) -> Response:
    """`objects.restore`: a soft-deleted generation becomes live again."""
    found = cloud.allowed_bucket(caller, "storage.objects.restore", bucket, name=name)
    require(cloud.project, caller, "storage.objects.create", Target(found, name))
    require_overwrite(cloud, caller, found, name)
    generation = request.integer("generation")
    if generation is None:
        raise required("Required parameter: generation")
    return json_response(resource(request, Objects(cloud, found).restore(name, generation, preconditions(request))))


async def compose_object(cloud: Cloud, caller: Caller, request: Request, bucket: str, name: str) -> Response:
    """`objects.compose`: up to 32 objects of one bucket, one after the other."""
    found = cloud.allowed_bucket(caller, "storage.objects.create", bucket, name=name)
    require_overwrite(cloud, caller, found, name)
    body = await request.json()
    wanted = body.get("sourceObjects") or []
    if not 1 <= len(wanted) <= _COMPOSE_LIMIT:
        raise invalid(f"A compose request takes 1 to {_COMPOSE_LIMIT} source objects, not {len(wanted)}.")
    objects = Objects(cloud, found)
    sources = []
    for source in wanted:
        require(cloud.project, caller, "storage.objects.get", Target(found, source["name"]))
        version = objects.get(source["name"], int(source["generation"]) if source.get("generation") else None)
        match = (source.get("objectPreconditions") or {}).get("ifGenerationMatch")
        Preconditions(int(match) if match is not None else None).check(version)
        sources.append(version)
    attributes = checked_attributes(body.get("destination") or {})
    blob = blobs.joined(cloud.state.blobs, [source.file for source in sources])
    try:
        components = sum(source.components or 1 for source in sources)
        version = objects.insert(name, blob, attributes, preconditions(request), components=components)
    except BaseException:
        blobs.remove(cloud.state.blobs, [blob.file])
        raise
    return json_response(resource(request, version))


async def copy_object(
    cloud: Cloud, caller: Caller, request: Request, bucket: str, name: str, kind: str, to_bucket: str, to_name: str
) -> Response:
    """`objects.rewrite` (always done in one call) and `objects.copy`."""
    source_bucket = cloud.allowed_bucket(caller, "storage.objects.get", bucket, name=name)
    target_bucket = cloud.allowed_bucket(caller, "storage.objects.create", to_bucket, name=to_name)
    require_overwrite(cloud, caller, target_bucket, to_name)
    body = await request.json()
    source = Objects(cloud, source_bucket).get(name, request.integer("sourceGeneration"))
    Preconditions(
        request.integer("ifSourceGenerationMatch"),
        request.integer("ifSourceGenerationNotMatch"),
        request.integer("ifSourceMetagenerationMatch"),
        request.integer("ifSourceMetagenerationNotMatch"),
    ).check(source)
    attributes = checked_attributes(body) if set(body) & _WRITABLE else source.attributes
    made = Objects(cloud, target_bucket).copy(source, to_name, attributes, preconditions(request))
    shown = resource(request, made)
    if kind == "copyTo":
        return json_response(shown)
    size = str(made.size)
    rewritten = {"kind": "storage#rewriteResponse", "totalBytesRewritten": size, "objectSize": size, "done": True}
    return json_response({**rewritten, "resource": shown})
