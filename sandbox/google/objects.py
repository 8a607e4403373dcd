"""Objects and their versions: what happens on insert, delete, restore, and how a listing is made.

A version is `live`, `noncurrent` or `soft-deleted`. It owns the rules of generations, preconditions, versioning and
soft delete, and asks nobody's permission. Sources: cloud.google.com/storage/docs/object-versioning, .../soft-delete,
.../request-preconditions, .../objects#naming, .../listing-objects.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sandbox.google import blobs
from sandbox.google.blobs import Blob
from sandbox.google.buckets import is_versioned, soft_delete_seconds
from sandbox.google.cloud import Cloud, now, stamp
from sandbox.google.errors import invalid, object_not_found, precondition_failed
from sandbox.google.http import Json

_NAME_BYTES: Final = 1024
_METADATA_BYTES: Final = 8 * 1024
LIVE, NONCURRENT, SOFT_DELETED = "live", "noncurrent", "soft-deleted"


@dataclass(frozen=True)
class Attributes:
    """What a client says about an object. `metadata` is its own; times are RFC 3339."""

    content_type: str | None = None
    cache_control: str | None = None
    content_disposition: str | None = None
    content_encoding: str | None = None
    content_language: str | None = None
    custom_time: str | None = None
    storage_class: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Version:
    """One version of an object; `md5` is None for an object that was put together from parts."""

    bucket: str
    name: str
    generation: int
    state: str
    file: str
    size: int
    crc32c: str
    md5: str | None
    attributes: Attributes
    storage_class: str
    created: str
    updated: str
    class_updated: str
    metageneration: int = 1
    components: int | None = None
    noncurrent_since: str | None = None
    soft_deleted: str | None = None
    hard_delete: str | None = None

    @property
    def etag(self) -> str:
        """The JSON API's etag."""
        return f"C{self.generation:x}M{self.metageneration:x}"


@dataclass(frozen=True)
class Preconditions:
    """Generation and metageneration conditions; 0 as `generation` means that no live version may exist."""

    generation: int | None = None
    not_generation: int | None = None
    metageneration: int | None = None
    not_metageneration: int | None = None

    def check(self, live: Version | None) -> None:
        """Raise GoogleError 412 unless all hold."""
        generation = live.generation if live else 0
        metageneration = live.metageneration if live else 0
        held = (
            self.generation in (None, generation)
            and (self.not_generation is None or self.not_generation != generation)
            and self.metageneration in (None, metageneration)
            and (self.not_metageneration is None or self.not_metageneration != metageneration)
        )
        if not held:
            raise precondition_failed()


def check_name(name: str) -> None:
    """Raise GoogleError 400 unless `name` can be an object's."""
    good = (
        0 < len(name.encode("utf-8", "surrogatepass")) <= _NAME_BYTES
        and name not in (".", "..")
        and not name.startswith(".well-known/acme-challenge/")
        and not any(char in name for char in "\r\n")
        and not any(0xD800 <= ord(char) <= 0xDFFF for char in name)
    )
    if not good:
        raise invalid(f"Invalid object name: {name[:80]!r}", "InvalidObjectName")


class Objects:
    """The versions of one bucket."""

    def __init__(self, cloud: Cloud, bucket: Json) -> None:
        self._cloud = cloud
        self._bucket = bucket
        self._name = bucket["name"]
        self._folder = cloud.state.blobs

    def live(self, name: str) -> Version | None:
        """The live version, or None."""
        return self._one("name = ? AND state = 'live'", name)

    def get(self, name: str, generation: int | None = None, *, soft_deleted: bool = False) -> Version:
        """The live version, or the given one. Raises GoogleError 404."""
        if generation is None:
            found = self.live(name)
        else:
            found = self._one("name = ? AND generation = ?", name, generation)
            if found is not None and (found.state == SOFT_DELETED) != soft_deleted:
                found = None
        if found is None:
            raise object_not_found(self._name, name)
        return found

    def insert(
        self, name: str, blob: Blob, attributes: Attributes, conditions: Preconditions, *, components: int | None = None
    ) -> Version:
        """Make `blob` the live version. Raises GoogleError; the caller then removes the blob."""
        check_name(name)
        conditions.check(self.live(name))
        size = sum(len(key.encode()) + len(value.encode()) for key, value in attributes.metadata.items())
        if size > _METADATA_BYTES:
            raise invalid(f"Custom metadata can have at most {_METADATA_BYTES} bytes.", "MetadataTooLarge")
        moment = stamp(now())
        with self._cloud.state.change():
            generation = self._next_generation()
            self._retire(self.live(name))
            version = Version(
                self._name, name, generation, LIVE, blob.file, blob.size, blob.crc32c,
                None if components else blob.md5, attributes,
                attributes.storage_class or self._bucket["resource"]["storageClass"],
                moment, moment, moment, components=components,
            )  # fmt: skip
            self._store(version)
        return version

    def change(self, version: Version, attributes: Attributes) -> Version:
        """Write other attributes to a version; its metageneration grows."""
        changed = replace(
            version, attributes=attributes, metageneration=version.metageneration + 1, updated=stamp(now())
        )
        self._store(changed)
        return changed

    def reclass(self, version: Version, storage_class: str, moment: datetime) -> None:
        """Move a version to another storage class, as a lifecycle rule does."""
        self._store(
            replace(
                version,
                storage_class=storage_class,
                class_updated=stamp(moment),
                metageneration=version.metageneration + 1,
            )
        )

    def delete(self, name: str, generation: int | None, conditions: Preconditions) -> None:
        """Delete the live version (it may stay as noncurrent) or, for good, the given one. Raises GoogleError."""
        version = self.get(name, generation)
        conditions.check(version)
        with self._cloud.state.change():
            if generation is None:
                self._retire(version)
            else:
                self._drop(version)

    def expire(self, version: Version, moment: datetime) -> None:
        """What the lifecycle action Delete does at `moment`: a live version retires, another goes."""
        with self._cloud.state.change():
            if version.state == LIVE:
                self._retire(version, moment)
            else:
                self._drop(version, moment)

    def restore(self, name: str, generation: int, conditions: Preconditions) -> Version:
        """Bring a soft-deleted version back as a new live one."""
        version = self.get(name, generation, soft_deleted=True)
        conditions.check(self.live(name))
        with self._cloud.state.change():
            file = blobs.linked(self._folder, version.file)
            blob = Blob(file, version.size, version.crc32c, version.md5 or "")
            self._retire(self.live(name))
            moment = stamp(now())
            restored = replace(
                version, generation=self._next_generation(), state=LIVE, file=blob.file, metageneration=1,
                created=moment, updated=moment, noncurrent_since=None, soft_deleted=None, hard_delete=None,
            )  # fmt: skip
            self._store(restored)
        return restored

    def copy(self, source: Version, name: str, attributes: Attributes, conditions: Preconditions) -> Version:
        """A new live version with the bytes of `source`."""
        file = blobs.linked(self._folder, source.file)
        try:
            blob = Blob(file, source.size, source.crc32c, source.md5 or "")
            return self.insert(name, blob, attributes, conditions, components=source.components)
        except BaseException:
            blobs.remove(self._folder, [file])
            raise

    def all(self, *states: str, prefix: str = "", after: str = "") -> Iterator[Version]:
        """Versions in these states by name and generation, names from `after` on."""
        marks = ",".join("?" * len(states))
        rows = self._cloud.state.sql.execute(
            f"SELECT state, body FROM versions WHERE bucket = ? AND state IN ({marks}) AND name >= ? "  # noqa: S608
            "ORDER BY name, generation",
            (self._name, *states, max(prefix, after)),
        )
        for state, body in rows.fetchall():
            version = _version(state, body)
            if not version.name.startswith(prefix):
                if version.name > prefix:
                    return
                continue
            yield version

    def purge_soft_deleted(self, moment: datetime) -> int:
        """Remove soft-deleted versions whose time is over; how many."""
        over = [v for v in self.all(SOFT_DELETED) if v.hard_delete is not None and v.hard_delete <= stamp(moment)]
        for version in over:
            self._erase(version)
        return len(over)

    def _retire(self, version: Version | None, moment: datetime | None = None) -> None:
        if version is None:
            return
        if is_versioned(self._bucket):
            self._store(replace(version, state=NONCURRENT, noncurrent_since=stamp(moment or now())))
        else:
            self._drop(version, moment)

    def _drop(self, version: Version, moment: datetime | None = None) -> None:
        seconds = soft_delete_seconds(self._bucket)
        if seconds == 0:
            self._erase(version)
            return
        moment = moment or now()
        self._store(
            replace(
                version,
                state=SOFT_DELETED,
                soft_deleted=stamp(moment),
                hard_delete=stamp(moment + timedelta(seconds=seconds)),
            )
        )

    def _erase(self, version: Version) -> None:
        self._cloud.state.sql.execute(
            "DELETE FROM versions WHERE bucket = ? AND name = ? AND generation = ?",
            (version.bucket, version.name, version.generation),
        )
        blobs.remove(self._folder, [version.file])

    def _next_generation(self) -> int:
        (latest,) = self._cloud.state.sql.execute("SELECT max(generation) FROM versions").fetchone()
        return max(int(now().timestamp() * 1_000_000), (latest or 0) + 1)

    def _store(self, version: Version) -> None:
        self._cloud.state.sql.execute(
            "INSERT OR REPLACE INTO versions VALUES (?, ?, ?, ?, ?, ?)",
            (
                version.bucket,
                version.name,
                version.generation,
                version.state,
                version.file,
                json.dumps(asdict(version)),
            ),
        )

    def _one(self, where: str, *values: object) -> Version | None:
        row = self._cloud.state.sql.execute(
            f"SELECT state, body FROM versions WHERE bucket = ? AND {where}",  # noqa: S608
            (self._name, *values),
        ).fetchone()
        return None if row is None else _version(*row)


def _version(state: str, body: str) -> Version:
    fields: dict[str, Any] = json.loads(body)
    return Version(**{**fields, "state": state, "attributes": Attributes(**fields["attributes"])})


@dataclass(frozen=True)
class Page:
    """One page of a listing. `following` is where the next one starts, or None."""

    versions: list[Version]
    prefixes: list[str]
    following: tuple[str, int] | None


@dataclass(frozen=True)
class Listing:
    """What is listed. `start` is the first name and generation to show; `end` the first name not to show."""

    prefix: str = ""
    delimiter: str = ""
    states: tuple[str, ...] = (LIVE,)
    start: tuple[str, int] = ("", 0)
    end: str = ""
    size: int = 1000

    def page(self, objects: Objects) -> Page:
        """The page: names in byte order, those with the delimiter after the prefix folded into prefixes."""
        versions: list[Version] = []
        prefixes: dict[str, None] = {}
        for version in objects.all(*self.states, prefix=self.prefix, after=self.start[0]):
            place = (version.name, version.generation)
            if place < self.start:
                continue
            if self.end and version.name >= self.end:
                break
            folded = self._folded(version.name)
            if folded is not None and folded in prefixes:
                continue
            if len(versions) + len(prefixes) >= self.size:
                return Page(versions, list(prefixes), place)
            if folded is None:
                versions.append(version)
            else:
                prefixes[folded] = None
        return Page(versions, list(prefixes), None)

    def _folded(self, name: str) -> str | None:
        if not self.delimiter:
            return None
        at = name.find(self.delimiter, len(self.prefix))
        return None if at < 0 else name[: at + len(self.delimiter)]


def attributes_of(fields: Mapping[str, Any]) -> Attributes:
    """Attributes from an object resource of the JSON API. Raises GoogleError 400 for unknown fields."""
    known = {
        "contentType": "content_type",
        "cacheControl": "cache_control",
        "contentDisposition": "content_disposition",
        "contentEncoding": "content_encoding",
        "contentLanguage": "content_language",
        "customTime": "custom_time",
        "storageClass": "storage_class",
    }
    given = {known[name]: value for name, value in fields.items() if name in known}
    metadata = fields.get("metadata") or {}
    if not isinstance(metadata, dict) or not all(
        isinstance(value, str) for value in [*metadata.values(), *(v for v in given.values() if v is not None)]
    ):
        raise invalid("Object metadata consists of strings alone.")
    return Attributes(**given, metadata=dict(metadata))
