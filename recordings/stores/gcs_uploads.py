"""What every identity on Cloud Storage does in the same way: multipart uploads by the XML API, and URLs.

Owns the five requests of a multipart upload, as 100ms makes them with its HMAC key; the JSON API has none of them, so
the operator comes here too, with its access token. A part needs no generation: an upload belongs to one key.

Source: https://cloud.google.com/storage/docs/multipart-uploads and .../xml-api/post-object-multipart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from recordings.errors import ObjectNotFoundError, StoreError
from recordings.signing import Download, Presigner, encode_key
from recordings.stores.base import Part, SignedUrl, Upload
from recordings.stores.gcs_errors import from_xml
from recordings.stores.gcs_wire import Call, Wire, document

_MARKERS: Final = (("key-marker", "NextKeyMarker"), ("upload-id-marker", "NextUploadIdMarker"))


class GcsUploads:
    """Multipart uploads and URLs of one bucket as one identity.

    `base_url` is the bucket's address in path style, with no slash at the end; `presigner` is asked for when a URL is
    to be signed, since finding out who signs may ask for a login.
    """

    scheme = "gs"
    refuses_plain_http = False

    def __init__(self, bucket: str, base_url: str, who: str, wire: Wire, presigner: Callable[[], Presigner]) -> None:
        self.bucket = bucket
        self._base_url = base_url
        self._who = who
        self._wire = wire
        self._presigner = presigner

    def checksums(self, key: str) -> Mapping[str, str]:
        """HEAD object: it names them also where an answer to a GET of a part does not."""
        headers = self._wire.send(Call(self._what("head", key), "HEAD", key)).headers
        return {name: headers[name] for name in ("etag", "x-goog-hash") if name in headers}

    def create_upload(self, key: str, *, content_type: str = "application/octet-stream") -> str:
        """Initiate a multipart upload."""
        what = self._what("initiate upload", key)
        call = Call(what, "POST", key, {"uploads": ""}, {"Content-Type": content_type})
        return _text(document(self._wire.send(call), what), "UploadId")

    def upload_part(self, key: str, upload_id: str, number: int, body: bytes) -> Part:
        """Upload a part."""
        query = {"partNumber": str(number), "uploadId": upload_id}
        answer = self._wire.send(Call(self._what(f"upload part {number}", key), "PUT", key, query, content=body))
        return Part(number, answer.headers.get("etag", "").strip('"'))

    def complete_upload(self, key: str, upload_id: str, parts: Sequence[Part]) -> None:
        """Complete a multipart upload. If an answer was lost, an upload that is gone by then was completed."""
        listed = "".join(
            f"<Part><PartNumber>{part.number}</PartNumber><ETag>&quot;{escape(part.etag)}&quot;</ETag></Part>"
            for part in parts
        )
        self._wire.send(
            Call(
                self._what("complete upload", key),
                "POST",
                key,
                {"uploadId": upload_id},
                {"Content-Type": "application/xml"},
                f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode(),
                gone_is_done="NoSuchUpload",
            )
        )

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Abort a multipart upload."""
        with suppress(ObjectNotFoundError):
            self._wire.send(Call(self._what("abort upload", key), "DELETE", key, {"uploadId": upload_id}))

    def list_parts(self, key: str, upload_id: str) -> Iterator[tuple[int, int, str]]:
        """Number, bytes and ETag of each part that is there, page by page. Raises ObjectNotFoundError."""
        what, query = self._what("list parts", key), {"uploadId": upload_id}
        while True:
            page = document(self._wire.send(Call(what, "GET", key, query)), what)
            for found in page.findall("Part"):
                yield int(_text(found, "PartNumber")), int(_text(found, "Size")), _text(found, "ETag").strip('"')
            if page.findtext("IsTruncated") != "true":
                return
            query["part-number-marker"] = page.findtext("NextPartNumberMarker") or ""

    def list_uploads(self, prefix: str = "") -> Iterator[Upload]:
        """List multipart uploads, page by page."""
        what = self._what("list uploads", prefix + "*")
        query = {"uploads": "", "prefix": prefix}
        while True:
            page = document(self._wire.send(Call(what, "GET", query=query)), what)
            for found in page.findall("Upload"):
                yield Upload(_text(found, "Key"), _text(found, "UploadId"), moment(found.findtext("Initiated")))
            if page.findtext("IsTruncated") != "true":
                return
            query |= {marker: page.findtext(following) or "" for marker, following in _MARKERS}

    def sign(
        self,
        key: str,
        expires: timedelta,
        *,
        filename: str | None = None,
        content_type: str | None = None,
        method: str = "GET",
        at: datetime | None = None,
    ) -> SignedUrl:
        """Presign with a V4 signature; asks nothing of Cloud Storage."""
        start = at or datetime.now(UTC)
        query = Download(key, filename, content_type).query()
        seconds = int(expires.total_seconds())
        url = self._presigner().url(key, seconds=seconds, at=start, method=method, query=query)
        return SignedUrl(url, start + timedelta(seconds=seconds))

    def sign_many(
        self, downloads: Iterable[Download], expires: timedelta, *, at: datetime | None = None
    ) -> Sequence[SignedUrl]:
        """Presign each with a V4 signature; asks nothing of Cloud Storage."""
        start = at or datetime.now(UTC)
        seconds = int(expires.total_seconds())
        end = start + timedelta(seconds=seconds)
        return [SignedUrl(url, end) for url in self._presigner().urls(downloads, seconds=seconds, at=start)]

    def url(self, key: str) -> str:
        """The plain URL, in path style."""
        return f"{self._base_url}/{encode_key(key)}"

    def refusal(self, status: int, body: bytes, what: str) -> StoreError:
        """From an answer of the XML API, which signed URLs lead to."""
        return from_xml(status, body).error(what)

    def _what(self, operation: str, key: str) -> str:
        return f"{operation} gs://{self.bucket}/{key} as {self._who}"


def moment(text: str | None) -> datetime | None:
    """A time as the XML API writes it in documents, in UTC."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC) if text else None


def _text(element: ElementTree.Element, name: str) -> str:
    return element.findtext(name) or ""
