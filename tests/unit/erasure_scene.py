"""100ms, rows and a bucket in memory, for tests of erasure; every call can be made to be the last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from recordings.catalog_entries import CatalogEntry
from recordings.erasure.places import Pile, Refused, Search, search
from recordings.erasure.target import Scope, Target, survey
from recordings.errors import HmsNotFoundError
from recordings.hms_models import Recording, RecordingAsset
from recordings.outputs import StorageProvider
from recordings.paths import Home
from recordings.stores.base import Guards, ObjectVersion, Upload

FORMER = Home(StorageProvider.S3, "former", "old/")
HOME = Home(StorageProvider.S3, "bucket", "recordings/", (FORMER,))
THEN = datetime(2026, 8, 1, 12, tzinfo=UTC)
NOW = datetime(2026, 8, 20, tzinfo=UTC)
DAY, EPOCH = "20260801", 1785542400123


T = TypeVar("T")


@dataclass
class Bucket:
    """A versioned bucket; `before` is called with the name of each call that changes something."""

    name: str = "bucket"
    versions: list[ObjectVersion] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)
    before: Callable[[str], None] = lambda _: None
    soft_delete: timedelta = timedelta(0)

    def put(self, *keys: str, times: int = 1) -> None:
        for key in keys:
            for _ in range(times):
                number = len(self.versions)
                self.versions.append(ObjectVersion(key, f"v{number}", True, False, 10, THEN))

    def names(self) -> set[str]:
        return {version.key for version in self.versions}

    def list_versions(self, prefix: str = "") -> Iterator[ObjectVersion]:
        return iter([version for version in self.versions if version.key.startswith(prefix)])

    def list_uploads(self, prefix: str = "") -> Iterator[Upload]:
        return iter([upload for upload in self.uploads if upload.key.startswith(prefix)])

    def delete_versions(self, versions: Iterable[ObjectVersion]) -> int:
        gone = list(versions)
        for version in gone:
            self.before("delete_versions")
            self.versions = [kept for kept in self.versions if kept != version]
        return len(gone)

    def abort_upload(self, key: str, upload_id: str) -> None:
        self.before("abort_upload")
        self.uploads = [upload for upload in self.uploads if upload.upload_id != upload_id]

    def guards(self) -> Guards:
        return Guards(refuses_public_access=True, keeps_versions=True, lifecycle=(), soft_delete=self.soft_delete)

    def account(self) -> str:
        return "123456789012"


@dataclass
class FakeHms:
    """What 100ms lists."""

    assets: list[RecordingAsset] = field(default_factory=list)
    jobs: list[Recording] = field(default_factory=list)

    def add(self, id_: str, path: str = "", **how: Any) -> RecordingAsset:
        given = {"type": "room-composite", "status": "completed", "created_at": THEN, **how}
        self.assets.append(RecordingAsset(id=id_, path=path, **given))
        return self.assets[-1]

    def recording(self, recording_id: str) -> Recording:
        return _only(job for job in self.jobs if job.id == recording_id)

    def recording_asset(self, asset_id: str) -> RecordingAsset:
        return _only(asset for asset in self.assets if asset.id == asset_id)

    def recordings(self, *, room_id: str | None = None, session_id: str | None = None) -> list[Recording]:
        return [job for job in self.jobs if _fits(job, room_id, session_id)]

    def recording_assets(self, *, room_id: str | None = None, session_id: str | None = None) -> list[RecordingAsset]:
        return [asset for asset in self.assets if _fits(asset, room_id, session_id)]


@dataclass
class Scene:
    """All three, and looking at them."""

    hms: FakeHms = field(default_factory=FakeHms)
    stored: list[CatalogEntry] = field(default_factory=list)
    bucket: Bucket = field(default_factory=Bucket)
    home: Home = HOME

    def row(self, asset: str, path: str, **how: Any) -> None:
        self.stored.append(CatalogEntry(asset, "s3", file_path=path, **how))

    def rows(
        self, rooms: Sequence[str], sessions: Sequence[str], jobs: Sequence[str], assets: Sequence[str]
    ) -> list[CatalogEntry]:
        return [
            row
            for row in self.stored
            if row.room_id in rooms or row.session_id in sessions or row.job_id in jobs or row.asset_id in assets
        ]

    def scope(self, **target: str) -> Scope:
        wanted = Target.of(**{"room": None, "session": None, "recording": None, **target})
        return survey(wanted, self.hms, self.rows, self.home, NOW)

    def look(self, **target: str) -> tuple[Pile, list[Refused]]:
        """What would be removed from the stack's bucket, and everything that would be left alone."""
        return self._found(search(self.scope(**target), self.home))

    def look_everywhere(self, **target: str) -> tuple[Pile, list[Refused]]:
        """As `look`, through everything under the prefix."""
        return self._found(search(self.scope(**target), self.home, thorough=True))

    def _found(self, found: Search) -> tuple[Pile, list[Refused]]:
        pile, left = found.look(self.home, self.bucket)
        return pile, [*found.refused, *left]


def path(key: str, bucket: str = "bucket") -> str:
    return f"s3://{bucket}/{key}"


def composite(room: str, epoch: int = EPOCH, prefix: str = "recordings/") -> str:
    return f"{prefix}beam/{room}/{DAY}/Rec-{room}-{epoch}.mp4"


def _fits(thing: Any, room_id: str | None, session_id: str | None) -> bool:
    return room_id in (None, thing.room_id) and session_id in (None, thing.session_id)


def _only(found: Iterator[T]) -> T:
    thing = next(found, None)
    if thing is None:
        raise HmsNotFoundError("not found")
    return thing
