"""Where in our buckets the objects of a scope lie, and which of the paths that name one may be believed.

Owns that nothing is touched but what belongs to the target. Objects are found in two ways: by listing the folders that
the documented paths give a room, and by the paths that 100ms and rows name. A path is only ever a hint: it has to lie
under the prefix of a bucket of the stack, in its documented form in a room of the target, and must not belong to
another recording of that room; one with no room in it has to come from 100ms, or name the target. What is refused is
told.

With a recording goes what lies beside it: the folder of an HLS recording, names that begin as a recording's name does
and go on with something else than a letter or digit (thumbnails), and what a backfill that was ended left of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol
from urllib.parse import unquote

from recordings.erasure.target import Claim, Kind, Scope
from recordings.errors import UsageError
from recordings.paths import Home, RecordingKind, RecordingPath, parse
from recordings.policies import OPERATOR_PREFIX
from recordings.stores.base import ObjectVersion, Upload

_FOLDERS: Final = ("beam/", "hls/", "chat/", "transcript/", "summary/", "")
"""Of rooms, under the prefix. Where transcripts and summaries go no page of 100ms says: their paths are in its list."""
_HLS: Final = frozenset({RecordingKind.HLS_LAYER, RecordingKind.HLS_VOD})
_BACKFILL: Final = f"{OPERATOR_PREFIX}backfill/"
"""Where `recordings backfill` keeps, by the id of the recording asset, what it has not finished."""
UNFINISHED: Final = "unfinished backfill"
"""The kind of that."""


class Lists(Protocol):
    """The part of a store that finds what there is."""

    def list_versions(self, prefix: str = "") -> Iterator[ObjectVersion]:
        """Every version."""

    def list_uploads(self, prefix: str = "") -> Iterator[Upload]:
        """Unfinished uploads."""


@dataclass(frozen=True)
class Refused:
    """A path that was left alone, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class _Where:
    """A prefix to list in a bucket, and which of the keys there are meant."""

    bucket: str
    prefix: str
    accepts: Callable[[RecordingPath], bool]


@dataclass
class Pile:
    """What was found in one bucket; keys with their kinds."""

    home: Home
    versions: list[ObjectVersion] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to remove."""
        return not self.versions and not self.uploads


@dataclass(frozen=True)
class Search:
    """Where to look for a scope's objects; `bucket` is the stack's own.

    `elsewhere`: what 100ms says lies in buckets that are none of ours.
    """

    scope: Scope
    bucket: str
    wheres: tuple[_Where, ...]
    refused: tuple[Refused, ...]
    elsewhere: tuple[Claim, ...]

    def look(self, home: Home, store: Lists) -> tuple[Pile, list[Refused]]:
        """What lies in one bucket now, each version and upload once, and what was left. Raises StoreError."""
        pile, left = Pile(home), dict[str, str]()
        for where in self._wheres(home):
            self._gather(store, where.prefix, pile, partial(self._kind, where, home, left))
        if home.bucket == self.bucket:
            self._gather(store, _BACKFILL, pile, self._unfinished)
        return pile, [Refused(home.path(key), reason) for key, reason in left.items() if key not in pile.kinds]

    def _gather(self, store: Lists, prefix: str, pile: Pile, kind_of: Callable[[str], str | None]) -> None:
        seen = {(version.key, version.version_id) for version in pile.versions}
        seen |= {(upload.key, upload.upload_id) for upload in pile.uploads}
        for version in store.list_versions(prefix):
            if (version.key, version.version_id) not in seen and (kind := kind_of(version.key)):
                pile.kinds[version.key] = kind
                pile.versions.append(version)
        for upload in store.list_uploads(prefix):
            if (upload.key, upload.upload_id) not in seen and (kind := kind_of(upload.key)):
                pile.kinds[upload.key] = kind
                pile.uploads.append(upload)

    def _unfinished(self, key: str) -> str | None:
        asset = unquote(key.removeprefix(_BACKFILL)).rpartition(".")[0]
        return UNFINISHED if asset in self.scope.assets else None

    def _wheres(self, home: Home) -> list[_Where]:
        """Those of one bucket; a prefix that another one covers is listed once, for both."""
        groups: list[tuple[str, list[_Where]]] = []
        for where in sorted((where for where in self.wheres if where.bucket == home.bucket), key=lambda w: w.prefix):
            if groups and where.prefix.startswith(groups[-1][0]):
                groups[-1][1].append(where)
            else:
                groups.append((where.prefix, [where]))
        return [_Where(home.bucket, prefix, _any(wheres)) for prefix, wheres in groups]

    def _kind(self, where: _Where, home: Home, left: dict[str, str], key: str) -> str | None:
        """The kind of a key that is meant, None for any other; why one was left that looks as if it were meant."""
        try:
            place = home.own(key)
        except UsageError:
            if _names(key[len(home.prefix) :], {self.scope.target.id}):
                left[key] = "its key has a form that no recording has"
            return None
        if not where.accepts(place):
            return None
        if home.path(key) in self.scope.foreign:
            left[key] = "100ms or a row says that it belongs to another recording too"
            return None
        if place.kind is RecordingKind.UNKNOWN:  # no documented path: what 100ms or a row calls it
            types = (claim.entry.type for claim in self.scope.claims if claim.path == home.path(key))
            return next(filter(None, types), place.kind.value)
        return place.kind.value


def search(scope: Scope, home: Home, *, thorough: bool = False) -> Search:
    """Where the objects of `scope` can be. With `thorough` everything under the prefixes is looked through."""
    homes = (home, *home.former)
    wheres = [where for place in homes for where in _folders(scope, place, thorough=thorough)]
    refused: dict[str, Refused] = {}
    believed: set[str] = set()
    elsewhere: list[Claim] = []
    for claim in scope.claims:
        try:
            place = home.source(claim.path)
        except UsageError as error:
            if _is_elsewhere(claim.path, homes):
                elsewhere.append(claim)
            else:
                refused[claim.path] = Refused(claim.path, str(error))
            continue
        prefix = next(known.prefix for known in homes if known.bucket == place.bucket)
        if reason := _misfit(scope, place, claim, place.key[len(prefix) :]):
            refused[claim.path] = Refused(claim.path, reason)
        else:
            believed.add(claim.path)
            wheres += _beside(place)
    left = tuple(item for path, item in refused.items() if path not in believed)
    return Search(scope, home.bucket, tuple(wheres), left, tuple(elsewhere))


def _is_elsewhere(path: str, homes: Iterable[Home]) -> bool:
    """Whether it is a path of a bucket that is none of the stack's."""
    try:
        bucket = parse(path).bucket
    except UsageError:
        return False
    return bucket not in {home.bucket for home in homes}


def _misfit(scope: Scope, place: RecordingPath, claim: Claim, rest: str) -> str | None:
    """Why a named path is not believed, None if it is; `rest` is its key without the prefix."""
    if place.room_id is not None and place.room_id not in scope.rooms:
        return f"it is of room {place.room_id}, not of {scope.target}"
    if claim.path in scope.foreign:
        return "100ms or a row says that it belongs to another recording too"
    if scope.target.kind is not Kind.ROOM and place.session_id not in (None, *scope.sessions):
        return f"it is of session {place.session_id}, not of {scope.target}"
    if place.room_id is None and not claim.by_hms and not _names(rest, {*scope.rooms, scope.target.id}):
        return f"a row says so, and nothing else shows that it is of {scope.target}"
    return None


def _folders(scope: Scope, home: Home, *, thorough: bool) -> Iterator[_Where]:
    """The folders of a room, also behind the second slash that a prefix registered with one leaves."""

    def of_room(place: RecordingPath) -> bool:
        if place.room_id is None:
            return _names(place.key[len(home.prefix) :], {scope.target.id})
        return place.room_id == scope.target.id and (place.time is None or place.time <= scope.until)

    def of_session(place: RecordingPath) -> bool:
        in_room = place.room_id is None or place.room_id in scope.rooms
        named = _names(place.key[len(home.prefix) :], {scope.target.id})
        return in_room and (place.session_id == scope.target.id or named)

    if scope.target.kind is Kind.RECORDING:
        return
    accepts = of_room if scope.target.kind is Kind.ROOM else of_session
    if thorough:
        yield _Where(home.bucket, home.prefix, accepts)
        return
    for start in (home.prefix, home.prefix + "/") if home.prefix else ("",):
        for folder in _FOLDERS:
            for room in sorted(scope.rooms):
                yield _Where(home.bucket, f"{start}{folder}{room}/", accepts)


def _beside(place: RecordingPath) -> Iterator[_Where]:
    """A named object, and what lies beside it."""
    folder, _, name = place.key.rpartition("/")
    yield _Where(place.bucket, place.key, lambda found: found.key == place.key)
    if place.kind in _HLS:
        epoch = re.split(r"/(?:vod|file-recording)/", place.key)[0] + "/"
        yield _Where(place.bucket, epoch, lambda found: found.room_id == place.room_id and found.kind in _HLS)
        return
    stem = name.partition(".")[0]
    if place.room_id is None or not re.fullmatch(r"Rec-.+-[0-9]{9,}(-[0-9A-Za-z_]+)?", stem):
        return

    def begins_so(found: RecordingPath) -> bool:
        rest = found.key.rpartition("/")[2].removeprefix(stem)
        return found.room_id == place.room_id and not rest[:1].isalnum()

    chat = re.sub(r"(^|/)beam/", r"\1chat/", folder, count=1) if place.kind is RecordingKind.COMPOSITE else folder
    for beside in sorted({folder, chat}):
        yield _Where(place.bucket, f"{beside}/{stem}", begins_so)


def _names(key: str, ids: Iterable[str]) -> bool:
    """Whether a segment of a key is one of the ids, or a recording's name with it."""
    forms = [re.compile(rf"{re.escape(id_)}|Rec-{re.escape(id_)}-[0-9]{{9,}}\b.*") for id_ in ids]
    return any(form.fullmatch(segment) for form in forms for segment in key.split("/"))


def _any(wheres: Sequence[_Where]) -> Callable[[RecordingPath], bool]:
    def accepts(place: RecordingPath) -> bool:
        return any(where.accepts(place) and place.key.startswith(where.prefix) for where in wheres)

    return accepts
