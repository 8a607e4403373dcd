"""Bytes in files: written once under a random name, hashed on the way, never changed.

CRC32C and MD5 are computed as the bytes come in. A multipart object has no MD5, as on Google.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import google_crc32c

_COPY: Final = 1024 * 1024


@dataclass(frozen=True)
class Blob:
    """A finished file: its name in the blob folder, length and hashes (`crc32c`, `md5` in base64)."""

    file: str
    size: int
    crc32c: str
    md5: str
    sha256: str = ""


class BlobWriter:
    """Writes one blob. `finish` keeps it, `discard` does not."""

    def __init__(self, folder: Path, *, sha256: bool = False) -> None:
        self.file = secrets.token_hex(16)
        self._path = folder / self.file
        self._out = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._crc = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256() if sha256 else None
        self.size = 0

    def write(self, piece: bytes) -> None:
        """Add bytes."""
        view = memoryview(piece)
        while view:
            view = view[os.write(self._out, view) :]
        self._crc = google_crc32c.extend(self._crc, piece)
        self._md5.update(piece)
        if self._sha256 is not None:
            self._sha256.update(piece)
        self.size += len(piece)

    def finish(self) -> Blob:
        """Close the file and tell what is in it."""
        os.close(self._out)
        crc, md5 = (base64.b64encode(digest).decode() for digest in (self._crc.to_bytes(4, "big"), self._md5.digest()))
        return Blob(self.file, self.size, crc, md5, self._sha256.hexdigest() if self._sha256 else "")

    def discard(self) -> None:
        """Close the file and remove it."""
        os.close(self._out)
        self._path.unlink()


def joined(folder: Path, files: Iterable[str]) -> Blob:
    """A new blob of several, one after the other."""
    writer = BlobWriter(folder)
    for file in files:
        with (folder / file).open("rb") as source:
            while piece := source.read(_COPY):
                writer.write(piece)
    return writer.finish()


def linked(folder: Path, file: str) -> str:
    """A second name for a blob, so that each can be removed by itself."""
    name = secrets.token_hex(16)
    os.link(folder / file, folder / name)
    return name


def remove(folder: Path, files: Iterable[str]) -> None:
    """Remove blobs; a missing one is no error."""
    for file in files:
        (folder / file).unlink(missing_ok=True)
