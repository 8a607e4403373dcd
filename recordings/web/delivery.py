"""From a row of the catalog to a URL that downloads its recording, or the reason why there is none.

Owns the decisions: whose storage it is in, whether its path may be followed, whether the object is there and can be
read. Knows no HTTP server and no user. Nothing here holds up the event loop: signing and 100ms' client run in threads,
the look at the object goes through an asynchronous client over a presigned HEAD.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import anyio
import httpx
from anyio import to_thread

from recordings.catalog_entries import HMS, CatalogEntry
from recordings.downloads import Downloads
from recordings.errors import (
    HmsNotFoundError,
    HmsUnreachableError,
    ObjectArchivedError,
    ObjectNotFoundError,
    StoreUnreachableError,
    UsageError,
)
from recordings.hms import HmsClient
from recordings.redact import redact
from recordings.signing import file_name
from recordings.stores import SignedUrl, Store
from recordings.stores.archive import Archived, archived
from recordings.web.answers import Refusal, log

HEAD_LIFE: Final = timedelta(minutes=5)
PATIENCE: Final = 10.0
"""Seconds to find out why the storage refused."""
_TRIES: Final = 2


@dataclass(frozen=True)
class Delivered:
    """A URL, and whose storage it leads to: `s3`, `gcs` or `100ms`."""

    url: SignedUrl
    storage: str


def http_client() -> httpx.AsyncClient:
    """A client for presigned URLs: it follows no redirect, and its log is silent because that would show them."""
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=50)
    return httpx.AsyncClient(timeout=httpx.Timeout(15.0, connect=5.0, pool=30.0), limits=limits, follow_redirects=False)


class Delivery:
    """Finds the URL; `life` is how long it works."""

    def __init__(self, downloads: Downloads, http: httpx.AsyncClient, hms: HmsClient | None, life: timedelta) -> None:
        self._downloads = downloads
        self._http = http
        self._hms = hms
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
        store, key, head, url = await to_thread.run_sync(self._sign, entry, inline)
        await self._look(store, key, head)
        return Delivered(url, entry.storage_provider)

    def _sign(self, entry: CatalogEntry, inline: bool) -> tuple[Store, str, SignedUrl, SignedUrl]:
        try:
            store, path = self._downloads.locate(entry.file_path or "")
        except UsageError as error:
            log.warning("recording %s: %s", entry.asset_id[:80], redact(str(error)))
            raise Refusal(403, "path-refused", "its row names no recording of this stack: it is not followed") from None
        filename = None if inline else file_name(path.key)
        url = store.sign(path.key, self._life, filename=filename)
        return store, path.key, store.sign(path.key, HEAD_LIFE, method="HEAD"), url

    async def _look(self, store: Store, key: str, head: SignedUrl) -> None:
        """Raise Refusal unless the object is there and can be read."""
        answer = await self._head(head)
        if answer is None or answer.status_code == 429 or answer.status_code >= 500:
            raise Refusal(503, "storage", "the storage does not answer at the moment: try again later")
        if answer.is_success:
            if state := archived(answer.headers):
                raise _in_archive(state)
            return
        await self._ask_why(store, key)

    async def _head(self, url: SignedUrl) -> httpx.Response | None:
        answer = None
        for _ in range(_TRIES):
            try:
                answer = await self._http.head(url.reveal())
            except httpx.HTTPError:
                continue
            if answer.status_code < 500 and answer.status_code != 429:
                break
        return answer

    async def _ask_why(self, store: Store, key: str) -> None:
        """A refused HEAD has no reason in it: the store finds it out by other requests, with a time limit."""
        try:
            with anyio.fail_after(PATIENCE):
                await to_thread.run_sync(partial(store.head, key), abandon_on_cancel=True)
        except ObjectNotFoundError:
            raise Refusal(410, "gone", "its object is no longer in the bucket") from None
        except ObjectArchivedError:
            raise _in_archive(Archived("unknown", restoring=False)) from None
        except (TimeoutError, StoreUnreachableError):
            raise Refusal(503, "storage", "the storage does not answer at the moment: try again later") from None

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
        if not _is_plain_https(url):
            log.error("recording %s: 100ms gave a URL that is not plain https", entry.asset_id[:80])
            raise Refusal(502, "100ms", "100ms gave a URL that is not followed")
        return Delivered(SignedUrl(url, datetime.now(UTC) + timedelta(seconds=signed.expiry or seconds)), HMS)


def _in_archive(state: Archived) -> Refusal:
    act = "its restoration is under way" if state.restoring else "restore it first (`aws s3api restore-object`)"
    message = f"it lies in the archive storage class {state.storage_class}: {act}"
    return Refusal(409, "archived", message, storageClass=state.storage_class, restoring=state.restoring)


def _is_plain_https(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc and url.isprintable()
    except ValueError:
        return False
