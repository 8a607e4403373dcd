"""XML documents that the XML API sends and takes. Elements in the order of the documentation."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from sandbox.google.errors import invalid
from sandbox.google.http import Json
from sandbox.google.objects import NONCURRENT, Page, Version

_NAMESPACE: Final = "http://doc.s3.amazonaws.com/2006-03-01"
Element = tuple[str, "str | Sequence[Element]"]


def rendered(root: str, children: Sequence[Element]) -> str:
    """One document with Google's name space."""
    return f"<{root} xmlns='{_NAMESPACE}'>{_inner(children)}</{root}>"


def _inner(children: Sequence[Element]) -> str:
    return "".join(
        f"<{name}>{escape(content) if isinstance(content, str) else _inner(content)}</{name}>"
        for name, content in children
    )


def xml_etag(version: Version) -> str:
    """The XML API's ETag: the MD5 in hexadecimal, or for a composite object something that is no MD5."""
    if version.md5:
        return f'"{base64.b64decode(version.md5).hex()}"'
    return f'"{version.etag}"'


def version_entry(version: Version, *, with_state: bool = False) -> list[Element]:
    """One object of a listing."""
    entry: list[Element] = [
        ("Key", version.name),
        ("Generation", str(version.generation)),
        ("MetaGeneration", str(version.metageneration)),
        ("LastModified", version.updated),
        ("ETag", xml_etag(version)),
        ("Size", str(version.size)),
        ("StorageClass", version.storage_class),
    ]
    if with_state:
        entry[1:1] = [("VersionId", str(version.generation)), ("IsLatest", str(version.state != NONCURRENT).lower())]
    return entry


def listing(bucket: str, page: Page, echoed: Sequence[Element], *, versions: bool = False) -> str:
    """`ListBucketResult`, or with `versions` `ListVersionsResult`. `echoed` repeats what was asked."""
    children: list[Element] = [("Name", bucket), *echoed]
    name = "Version" if versions else "Contents"
    children += [(name, version_entry(version, with_state=versions)) for version in page.versions]
    children += [("CommonPrefixes", [("Prefix", prefix)]) for prefix in page.prefixes]
    return rendered("ListVersionsResult" if versions else "ListBucketResult", children)


def bucket_list(project: str, buckets: Sequence[Json]) -> str:
    """`ListAllMyBucketsResult`."""
    entries: list[Element] = [("Bucket", [("Name", b["name"]), ("CreationDate", b["created"])]) for b in buckets]
    return rendered("ListAllMyBucketsResult", [("Owner", [("ID", project)]), ("Buckets", entries)])


def completed_parts(body: bytes) -> list[tuple[int, str]]:
    """Part numbers and ETags of a `CompleteMultipartUpload` document. Raises GoogleError 400."""
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise _malformed()
    try:
        root = ElementTree.fromstring(body)  # noqa: S314  declarations of entities are refused above
        parts = [
            (int(_text(part, "PartNumber")), _text(part, "ETag").strip('"')) for part in root if _local(part) == "Part"
        ]
    except (ElementTree.ParseError, ValueError):
        raise _malformed() from None
    if _local(root) != "CompleteMultipartUpload" or not parts:
        raise _malformed()
    return parts


def _text(part: ElementTree.Element, name: str) -> str:
    for child in part:
        if _local(child) == name:
            return (child.text or "").strip()
    raise ValueError(name)


def _local(element: ElementTree.Element) -> str:
    return re.sub(r"\{.*\}", "", element.tag)


def _malformed() -> Exception:
    return invalid("The XML you provided was not well-formed or did not validate against our schema.", "MalformedXML")
