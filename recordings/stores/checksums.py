"""The checksums that stores compare end to end: CRC64NVME on S3, CRC32C on Google, and putting those of parts together.

Owns arithmetic and spelling. Both are linear, so the checksum of a whole follows from those of its parts, with no
second look at the bytes. Never MD5: it is many times slower, and neither store has one for objects made of parts.

Needs the extra `backfill` (awscrt, which computes both with the processor's own instructions). Sources:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html,
https://cloud.google.com/storage/docs/data-validation.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from awscrt import checksums


@dataclass(frozen=True)
class Checksum:
    """One algorithm: `update(bytes, before)` goes on from the value `before`, which is 0 at first."""

    name: str
    width: int
    update: Callable[[memoryview, int], int] = field(repr=False)
    combine: Callable[[int, int, int], int] = field(repr=False)

    def of_parts(self, parts: Iterable[tuple[int, int]]) -> int:
        """The checksum of parts in their order, each given as checksum and length in bytes."""
        total = 0
        for value, length in parts:
            total = self.combine(total, value, length)
        return total

    def text(self, value: int) -> str:
        """As the stores spell it: base64 of the big-endian bytes."""
        return b64encode(value.to_bytes(self.width, "big")).decode()

    def value(self, text: str | None) -> int | None:
        """The reverse of `text`; None for what is no full-object checksum of this kind."""
        try:
            octets = b64decode(text or "", validate=True)
        except (Error, ValueError):
            return None
        return int.from_bytes(octets, "big") if len(octets) == self.width else None


CRC64NVME: Final = Checksum("crc64nvme", 8, checksums.crc64nvme, checksums.combine_crc64nvme)
CRC32C: Final = Checksum("crc32c", 4, checksums.crc32c, checksums.combine_crc32c)
