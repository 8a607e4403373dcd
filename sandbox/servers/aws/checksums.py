"""CRC64NVME as S3 has it: of a whole object, also of one made from parts, which ministack takes for a composite.

With S3 a multipart upload whose algorithm is CRC64NVME is always of type FULL_OBJECT: the value at completion is that
of all bytes, and a wrong one is refused (BadDigest). ministack's own arithmetic is also too slow for parts of many
megabytes. Source: "Checking object integrity", Amazon S3 User Guide.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

from recordings.stores.checksums import CRC64NVME
from sandbox.servers.aws.emulator import Emulator, Headers, Query

_NAME: Final = "CRC64NVME"
_WHOLE: ContextVar[str | None] = ContextVar("whole", default=None)
"""The full-object checksum of the upload that is being completed."""


def make_whole(emulator: Emulator) -> None:
    """Put it in."""
    s3 = emulator.s3
    s3._crc64nvme = lambda body: CRC64NVME.update(memoryview(body), 0)
    s3._composite_checksum = _whole_or(s3._composite_checksum)
    s3._complete_multipart_upload = _complete(emulator, s3._complete_multipart_upload)


def _whole_or(original: Callable[..., Any]) -> Callable[..., Any]:
    def composite(algorithm: str, part_checksums: list[Any]) -> Any:
        return _WHOLE.get() or original(algorithm, part_checksums)

    return composite


def _complete(emulator: Emulator, original: Callable[..., Any]) -> Callable[..., Any]:
    s3 = emulator.s3

    def complete(bucket: str, key: str, body: bytes, query: Query, headers: Headers | None = None) -> Any:
        upload_id = query.get("uploadId", [""])[0]
        upload = s3._multipart_uploads.get(upload_id)
        if upload is None or upload.get("checksum_algorithm") != _NAME:
            return original(bucket, key, body, query, headers)
        parts = [upload["parts"][number] for number, _ in emulator.part_sizes(upload_id, body)]
        values = ((CRC64NVME.value(part["checksums"][_NAME]) or 0, part["size"]) for part in parts)
        token = _WHOLE.set(CRC64NVME.text(CRC64NVME.of_parts(values)))
        try:
            status, answered, text = original(bucket, key, body, query, headers)
        finally:
            _WHOLE.reset(token)
        if status == 200:
            record = s3._buckets[bucket]["objects"][key]
            record["checksum_type"] = "FULL_OBJECT"
            s3._persist_object(bucket, key, record)
            text = text.replace(b"<ChecksumType>COMPOSITE<", b"<ChecksumType>FULL_OBJECT<")
            # what it answers whoever asks again
            s3._completed_multipart_uploads[upload_id] = {"key": key, "response": (status, answered, text)}
        return status, answered, text

    return complete
