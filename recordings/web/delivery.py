"""From a row of the catalog to a URL that downloads its recording, or the reason why there is none.

Owns the decisions: whose storage it is in, whether its path may be followed, whether the object is there and can be
read (`recordings.web.looks` asks). Knows no HTTP server and no user. Nothing here holds up the event loop: the
client of 100ms runs in threads, the stores are open since the page asked for their origins; signing takes microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from anyio import to_thread

from recordings.catalog_entries import HMS, CatalogEntry
from recordings.downloads import Downloads
from recordings.errors import HmsError, HmsNotFoundError, HmsUnreachableError, UsageError
from recordings.hms import HmsClient
from recordings.hosts import Hosts
from recordings.redact import redact
from recordings.signing import file_name
from recordings.stores import SignedUrl
from recordings.web.answers import Refusal, log
from recordings.web.looks import Looks


@dataclass(frozen=True)
class Delivered:
    """A URL, and whose storage it leads to: `s3`, `gcs` or `100ms`."""

    url: SignedUrl
    storage: str


class Delivery:
    """Finds the URL; `life` is how long it works."""

    def __init__(self, downloads: Downloads, looks: Looks, hms: HmsClient | None, life: timedelta) -> None:
        self._downloads = downloads
        self._looks = looks
        self._hms = hms
        self._hosts = Hosts.of(downloads.outputs)
        self._life = life

    async def deliver(self, entry: CatalogEntry, *, inline: bool) -> Delivered:
        """The URL of a recording; `inline` for a player, else a browser saves it under the recording's own name.

        Raises Refusal: 403 for a path that is not this stack's, 404 without a file, 409 archived, 410 gone, 502 or
        503 where storage or 100ms do not answer as they should.
        """
        if entry.storage_provider == HMS:
            return await self._from_hms(entry)
        if not entry.file_path:
            raise Refusal(404, "no-file", "100ms reported no file for this recording")
        try:
            store, path = self._downloads.locate(entry.file_path)
        except UsageError as error:
            log.warning("recording %s: %s", entry.asset_id[:80], redact(str(error)))
            raise Refusal(403, "path-refused", "its row names no recording of this stack: it is not followed") from None
        await self._looks.look(store, path.key)
        filename = None if inline else file_name(path.key)
        return Delivered(store.sign(path.key, self._life, filename=filename), entry.storage_provider)

    async def _from_hms(self, entry: CatalogEntry) -> Delivered:
        """100ms' own presigned URL, while it keeps the recording (15 days in its own storage)."""
        if entry.status == "failed":
            raise Refusal(404, "no-file", "100ms reported this recording as failed")
        if self._hms is None:
            raise Refusal(409, "at-100ms", "it is in 100ms' storage, and this server has no credentials of 100ms")
        seconds = int(self._life.total_seconds())
        try:
            ask = partial(self._hms.presigned_url, entry.asset_id, seconds=seconds)
            signed = await to_thread.run_sync(ask)
        except HmsNotFoundError:
            raise Refusal(410, "gone", "100ms keeps this recording no longer") from None
        except HmsUnreachableError:
            raise Refusal(503, "100ms", "100ms does not answer at the moment: try again later") from None
        url = signed.url.get_secret_value()
        try:
            self._hosts.check(url)
        except HmsError as error:
            log.error("recording %s: %s", entry.asset_id[:80], redact(str(error)))
            raise Refusal(502, "100ms", "100ms gave a URL that is not followed") from None
        return Delivered(SignedUrl(url, datetime.now(UTC) + timedelta(seconds=signed.expiry or seconds)), HMS)
