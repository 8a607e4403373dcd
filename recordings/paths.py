"""Where a recording lies, as 100ms writes it, in parts: provider, bucket, key, kind, room, time.

Owns the documented forms of a recording's path and the refusal of anything that could lead elsewhere. A path comes
from a webhook, an API answer, a database row or a command line, so none is trusted: `Home.own` refuses another bucket
or prefix, `..` in every spelling, absolute, empty and unprintable keys. Does not ask whether the object exists.

Sources: 100ms' pages on recording storage ("File paths" of each kind of recording). The storage page joins a prefix
and the rest with one slash; a prefix that was registered with a slash at its end may give two, which is taken too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from recordings.errors import UsageError
from recordings.outputs import StackOutputs, StorageProvider
from recordings.policies import OPERATOR_PREFIX

SCHEMES: Final[Mapping[str, StorageProvider]] = {provider.scheme: provider for provider in StorageProvider}
"""100ms' `type` of a storage, which is also the scheme of its paths; `oss` and `azure` are never this project's."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_ESCAPED = re.compile(r"%(25)*(2e|2f|5c|00)", re.IGNORECASE)
_UNPRINTABLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


class RecordingKind(StrEnum):
    """The documented forms; `unknown` lies under the prefix and has none of them."""

    COMPOSITE = "composite"
    COMPOSITE_LEGACY = "composite-legacy"
    TRACK = "track"
    HLS_LAYER = "hls-layer"
    HLS_VOD = "hls-vod"
    CHAT = "chat"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Location:
    """A path by its syntax alone: `scheme://bucket/key`."""

    scheme: str
    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class RecordingPath:
    """One recording's place in our bucket. `time` is UTC: of its start where the name says it, else of its day.

    `extension` is lower case with no dot, and empty where there is none: a recording need not be an mp4.
    """

    provider: StorageProvider
    bucket: str
    key: str
    kind: RecordingKind
    extension: str
    room_id: str | None = None
    session_id: str | None = None
    peer_id: str | None = None
    stream_id: str | None = None
    track_id: str | None = None
    layer: str | None = None
    time: datetime | None = None


@dataclass(frozen=True)
class Home:
    """A bucket and the prefix of its recordings, which is empty or ends in `/`."""

    provider: StorageProvider
    bucket: str
    prefix: str
    former: tuple[Home, ...] = ()
    """Where older recordings lie; nothing new is written there."""

    @classmethod
    def of(cls, outputs: StackOutputs) -> Home:
        """The home that a stack's outputs declare."""
        provider = outputs.storage_provider
        former = tuple(cls(provider, place.bucket_name, place.path_prefix) for place in outputs.former_buckets)
        return cls(provider, outputs.bucket_name, outputs.path_prefix, former)

    @property
    def scheme(self) -> str:
        """How 100ms writes the provider."""
        return self.provider.scheme

    def holds(self, location: Location) -> bool:
        """Whether this is our bucket and our prefix; what the operator keeps in the bucket is no recording."""
        return (
            SCHEMES.get(location.scheme) is self.provider
            and location.bucket == self.bucket
            and location.key.startswith(self.prefix)
            and not location.key.startswith(OPERATOR_PREFIX)
        )

    def own(self, path_or_key: str) -> RecordingPath:
        """Parse a path as 100ms reports it, or a key of this bucket.

        Raises UsageError for what is malformed, and for another provider, bucket or prefix.
        """
        return self._find(path_or_key, (self,))

    def source(self, path_or_key: str) -> RecordingPath:
        """As `own`, and a path in a former bucket too, to download from; a key is always one of this bucket."""
        return self._find(path_or_key, (self, *self.former))

    def _find(self, path_or_key: str, homes: tuple[Home, ...]) -> RecordingPath:
        has_scheme = _SCHEME.match(path_or_key) is not None
        location = parse(path_or_key if has_scheme else f"{self.scheme}://{self.bucket}/{path_or_key}")
        for home in homes:
            if home.holds(location):
                return _classify(home, location.key)
        places = " or ".join(f"{home.scheme}://{home.bucket}/{home.prefix}" for home in homes)
        raise UsageError(
            f"{str(location)!r} is not under {places}: give a recording of this stack, or the stack that owns it"
        )

    def composite_key(self, room_id: str, started: datetime) -> str:
        """The documented key of a browser composite recording that started at `started` (aware)."""
        moment = started.astimezone(UTC)
        epoch = int(moment.timestamp() * 1000)
        return f"{self.prefix}beam/{room_id}/{moment:%Y%m%d}/Rec-{room_id}-{epoch}.mp4"

    def path(self, key: str) -> str:
        """`key` as 100ms reports it."""
        return f"{self.scheme}://{self.bucket}/{key}"


def parse(path: str) -> Location:
    """Split `scheme://bucket/key`, and refuse every key that could mean another place than it says.

    Raises UsageError that names the path, what is wrong with it and the legal form.
    """
    match = _SCHEME.match(path)
    if match is None:
        raise UsageError(
            f"{path[:200]!r} is no path of a recording: legal is scheme://bucket/key, such as s3://b/k.mp4"
        )
    bucket, slash, key = path[match.end() :].partition("/")
    fault = "names no bucket" if not bucket else _fault(bucket) or ("names no key" if not slash else _fault(key))
    if fault:
        raise UsageError(f"{path[:200]!r} {fault}: legal is scheme://bucket/key with no '.' or '..' in between")
    return Location(match[1], bucket, key)


def _fault(key: str) -> str | None:
    """What is wrong with a key, also after a decoder's or Unicode's second look at it; None if nothing is."""
    if not key:
        return "names no key"
    plain = key.isascii() and key.isprintable()  # as nearly all keys are: nothing in it has a second look
    if not plain and any(unicodedata.category(char) in _UNPRINTABLE for char in key):
        return "has a control character"
    if _ESCAPED.search(key):
        return "has a percent-encoded '.', '/', '\\' or NUL"
    for spelling in (key,) if plain else (key, unicodedata.normalize("NFKC", key)):
        if spelling.startswith("/"):
            return "is absolute (its key begins with '/')"
        if "\\" in spelling:
            return "has a backslash"
        if any(part in (".", "..") for part in spelling.split("/")):
            return "has a '.' or '..' segment"
    return None


_ID = r"[A-Za-z0-9_{}-]+"
_DAY = r"(?P<day>[0-9]{8}|[0-9]{4}-[0-9]{2}-[0-9]{2})"
_FILE = r"(?P<file>[^/]+)"
_HLS = rf"hls/(?P<room_id>{_ID})/{_DAY}/(?P<epoch>[0-9]+)"
_FORMS: Final[Mapping[RecordingKind, re.Pattern[str]]] = {
    RecordingKind.COMPOSITE: re.compile(rf"beam/(?P<room_id>{_ID})/{_DAY}/{_FILE}"),
    RecordingKind.HLS_LAYER: re.compile(rf"{_HLS}/file-recording/{_FILE}"),
    RecordingKind.HLS_VOD: re.compile(rf"{_HLS}/vod/(?P<file>.+)"),
    RecordingKind.CHAT: re.compile(rf"chat/(?P<room_id>{_ID})/{_DAY}/{_FILE}"),
    RecordingKind.COMPOSITE_LEGACY: re.compile(rf"(?P<room_id>{_ID})/{_DAY}/(?P<session_id>{_ID})/{_FILE}"),
    RecordingKind.TRACK: re.compile(
        rf"(?P<room_id>{_ID})/{_DAY}/(?P<session_id>{_ID})/(?P<peer_id>{_ID})/(?P<stream_id>{_ID})/{_FILE}"
    ),
}
_NAME_REST = re.compile(r"(?P<epoch>[0-9]{9,})(?:-(?P<layer>[A-Za-z0-9_]+))?(?:\.[^/]*)?")


def _classify(home: Home, key: str) -> RecordingPath:
    rest = key[len(home.prefix) :].lstrip("/")
    stem, dot, suffix = rest.rpartition("/")[2].rpartition(".")
    extension = suffix.lower() if stem and dot else ""
    for kind, form in _FORMS.items():
        if match := form.fullmatch(rest):
            parts = match.groupdict()
            name = _name(parts)
            epoch = (name["epoch"] if name else None) or parts.get("epoch")
            return RecordingPath(
                provider=home.provider,
                bucket=home.bucket,
                key=key,
                kind=kind,
                extension=extension,
                room_id=parts["room_id"],
                session_id=parts.get("session_id"),
                peer_id=parts.get("peer_id"),
                stream_id=parts.get("stream_id"),
                track_id=parts["file"].partition(".")[0] if kind is RecordingKind.TRACK else None,
                layer=name["layer"] if name and kind is RecordingKind.HLS_LAYER else None,
                time=_moment(epoch, parts["day"]),
            )
    return RecordingPath(home.provider, home.bucket, key, RecordingKind.UNKNOWN, extension)


def _name(parts: Mapping[str, str]) -> re.Match[str] | None:
    """The epoch and layer of `Rec-<room or session>-<epoch>[-<layer>].<extension>`."""
    start = f"Rec-{parts.get('session_id', parts['room_id'])}-"
    file = parts["file"].rpartition("/")[2]
    return _NAME_REST.fullmatch(file.removeprefix(start)) if file.startswith(start) else None


def _moment(epoch: str | None, day: str) -> datetime | None:
    """From an epoch in milliseconds (13 digits) or seconds, else the day; None where neither is a date."""
    try:
        if epoch is not None:
            return datetime.fromtimestamp(int(epoch) / (1000 if len(epoch) > 11 else 1), UTC)
        return datetime.strptime(day.replace("-", ""), "%Y%m%d").replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None
