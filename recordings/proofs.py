"""Whether a file holds the bytes that a store has, by the strongest checksum of the whole object that it names.

Owns which checksum that is, and computing it. CRC64NVME (which S3 makes of every upload that brings none) and CRC32C
(which Google makes of all) are compared where awscrt is installed, the extra `backfill`; CRC32, SHA-256 and SHA-1 where
an uploader chose them; else the MD5 that an ETag is. What proves nothing is called `length`, never a checksum.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html (checksum of the full
object or of its parts' checksums); https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html (ETag is an MD5,
or that of the parts' MD5s); https://cloud.google.com/storage/docs/xml-api/reference-headers#xgooghash.
"""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import BinaryIO, Final

_BLOCK: Final = 1 << 20
_PART_SIZES: Final = [mebi << 20 for mebi in (5, 6, 8, 10, 15, 16, 20, 25, 32, 50, 64, 100, 128, 256, 512)]
"""What uploads in parts use; the object does not say which it was."""
_MD5: Final = re.compile(r'"?([0-9a-f]{32})(?:-([0-9]{1,5}))?"?')
_KMS: Final = ("aws:kms", "aws:kms:dsse")
_NAMES: Final = {
    "crc64nvme": "CRC64NVME",
    "crc32c": "CRC32C",
    "crc32": "CRC32",
    "sha256": "SHA-256",
    "sha1": "SHA-1",
    "md5": "MD5",
}
"""In the order in which they are preferred; as stores spell them, and as people do."""


def proven(file: BinaryIO, headers: Mapping[str, str]) -> str | None:
    """How the file was compared with what the headers (lower case) say of the object; None if it differs."""
    stated = _stated(headers)
    for algorithm, name in _NAMES.items():
        if algorithm in stated and (digest := _digest(algorithm, file)) is not None:
            return name if b64encode(digest).decode() == stated[algorithm] else None
    match = _MD5.fullmatch(headers.get("etag", ""))
    secret = headers.get("x-amz-server-side-encryption", "") in _KMS
    if match is None or secret or any(name.startswith("x-amz-server-side-encryption-customer") for name in headers):
        return "length"
    if match[2] is None:
        return "MD5" if _md5(file, None).hex() == match[1] else None
    return _proven_by_parts(file, match[1], int(match[2]))


def _stated(headers: Mapping[str, str]) -> dict[str, str]:
    """The checksums of the whole object, in base64; S3 has also such as are of the parts' checksums."""
    found = dict(part.strip().split("=", 1) for part in headers.get("x-goog-hash", "").split(",") if "=" in part)
    if headers.get("x-amz-checksum-type", "FULL_OBJECT") == "FULL_OBJECT":
        for algorithm in _NAMES:
            value = headers.get(f"x-amz-checksum-{algorithm}", "")
            if value and "-" not in value:
                found[algorithm] = value
    return found


def _digest(algorithm: str, file: BinaryIO) -> bytes | None:
    """The checksum of the file, None for one that cannot be computed here."""
    if algorithm in ("sha256", "sha1", "md5"):
        digest = hashlib.new(algorithm, usedforsecurity=False)
        for block in _blocks(file):
            digest.update(block)
        return digest.digest()
    if algorithm == "crc32":
        return _cyclic(file, zlib.crc32).to_bytes(4, "big")
    if find_spec("awscrt") is None:
        return None
    from recordings.stores.checksums import CRC32C, CRC64NVME

    checksum = {"crc64nvme": CRC64NVME, "crc32c": CRC32C}[algorithm]
    return _cyclic(file, checksum.update).to_bytes(checksum.width, "big")


def _cyclic(file: BinaryIO, update: Callable[[memoryview, int], int]) -> int:
    value = 0
    for block in _blocks(file):
        value = update(memoryview(block), value)
    return value


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while block := file.read(_BLOCK):
        yield block


def _proven_by_parts(file: BinaryIO, expected: str, count: int) -> str:
    """The size of the parts is not told: one that fits proves the file, none proves nothing."""
    size = os.fstat(file.fileno()).st_size
    for part in _PART_SIZES:
        if -(-size // part) == count and _md5(file, part).hex() == expected:
            return "MD5 of the parts"
    return "length"


def _md5(file: BinaryIO, part: int | None) -> bytes:
    """MD5 of the file, or of the MD5s of its parts."""
    file.seek(0)
    outer, inner, room = hashlib.md5(usedforsecurity=False), hashlib.md5(usedforsecurity=False), part or 0
    while block := file.read(min(_BLOCK, room) if part else _BLOCK):
        inner.update(block)
        room -= len(block)
        if part and room == 0:
            outer.update(inner.digest())
            inner, room = hashlib.md5(usedforsecurity=False), part
    if part is None:
        return inner.digest()
    if room != part:
        outer.update(inner.digest())
    return outer.digest()
