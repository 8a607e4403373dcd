"""How bytes land in a bucket on Google Cloud Storage: parts by the XML API, then one conditional rewrite.

Google says the CRC32C of each part that came, which is compared with what was sent. An upload in parts knows no
precondition ("Considerations" of multipart uploads), so it is completed under a name of the operator's own, outside the
prefix; what lies there is compared with the checksum of the whole, and only then becomes the object, by a rewrite on
condition that there is none. A rewrite within a bucket moves no bytes.

Sources: https://cloud.google.com/storage/docs/multipart-uploads, .../xml-api/put-object-multipart (x-goog-hash),
.../json_api/v1/objects/rewrite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

from recordings.errors import ObjectNotFoundError, StoreError
from recordings.policies import OPERATOR_PREFIX
from recordings.stores.base import Part, Store
from recordings.stores.checksums import CRC32C
from recordings.stores.gcs_operator import OperatorStore
from recordings.stores.landing import DamagedError, Landed, LandedPart, Request, Target

_MARK: Final = "recording-asset"
_HASH: Final = "x-goog-hash"


def open_landing(store: Store) -> GcsLanding:
    """The landing of the bucket that `store` is, as the operator."""
    assert isinstance(store, OperatorStore)
    return GcsLanding(store)


class GcsLanding:
    """One bucket on Google as the operator; see `Landing` for what each method promises."""

    checksum = CRC32C

    def __init__(self, store: OperatorStore) -> None:
        self.store: Store = store
        self._gcs = store

    def look(self, target: Target) -> Landed | None:
        """objects.get."""
        return self._look(target.key)

    def glance(self, target: Target) -> Request:
        """HEAD object."""
        return self._request(target.key, {}, {}, method="HEAD")

    def seen(self, headers: Mapping[str, str]) -> Landed:
        """From the headers of HEAD object."""
        return Landed(int(headers["content-length"]), self.said(headers), headers.get(f"x-goog-meta-{_MARK}"))

    def single(self, target: Target, size: int, checksum: int) -> Request:
        """PUT object, on condition of its generation."""
        headers = {"x-goog-if-generation-match": "0", "Content-Type": target.content_type}
        headers[f"x-goog-meta-{_MARK}"] = target.mark
        headers[_HASH] = f"{CRC32C.name}={CRC32C.text(checksum)}"
        return self._request(target.key, {}, headers)

    def begin(self, target: Target) -> str:
        """Initiate a multipart upload under the operator's own name."""
        return self._gcs.create_upload(_place(target), content_type=target.content_type)

    def part(self, target: Target, upload_id: str, number: int) -> Request:
        """Upload a part."""
        return self._request(_place(target), {"partNumber": str(number), "uploadId": upload_id}, {})

    def said(self, headers: Mapping[str, str]) -> int | None:
        """In `x-goog-hash`, beside others."""
        entries = (entry.strip().partition("=") for entry in headers.get(_HASH, "").split(","))
        return CRC32C.value({name: text for name, _, text in entries}.get(CRC32C.name))

    def parts(self, target: Target, upload_id: str) -> Sequence[LandedPart]:
        """List parts, page by page; Google does not say their checksums."""
        return [LandedPart(*found) for found in self._gcs.list_parts(_place(target), upload_id)]

    def complete(self, target: Target, upload_id: str, parts: Sequence[LandedPart], checksum: int) -> None:
        """Complete the upload, compare, and rewrite to the target's key if nothing is there."""
        place, size = _place(target), sum(part.size for part in parts)
        try:
            self._gcs.complete_upload(place, upload_id, [Part(part.number, part.etag) for part in parts])
        except ObjectNotFoundError:  # completed by a run that was ended before it went on
            if self._look(place) is None:
                raise
        there = self._look(place)
        if there is None or (there.size, there.checksum) != (size, checksum):
            self._gcs.delete(place)
            raise DamagedError(f"gs://{self._gcs.bucket}/{target.key}: Google joined other bytes; run it again")
        self._gcs.rewrite(place, target.key, target.content_type, {_MARK: target.mark})
        self._gcs.delete(place)

    def abort(self, target: Target, upload_id: str) -> None:
        """Abort the upload."""
        self._gcs.abort_upload(_place(target), upload_id)

    def refusal(self, status: int, body: bytes, what: str) -> StoreError:
        """From an answer of the XML API."""
        return self._gcs.refusal(status, body, what)

    def _look(self, key: str) -> Landed | None:
        try:
            blob: Any = self._gcs.describe(key)
        except ObjectNotFoundError:
            return None
        return Landed(blob.size, CRC32C.value(blob.crc32c), (blob.metadata or {}).get(_MARK))

    def _request(self, key: str, query: dict[str, str], headers: dict[str, str], method: str = "PUT") -> Request:
        url = self._gcs.url(key) + (f"?{urlencode(query)}" if query else "")
        return Request(method, url, {**headers, "Authorization": self._gcs.authorization()})


def _place(target: Target) -> str:
    """Where the whole is put together: the operator's own folder, that no lifecycle rule and no reader sees."""
    return f"{OPERATOR_PREFIX}backfill/{quote(target.mark, safe='')}.whole"
