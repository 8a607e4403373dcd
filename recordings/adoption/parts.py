"""The parts of a deployment that may exist before it: what `recordings:adopt` names and `up` then takes over.

Owns the names alone. What each is imported as is in `components`, how it is found in `recordings.adoption.survey`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Part(StrEnum):
    """One thing that is taken over as it is, then changed to what the stack declares."""

    BUCKET = "bucket"
    CORS = "cors"
    PUBLIC_ACCESS = "public-access"
    OWNERSHIP = "ownership"
    ENCRYPTION = "encryption"
    POLICY = "policy"
    VERSIONING = "versioning"
    LIFECYCLE = "lifecycle"
    ACCESS_LOG = "access-log"
    WRITER = "writer"
    WRITER_POLICY = "writer-policy"
    READER = "reader"
    READER_POLICY = "reader-policy"


DEFAULT_NAMES: Final = {
    Part.WRITER.value: "100ms-recording-user-{stack}",
    Part.READER.value: "100ms-recording-reader-{stack}",
}
"""The IAM users that a stack makes where it is told no names."""

_OF_A_USER: Final = {Part.WRITER_POLICY: Part.WRITER, Part.READER_POLICY: Part.READER}


def owner_of(part: Part) -> Part:
    """The part without which this one has no meaning: its user, or the bucket; itself where there is none."""
    if part in _OF_A_USER:
        return _OF_A_USER[part]
    return part if part in _OF_A_USER.values() else Part.BUCKET
