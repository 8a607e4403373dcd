"""What an object store can do for us: one protocol, and the plain values that go through it.

Owns the vocabulary (`Store`, `ObjectInfo`, `SignedUrl`, …) that every use case speaks. Knows no provider and imports
no SDK: an adapter is a module beside this one, named as the provider is in the stack outputs. A store is bound to one
bucket and one identity. Every method raises only `recordings.errors.StoreError` and its subclasses (`sign` also
UsageError), with no secret and no URL query in the message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol
from urllib.parse import urlsplit

from pydantic import SecretStr

from recordings.errors import StoreError
from recordings.signing import Download


class Identity(StrEnum):
    """Who a store acts as: whoever runs the command, 100ms, or the download endpoint."""

    OPERATOR = "operator"
    WRITER = "writer"
    READER = "reader"


@dataclass(frozen=True)
class AccessKey:
    """An explicit key pair, for a key slot that is not the registered one."""

    id: str
    secret: SecretStr


@dataclass(frozen=True)
class ObjectInfo:
    """One object. `size` in bytes, `last_modified` UTC; None where the answer did not say.

    `etag` is what `put` takes as `if_match`, and the same to whoever asks: on S3 the ETag with no quotes, on Google
    the generation (whose two APIs give two different ETags).
    """

    key: str
    size: int
    etag: str
    content_type: str | None = None
    last_modified: datetime | None = None
    storage_class: str | None = None
    version_id: str | None = None


@dataclass(frozen=True)
class ObjectVersion:
    """One version of an object, or a delete marker (`is_marker`, then `size` is 0).

    `noncurrent_since` (UTC) is when another version or a marker took its place, None for the latest.
    """

    key: str
    version_id: str
    is_latest: bool
    is_marker: bool
    size: int
    last_modified: datetime
    storage_class: str | None = None
    noncurrent_since: datetime | None = None


@dataclass(frozen=True)
class Part:
    """One uploaded part of a multipart upload; `number` counts from 1."""

    number: int
    etag: str


@dataclass(frozen=True)
class Upload:
    """A multipart upload that is neither completed nor aborted; `started` is UTC."""

    key: str
    upload_id: str
    started: datetime | None = None


@dataclass(frozen=True)
class LifecycleRule:
    """What becomes by itself of what lies under `prefix`, in days; None where the rule does not say."""

    prefix: str
    expires_days: int | None = None
    old_versions_days: int | None = None
    abort_uploads_days: int | None = None


@dataclass(frozen=True)
class Guards:
    """How the bucket is set up to look after itself; only rules that are enabled and hold for a whole prefix.

    `soft_delete` is how long a removed version can still be brought back by the bucket's owner: Google's alone.
    """

    refuses_public_access: bool
    keeps_versions: bool
    lifecycle: tuple[LifecycleRule, ...]
    soft_delete: timedelta = timedelta(0)


@dataclass(frozen=True)
class SignedUrl:
    """A presigned URL, which is a secret: only `reveal` gives it, str and repr show it without its query."""

    _url: str = field(repr=False)
    expires_at: datetime = field(default_factory=lambda: datetime.max.replace(tzinfo=UTC))

    def reveal(self) -> str:
        """The URL itself; not for logs, messages or reports."""
        return self._url

    def __str__(self) -> str:
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc}{parts.path}?…"


class Store(Protocol):
    """One bucket as one identity."""

    @property
    def bucket(self) -> str:
        """Name of the bucket."""

    @property
    def scheme(self) -> str:
        """How 100ms writes this provider in a recording's path: `s3`, `gs`."""

    @property
    def refuses_plain_http(self) -> bool:
        """Whether a bucket of this provider can be told to refuse HTTP without TLS."""

    def put(
        self,
        key: str,
        body: bytes,
        *,
        content_type: str = "application/octet-stream",
        if_match: str | None = None,
        if_none_match: bool = False,
    ) -> ObjectInfo:
        """Write one object in one request.

        With `if_match` only if the object still has that ETag, with `if_none_match` only if there is none; raises
        PreconditionError otherwise. A conditional write whose answer was lost may raise PreconditionError although
        it was done, and so may any write by who may neither overwrite nor read: read before deciding.
        """

    def read(self, key: str, *, first: int | None = None, last: int | None = None) -> tuple[bytes, ObjectInfo]:
        """Read a whole object, or its bytes `first` to `last` (both included); `size` is that of the whole object."""

    def head(self, key: str) -> ObjectInfo:
        """Describe an object without reading it. Raises ObjectNotFoundError."""

    def checksums(self, key: str) -> Mapping[str, str]:
        """What is known of an object's checksums beside what an answer to a GET says: headers, `etag` among them."""

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object whose key starts with `prefix`, in key order, page by page."""

    def list_versions(self, prefix: str = "") -> Iterator[ObjectVersion]:
        """Every version and delete marker under `prefix`, key by key; on a bucket without versioning, the objects.

        Versions are the operator's: to writer and reader this and `delete_versions` may be an AccessDeniedError.
        """

    def delete(self, key: str) -> None:
        """Delete the object (on a versioned bucket: put a delete marker). A missing object is no error."""

    def delete_versions(self, versions: Iterable[ObjectVersion]) -> int:
        """Remove versions and markers for good, in batches; gives how many. Raises StoreError naming what stayed."""

    def create_upload(self, key: str, *, content_type: str = "application/octet-stream") -> str:
        """Begin a multipart upload; gives its id."""

    def upload_part(self, key: str, upload_id: str, number: int, body: bytes) -> Part:
        """Upload a part; all but the last must be at least 5 MiB."""

    def complete_upload(self, key: str, upload_id: str, parts: Sequence[Part]) -> None:
        """Make the object out of the parts."""

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Throw the upload and its parts away. An upload that is gone is no error."""

    def list_uploads(self, prefix: str = "") -> Iterator[Upload]:
        """Unfinished multipart uploads under `prefix`."""

    def sign(
        self,
        key: str,
        expires: timedelta,
        *,
        filename: str | None = None,
        content_type: str | None = None,
        method: str = "GET",
        at: datetime | None = None,
    ) -> SignedUrl:
        """Presign `method` on `key`, from `at` (UTC, default now) for `expires`.

        `filename` becomes `response-content-disposition: attachment`, `content_type` `response-content-type`.
        Raises UsageError beyond the provider's limit (7 days). Nothing is asked of the provider: an object need not
        exist.
        """

    def sign_many(
        self, downloads: Iterable[Download], expires: timedelta, *, at: datetime | None = None
    ) -> Sequence[SignedUrl]:
        """As `sign` with GET for each of `downloads`, in their order, many times as fast."""

    def url(self, key: str) -> str:
        """The plain, unsigned URL of a key."""

    def refusal(self, status: int, body: bytes, what: str) -> StoreError:
        """The error that this answer to a signed URL means: HTTP status and body; `what` says what was asked."""

    def account(self) -> str:
        """The AWS account id or Google project that the identity belongs to.

        Raises CredentialsError if nobody is logged in, or the login names none.
        """

    def guards(self) -> Guards:
        """How the bucket is set up; for the operator, who alone may see it."""

    def bucket_region(self) -> str:
        """Where the bucket really lies. Raises BucketNotFoundError, AccessDeniedError to who may not know."""
