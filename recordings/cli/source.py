"""Where `list` and `download` learn of recordings: the database where DATABASE_URL names one, else 100ms itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from recordings.catalog_entries import CatalogEntry, entry_of
from recordings.errors import HmsNotFoundError
from recordings.extras import needs
from recordings.outputs import StackOutputs
from recordings.paths import Home

if TYPE_CHECKING:
    from recordings.catalog import Catalog
    from recordings.hms import HmsClient

_PIECE = 100


@dataclass(frozen=True)
class Rows:
    """`name` says where they come from; `newest(room, count)` and `find(id)` give them."""

    name: str
    newest: Callable[[str | None, int], list[CatalogEntry]]
    find: Callable[[str], CatalogEntry | None]


@contextmanager
def open_rows(load: Callable[[], StackOutputs]) -> Iterator[Rows]:
    """Open one of the two. 100ms does not know which bucket is ours: then the outputs are read, for that."""
    if os.environ.get("DATABASE_URL", "").strip():
        with needs("db"):
            from recordings.catalog import Catalog
            from recordings.database import connect, database_url
        with connect(database_url(os.environ)) as connection:
            catalog = Catalog(connection)
            yield Rows("database", lambda room, count: list(islice(_walk(catalog, room), count)), catalog.find)
        return
    from recordings.hms import HmsClient
    from recordings.hms_auth import HmsCredentials

    home = Home.of(load())
    with HmsClient(HmsCredentials.from_environment(os.environ)) as hms:
        yield Rows("100ms", lambda room, count: list(islice(_listed(hms, home, room), count)), _finder(hms, home))


def _walk(catalog: Catalog, room: str | None) -> Iterable[CatalogEntry]:
    after: str | None = None
    while True:
        page = catalog.page(limit=_PIECE, after=after, room_id=room)
        yield from page.entries
        after = page.next
        if after is None:
            return


def _listed(hms: HmsClient, home: Home, room: str | None) -> Iterable[CatalogEntry]:
    return (entry_of(asset, home, datetime.now(UTC))[0] for asset in hms.recording_assets(room_id=room))


def _finder(hms: HmsClient, home: Home) -> Callable[[str], CatalogEntry | None]:
    def find(asset_id: str) -> CatalogEntry | None:
        try:
            return entry_of(hms.recording_asset(asset_id), home, datetime.now(UTC))[0]
        except HmsNotFoundError:
            return None

    return find
