"""Multipart uploads of the XML API: begin, part, list, complete, abort.

Sources: cloud.google.com/storage/docs/multipart-uploads (5 MiB for every part but the last, numbers 1 to 10,000),
.../xml-api/post-object-multipart and its neighbours, .../access-control/iam-xml (permissions).
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncIterator
from typing import Final

from sandbox.google import blobs
from sandbox.google.blobs import Blob, BlobWriter
from sandbox.google.cloud import Cloud, now, stamp
from sandbox.google.errors import GoogleError, invalid, upload_not_found
from sandbox.google.http import Json, Request, Response, xml_response
from sandbox.google.objects import Objects, Preconditions, attributes_of, check_name
from sandbox.google.objects_api import require_overwrite
from sandbox.google.policies import Caller, Target, require
from sandbox.google.uploads import given_hashes
from sandbox.google.xml_forms import Element, completed_parts, rendered, xml_etag

_LEAST: Final = 5 * 1024 * 1024
_LAST_NUMBER: Final = 10_000
_PAGE: Final = 1000


def begin(cloud: Cloud, caller: Caller, bucket: Json, name: str, fields: Json) -> Response:
    """`POST ?uploads`."""
    for permission in ("storage.multipartUploads.create", "storage.objects.create"):
        require(cloud.project, caller, permission, Target(bucket, name))
    check_name(name)
    upload: Json = {
        "id": secrets.token_urlsafe(40),
        "bucket": bucket["name"],
        "name": name,
        "fields": fields,
        "created": stamp(now()),
        "parts": {},
        "who": caller.email,
    }
    cloud.state.put("upload", upload["id"], upload)
    result: list[Element] = [("Bucket", bucket["name"]), ("Key", name), ("UploadId", upload["id"])]
    return xml_response(rendered("InitiateMultipartUploadResult", result))


async def put_part(
    cloud: Cloud, caller: Caller, request: Request, bucket: Json, name: str, body: AsyncIterator[bytes]
) -> Response:
    """`PUT ?partNumber&uploadId`; a part with a number that is there already replaces it."""
    for permission in ("storage.multipartUploads.create", "storage.objects.create"):
        require(cloud.project, caller, permission, Target(bucket, name))
    number = request.integer("partNumber") or 0
    if not 1 <= number <= _LAST_NUMBER:
        raise invalid(f"Part number must be an integer between 1 and {_LAST_NUMBER}, inclusive.")
    _upload(cloud, request, bucket, name)
    blob = await received(cloud, body, given_hashes(request))
    try:
        upload = _upload(cloud, request, bucket, name)
    except GoogleError:
        blobs.remove(cloud.state.blobs, [blob.file])
        raise
    old = upload["parts"].get(str(number))
    etag = base64.b64decode(blob.md5).hex()
    upload["parts"][str(number)] = {"file": blob.file, "size": blob.size, "etag": etag, "at": stamp(now())}
    cloud.state.put("upload", upload["id"], upload)
    blobs.remove(cloud.state.blobs, [old["file"]] if old else [])
    hashes = f"crc32c={blob.crc32c},md5={blob.md5}"
    return Response(200, b"", [("etag", f'"{etag}"'), ("x-goog-hash", hashes)])


async def received(cloud: Cloud, body: AsyncIterator[bytes], given: Json) -> Blob:
    """The body as a blob. Raises GoogleError 400 if a hash that came with it is another."""
    writer = BlobWriter(cloud.state.blobs)
    try:
        async for piece in body:
            writer.write(piece)
    except BaseException:
        writer.discard()
        raise
    blob = writer.finish()
    for name, real in (("crc32c", blob.crc32c), ("md5Hash", blob.md5)):
        if given.get(name, real) != real:
            blobs.remove(cloud.state.blobs, [blob.file])
            raise invalid("The Content-MD5 or x-goog-hash you specified did not match what we received.", "BadDigest")
    return blob


def list_parts(cloud: Cloud, caller: Caller, request: Request, bucket: Json, name: str) -> Response:
    """`GET ?uploadId`."""
    require(cloud.project, caller, "storage.multipartUploads.listParts", Target(bucket, name))
    upload = _upload(cloud, request, bucket, name)
    after, size = request.integer("part-number-marker", 0) or 0, request.integer("max-parts", _PAGE) or _PAGE
    numbers = [number for number in sorted(map(int, upload["parts"])) if number > after]
    shown = numbers[: min(size, _PAGE)]
    children: list[Element] = [
        ("Bucket", bucket["name"]),
        ("Key", name),
        ("UploadId", upload["id"]),
        ("StorageClass", upload["fields"].get("storageClass") or bucket["resource"]["storageClass"]),
        ("PartNumberMarker", str(after)),
        ("NextPartNumberMarker", str(shown[-1] if shown else 0)),
        ("MaxParts", str(size)),
        ("IsTruncated", str(len(numbers) > len(shown)).lower()),
    ]
    for number in shown:
        part = upload["parts"][str(number)]
        children.append(
            ("Part", [("PartNumber", str(number)), ("LastModified", part["at"]), ("ETag", f'"{part["etag"]}"'),
                      ("Size", str(part["size"]))])
        )  # fmt: skip
    return xml_response(rendered("ListPartsResult", children))


async def complete(
    cloud: Cloud,
    caller: Caller,
    request: Request,
    bucket: Json,
    name: str,
    conditions: Preconditions,
    body: AsyncIterator[bytes],
) -> Response:
    """`POST ?uploadId`."""
    for permission in ("storage.multipartUploads.create", "storage.objects.create"):
        require(cloud.project, caller, permission, Target(bucket, name))
    require_overwrite(cloud, caller, bucket, name)
    wanted = completed_parts(b"".join([piece async for piece in body]))
    upload = _upload(cloud, request, bucket, name)
    files = [part["file"] for part in _chosen(upload, wanted)]
    blob = blobs.joined(cloud.state.blobs, files)
    try:
        attributes = attributes_of(upload["fields"])
        objects = Objects(cloud, cloud.bucket(bucket["name"]))
        version = objects.insert(name, blob, attributes, conditions, components=len(files))
    except BaseException:
        blobs.remove(cloud.state.blobs, [blob.file])
        raise
    forget(cloud, upload)
    result: list[Element] = [
        ("Location", f"{request.base}/{bucket['name']}/{name}"),
        ("Bucket", bucket["name"]),
        ("Key", name),
        ("ETag", xml_etag(version)),
    ]
    headers = [("x-goog-generation", str(version.generation)), ("x-goog-hash", f"crc32c={version.crc32c}")]
    return xml_response(rendered("CompleteMultipartUploadResult", result), headers=headers)


def _chosen(upload: Json, wanted: list[tuple[int, str]]) -> list[Json]:
    """The parts to join. Raises GoogleError 400 for a wrong order, an unknown part or one that is too small."""
    numbers = [number for number, _ in wanted]
    if numbers != sorted(set(numbers)):
        raise invalid("The list of parts was not in ascending order.", "InvalidPartOrder")
    chosen = []
    for number, etag in wanted:
        part = upload["parts"].get(str(number))
        if part is None or part["etag"] != etag:
            raise invalid(
                f"One or more of the specified parts could not be found, or its ETag does not match: part {number}.",
                "InvalidPart",
            )
        chosen.append(part)
    if any(part["size"] < _LEAST for part in chosen[:-1]):
        raise invalid("Your proposed upload is smaller than the minimum allowed object size.", "EntityTooSmall")
    return chosen


def abort(cloud: Cloud, caller: Caller, request: Request, bucket: Json, name: str) -> Response:
    """`DELETE ?uploadId`."""
    require(cloud.project, caller, "storage.multipartUploads.abort", Target(bucket, name))
    forget(cloud, _upload(cloud, request, bucket, name))
    return Response(204)


def list_uploads(cloud: Cloud, caller: Caller, request: Request, bucket: Json) -> Response:
    """`GET bucket?uploads`."""
    require(cloud.project, caller, "storage.multipartUploads.list", Target(bucket))
    prefix = request.query.get("prefix", "")
    after = (request.query.get("key-marker", ""), request.query.get("upload-id-marker", ""))
    size = min(request.integer("max-uploads", _PAGE) or _PAGE, _PAGE)
    found = sorted(
        (entry["name"], entry["id"], entry)
        for entry in cloud.state.all("upload")
        if entry["bucket"] == bucket["name"] and entry["name"].startswith(prefix)
    )
    left = [entry for name, id_, entry in found if (name, id_) > after]
    shown = left[:size]
    children: list[Element] = [("Bucket", bucket["name"]), ("Prefix", prefix), ("MaxUploads", str(size))]
    children.append(("IsTruncated", str(len(left) > len(shown)).lower()))
    if len(left) > len(shown):
        children += [("NextKeyMarker", shown[-1]["name"]), ("NextUploadIdMarker", shown[-1]["id"])]
    children += [
        ("Upload", [("Key", entry["name"]), ("UploadId", entry["id"]), ("Initiated", entry["created"])])
        for entry in shown
    ]
    return xml_response(rendered("ListMultipartUploadsResult", children))


def forget(cloud: Cloud, upload: Json) -> None:
    """Drop an upload with its parts."""
    cloud.state.remove("upload", upload["id"])
    blobs.remove(cloud.state.blobs, [part["file"] for part in upload["parts"].values()])


def _upload(cloud: Cloud, request: Request, bucket: Json, name: str) -> Json:
    upload = cloud.state.get("upload", request.query.get("uploadId", ""))
    if upload is None or (upload["bucket"], upload["name"]) != (bucket["name"], name):
        raise upload_not_found()
    return upload
