"""The page: recordings in a table, and a player; rendered here, with no script.

Owns how it looks and its Content-Security-Policy. Everything that comes from a row is escaped by the template engine.
The player loads in CORS mode (`crossorigin`), so that only pages of the stack's `corsOrigins` can play; what lies in
100ms' storage is loaded without, since nobody here says what 100ms allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from recordings.catalog_entries import HMS, CatalogEntry
from recordings.downloads import Downloads
from recordings.shown import length, moment, size
from recordings.web.answers import NO_STORE

_FOLDER: Final = files("recordings.web") / "templates"
CSS: Final = (_FOLDER / "page.css").read_text(encoding="utf-8")
_PLAYABLE: Final = frozenset({"mp4", "webm", "m4v", "mov", "mp3", "m4a"})
_PLACES: Final = {"s3": "Amazon S3", "gcs": "Google Cloud Storage", HMS: "100ms"}


class Pages:
    """Renders for one stack."""

    def __init__(self, downloads: Downloads) -> None:
        source = (_FOLDER / "page.html").read_text(encoding="utf-8")
        environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
        environment.filters |= {"moment": moment, "machine": machine, "length": length, "size": size, "place": place}
        environment.tests["playable"] = is_playable
        self._template = environment.from_string(source)
        self._environment = downloads.outputs.environment
        self._media = _origins(downloads)

    def answer(
        self, request: Request, entries: Sequence[CatalogEntry], following: str | None, playing: CatalogEntry | None
    ) -> Response:
        """The page; `following` is the cursor of the page after this one, `playing` what the player shows."""
        base = request.scope.get("root_path", "")
        here = {name: value for name in ("room", "after") if (value := request.query_params.get(name))}

        def link(**changes: str | None) -> str:
            query = {name: value for name, value in (here | changes).items() if value}
            return f"{base}/?{urlencode(query)}" if query else f"{base}/"

        def download(entry: CatalogEntry, *, inline: bool = False) -> str:
            return (
                f"{base}/recordings/{quote(entry.asset_id, safe='')}/download{'?disposition=inline' if inline else ''}"
            )

        html = self._template.render(
            entries=entries,
            following=following,
            playing=playing,
            environment=self._environment,
            room=here.get("room"),
            is_first="after" not in here,
            base=base,
            link=link,
            download=download,
            at_100ms=HMS,
        )
        return HTMLResponse(html, headers=NO_STORE | {"Content-Security-Policy": self._policy(playing)})

    def _policy(self, playing: CatalogEntry | None) -> str:
        """Nothing but the style sheet, and media from the buckets; of 100ms' storage only the scheme is known."""
        media = ["'self'", *self._media, *(["https:"] if playing and playing.storage_provider == HMS else [])]
        return (
            f"default-src 'none'; style-src 'self'; media-src {' '.join(media)}; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'"
        )


def _origins(downloads: Downloads) -> list[str]:
    """Where the reader's URLs lead to, of the bucket and the former ones."""
    homes = (downloads.home, *downloads.home.former)
    urls = [downloads.locate(home.path(f"{home.prefix}x"))[0].url("x") for home in homes]
    return sorted({f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, urls)})


def is_playable(entry: CatalogEntry) -> bool:
    """Whether a browser's player may make something of it."""
    end = (entry.file_path or "").rpartition(".")[2].lower()
    return entry.status in (None, "completed") and end in _PLAYABLE


def machine(at: datetime | None) -> str:
    """A time for machines."""
    return at.astimezone(UTC).isoformat() if at else ""


def place(provider: str) -> str:
    """Whose storage it is in, for people."""
    return _PLACES.get(provider, provider)
