"""Uploads of the JSON API: media, multipart and resumable (`/upload/storage/v1/b/…/o`).

A resumable session is its own credential, as on Google: whoever has its URI may continue it. What it may do was asked
when it began; preconditions are asked again at its end.

Sources: cloud.google.com/storage/docs/json_api/v1/objects/insert,
.../performing-resumable-uploads (256 KiB steps, 308, status query, cancelling with 499).
"""

from __future__ import annotations

import json
import re
import secrets
from typing import Final

from sandbox.google import blobs
from sandbox.google.blobs import Blob, BlobWriter
from sandbox.google.cloud import Cloud, now, stamp
from sandbox.google.errors import GoogleError, invalid, required
from sandbox.google.http import Json, Request, Response, json_response
from sandbox.google.objects import Objects, Preconditions, Version, check_name
from sandbox.google.objects_api import checked_attributes, preconditions, require_overwrite, resource
from sandbox.google.policies import Caller, Target, require

_STEP: Final = 256 * 1024
_RANGE: Final = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


async def post_upload(cloud: Cloud, caller: Caller, request: Request, bucket: str) -> Response:
    """`objects.insert` in the way that `uploadType` says."""
    document = cloud.bucket(bucket)
    if request.query.get("predefinedAcl"):
        raise invalid("Cannot insert legacy ACL for an object when uniform bucket-level access is enabled.")
    kind = request.query.get("uploadType")
    if kind == "media":
        return await _media(cloud, caller, request, document)
    if kind == "multipart":
        return await _multipart(cloud, caller, request, document)
    if kind == "resumable":
        return await _begin(cloud, caller, request, document)
    raise invalid(f"Invalid uploadType {kind!r}: legal are media, multipart and resumable.")


def _check(cloud: Cloud, caller: Caller, bucket: Json, name: str) -> None:
    check_name(name)
    require(cloud.project, caller, "storage.objects.create", Target(bucket, name))
    require_overwrite(cloud, caller, bucket, name)


def _name(request: Request, fields: Json) -> str:
    name = request.query.get("name") or fields.get("name")
    if not name:
        raise required("Required parameter: name")
    return str(name)


async def _media(cloud: Cloud, caller: Caller, request: Request, bucket: Json) -> Response:
    name = _name(request, {})
    _check(cloud, caller, bucket, name)
    writer = BlobWriter(cloud.state.blobs)
    try:
        async for piece in request.stream():
            writer.write(piece)
    except BaseException:
        writer.discard()
        raise
    fields = {"contentType": request.headers.get("content-type")}
    return _finished(request, finish(cloud, bucket["name"], name, writer.finish(), fields, preconditions(request)))


async def _multipart(cloud: Cloud, caller: Caller, request: Request, bucket: Json) -> Response:
    fields, content_type, data = _parts(request.headers.get("content-type", ""), await request.body())
    name = _name(request, fields)
    _check(cloud, caller, bucket, name)
    writer = BlobWriter(cloud.state.blobs)
    writer.write(data)
    fields = {"contentType": content_type, **fields}
    return _finished(request, finish(cloud, bucket["name"], name, writer.finish(), fields, preconditions(request)))


def given_hashes(request: Request) -> Json:
    """The hashes in `x-goog-hash` and `Content-MD5`, under the names of the object resource."""
    names = {"crc32c": "crc32c", "md5": "md5Hash"}
    entries = [entry.strip().partition("=") for entry in request.headers.get("x-goog-hash", "").split(",")]
    found: Json = {names[kind]: value for kind, _, value in entries if kind in names}
    if "content-md5" in request.headers:
        found["md5Hash"] = request.headers["content-md5"]
    return found


def finish(cloud: Cloud, bucket: str, name: str, blob: Blob, fields: Json, conditions: Preconditions) -> Version:
    """Check the hashes that the client gave, and make the object. The blob is removed if that fails."""
    try:
        for given, label, real in (("crc32c", "CRC32C", blob.crc32c), ("md5Hash", "MD5 hash", blob.md5)):
            if fields.get(given) not in (None, real):
                message = f'Provided {label} "{fields[given]}" doesn\'t match calculated {label} "{real}".'
                raise invalid(message, "BadDigest")
        attributes = checked_attributes(fields)
        return Objects(cloud, cloud.bucket(bucket)).insert(name, blob, attributes, conditions)
    except BaseException:
        blobs.remove(cloud.state.blobs, [blob.file])
        raise


def _finished(request: Request, version: Version) -> Response:
    return json_response(resource(request, version), headers=[("etag", version.etag)])


def _parts(content_type: str, body: bytes) -> tuple[Json, str | None, bytes]:
    """The JSON part, and content type and bytes of the second part, of a multipart/related body."""
    match = re.search(r'boundary=(?:"([^"]+)"|\'([^\']+)\'|([^;\s]+))', content_type)
    if match is None:
        raise invalid("Multipart upload without a boundary in its Content-Type.")
    boundary = b"--" + (match[1] or match[2] or match[3]).encode()
    found = [part for part in (b"\r\n" + body).split(b"\r\n" + boundary) if part]
    if len(found) != 3 or not found[2].startswith(b"--"):
        raise invalid("Multipart upload must have exactly two parts.")
    (_, fields), (head, data) = (_split(part) for part in found[:2])
    try:
        parsed = json.loads(fields)
    except ValueError:
        raise invalid("Parse Error: the first part of the multipart upload is not JSON.") from None
    declared = re.search(rb"(?im)^content-type:\s*(.+?)\s*$", head)
    return parsed, declared[1].decode() if declared else None, data


def _split(part: bytes) -> tuple[bytes, bytes]:
    head, _, data = part.partition(b"\r\n\r\n")
    return head, data


async def _begin(cloud: Cloud, caller: Caller, request: Request, bucket: Json) -> Response:
    fields = await request.json()
    name = _name(request, fields)
    _check(cloud, caller, bucket, name)
    fields = {"contentType": request.headers.get("x-upload-content-type"), **fields}
    checked_attributes(fields)
    conditions = preconditions(request)
    conditions.check(Objects(cloud, cloud.bucket(bucket["name"])).live(name))
    session: Json = {
        "id": secrets.token_urlsafe(32),
        "bucket": bucket["name"],
        "name": name,
        "fields": fields,
        "conditions": [
            conditions.generation,
            conditions.not_generation,
            conditions.metageneration,
            conditions.not_metageneration,
        ],
        "files": [],
        "received": 0,
        "created": stamp(now()),
    }
    cloud.state.put("session", session["id"], session)
    path = f"/upload/storage/v1/b/{bucket['name']}/o?uploadType=resumable&upload_id={session['id']}"
    return Response(200, b"", [("location", request.base + path), ("x-guploader-uploadid", session["id"])])


async def put_upload(cloud: Cloud, request: Request, bucket: str) -> Response:
    """A piece of a resumable upload, or a question for its state."""
    session = _session(cloud, request)
    if session.get("generation"):
        return _finished(request, Objects(cloud, cloud.bucket(bucket)).get(session["name"], session["generation"]))
    start, total = _position(request)
    blob = await _received(cloud, request)
    session = _session(cloud, request)  # as it is now: another piece may have come in between
    if "content-range" not in request.headers:
        total = blob.size
    if start is None:
        blobs.remove(cloud.state.blobs, [blob.file])
    else:
        _append(cloud, session, start, blob, total)
    if total != session["received"]:
        return _incomplete(request, session)
    session["fields"] |= given_hashes(request)
    return _finished(request, _complete(cloud, session))


def _position(request: Request) -> tuple[int | None, int | None]:
    """Where the piece starts (None: no bytes, only a question) and how long the whole is (None: not said yet)."""
    header = request.headers.get("content-range")
    if header is None:
        return 0, None
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        raise invalid(f"Failed to parse Content-Range header: {header}")
    total = None if match[3] == "*" else int(match[3])
    return (None if match[1] is None else int(match[1])), total


async def _received(cloud: Cloud, request: Request) -> Blob:
    writer = BlobWriter(cloud.state.blobs)
    try:
        async for piece in request.stream():
            writer.write(piece)
    except BaseException:
        writer.discard()
        raise
    return writer.finish()


def _append(cloud: Cloud, session: Json, start: int, blob: Blob, total: int | None) -> None:
    end = start + blob.size
    if start != session["received"] or (blob.size % _STEP and end != total) or (total is not None and end > total):
        blobs.remove(cloud.state.blobs, [blob.file])
        if start != session["received"] and start + blob.size <= session["received"]:
            return
        raise GoogleError(
            503 if start != session["received"] else 400,
            "invalid",
            f"Invalid request. There were {blob.size} byte(s) at {start} in the request body; "
            f"{session['received']} are there already; every piece but the last is a multiple of {_STEP} bytes.",
            code="InvalidArgument",
        )
    session["files"].append(blob.file)
    session["received"] = end
    cloud.state.put("session", session["id"], session)


def _incomplete(request: Request, session: Json) -> Response:
    """308, or 200 with that in a header for clients whose HTTP library would follow a 308 (Google's for Go)."""
    headers = [("range", f"bytes=0-{session['received'] - 1}")] if session["received"] else []
    if request.headers.get("x-guploader-no-308") == "yes":
        return Response(200, b"", [*headers, ("x-http-status-code-override", "308")])
    return Response(308, b"", headers)


def _complete(cloud: Cloud, session: Json) -> Version:
    blob = blobs.joined(cloud.state.blobs, session["files"])
    conditions = Preconditions(*session["conditions"])
    try:
        version = finish(cloud, session["bucket"], session["name"], blob, session["fields"], conditions)
    finally:
        blobs.remove(cloud.state.blobs, session["files"])
        cloud.state.remove("session", session["id"])
    cloud.state.put("session", session["id"], {**session, "files": [], "generation": version.generation})
    return version


async def remove_upload(cloud: Cloud, request: Request, bucket: str) -> Response:
    """Cancel a resumable upload."""
    session = _session(cloud, request)
    blobs.remove(cloud.state.blobs, session["files"])
    cloud.state.remove("session", session["id"])
    return Response(499)


def _session(cloud: Cloud, request: Request) -> Json:
    session = cloud.state.get("session", request.query.get("upload_id", ""))
    if session is None:
        raise GoogleError(404, "notFound", "The requested upload was not found.", code="NoSuchUpload")
    return session
