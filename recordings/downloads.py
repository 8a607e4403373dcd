"""Presigned download URLs for recordings, by the path that a database row or 100ms gives: what a back end imports.

Owns the way from a path to the right bucket and its reader. Trusts no path: `Home.source` refuses another bucket or
prefix, `..` and the like. Asks nothing of the provider: a recording need not exist (`recordings.web` looks first).

    downloads = Downloads(StackOutputs.from_json(text))
    url = downloads.sign("s3://bucket/recordings/….mp4", filename="Monday.mp4").reveal()
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Final

from recordings.outputs import StackOutputs
from recordings.paths import Home, RecordingPath
from recordings.signing import Download
from recordings.stores import SignedUrl, Store, open_source

LIFE: Final = timedelta(hours=1)
"""How long a URL works unless another time is asked for."""


class Downloads:
    """Signs downloads from a stack's bucket and its former buckets as the reader. Thread-safe."""

    def __init__(self, outputs: StackOutputs, *, open_: Callable[[StackOutputs, str], Store] = open_source) -> None:
        self.home = Home.of(outputs)
        self.outputs = outputs
        self._open = cache(lambda bucket: open_(outputs, bucket))

    def locate(self, path_or_key: str) -> tuple[Store, RecordingPath]:
        """The store that holds a recording, and its path in parts.

        Raises UsageError for a path that is malformed or of another bucket or prefix.
        """
        path = self.home.source(path_or_key)
        return self._open(path.bucket), path

    def sign(
        self,
        path_or_key: str,
        expires: timedelta = LIFE,
        *,
        filename: str | None = None,
        content_type: str | None = None,
        at: datetime | None = None,
    ) -> SignedUrl:
        """A URL that downloads the recording, from `at` (default now) for `expires` (at most 7 days).

        Raises UsageError for a path that is not this stack's, a bad lifetime or file name.
        """
        store, path = self.locate(path_or_key)
        return store.sign(path.key, expires, filename=filename, content_type=content_type, at=at)

    def sign_many(
        self, paths_or_keys: Sequence[str], expires: timedelta = LIFE, *, at: datetime | None = None
    ) -> Sequence[SignedUrl]:
        """A URL for each, in their order; one bad path is an error for all. Raises as `sign`."""
        located = [self.locate(path) for path in paths_or_keys]
        signed: dict[int, SignedUrl] = {}
        for store in {id(store): store for store, _ in located}.values():
            mine = [index for index, (other, _) in enumerate(located) if other is store]
            urls = store.sign_many([Download(located[index][1].key) for index in mine], expires, at=at)
            signed |= dict(zip(mine, urls, strict=True))
        return [signed[index] for index in range(len(located))]
