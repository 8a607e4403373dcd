"""Cloud Storage as the operator sees it: Google's own library, with the credentials of whoever is logged in.

Owns objects and their generations by the JSON API. The library's retries are switched off in favour of this project's
(attempts, budget, Retry-After), which are the same for every call to the outside. Needs the extra `gcs`.

The bucket keeps deleted versions for the days of its soft-delete policy; nothing lists them any more, and they go with
the bucket or by themselves.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any, Final, TypeVar

import google.auth
import google.auth.credentials
import google.auth.transport.requests
import httpx
from google.cloud import storage
from google.cloud.storage.hmac_key import HMACKeyMetadata

from recordings.errors import CredentialsError, ObjectNotFoundError, StoreError, StoreUnreachableError
from recordings.outages import outages
from recordings.retry import Attempts, RetryPolicy, Timing
from recordings.signing import Presigner
from recordings.stores.base import Guards, ObjectInfo, ObjectVersion
from recordings.stores.gcs_guards import guards
from recordings.stores.gcs_hmac import wanted_generation
from recordings.stores.gcs_rsa import ambient_signer
from recordings.stores.gcs_sdk_errors import FOREIGN, mapped, retry_after, translate
from recordings.stores.gcs_uploads import GcsUploads
from recordings.stores.gcs_wire import GOOGLE, PARTY, Wire

SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
TIMEOUT: Final = (10.0, 60.0)
"""Seconds to connect, and between two bytes."""
PAGE: Final = 1000
_DELETIONS_AT_ONCE: Final = 8
_FIELDS: Final = "items(name,size,generation,contentType,updated,storageClass,timeDeleted),nextPageToken"

T = TypeVar("T")
_Page = tuple[list[Any], str | None]


class Login:
    """Who is logged in, found out when first asked. Every method raises CredentialsError if nobody is."""

    @cached_property
    def _found(self) -> tuple[google.auth.credentials.Credentials, str | None]:
        with mapped("look for the operator's login"):
            found: tuple[google.auth.credentials.Credentials, str | None] = google.auth.default(scopes=SCOPES)
            return found

    @property
    def credentials(self) -> google.auth.credentials.Credentials:
        """The credentials, maybe without a valid token."""
        return self._found[0]

    @property
    def project(self) -> str:
        """The project that the login is for."""
        project = self._found[1] or getattr(self.credentials, "project_id", None)
        if not project:
            raise CredentialsError(
                "this login names no project: set GOOGLE_CLOUD_PROJECT, or `gcloud config set project PROJECT`"
            )
        return str(project)


class TokenOnly(google.auth.credentials.Credentials):
    """Credentials that get their token where others do, and ask nothing else of anybody.

    For endpoints that are not Google's: the library would send their tokens to Google as well, to learn in which
    regions they are good.
    """

    def __init__(self, inner: google.auth.credentials.Credentials) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._inner = inner

    def refresh(self, request: Any) -> None:
        """Get a new token."""
        self._inner.refresh(request)
        self.token = self._inner.token
        self.expiry = self._inner.expiry


class BearerAuth(httpx.Auth):
    """Adds an access token to each request; `token` gives a valid one or raises StoreError."""

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the token."""
        request.headers["Authorization"] = f"Bearer {self._token()}"
        yield request


def open_operator(
    bucket: str,
    origin: str,
    *,
    transport: httpx.BaseTransport | None = None,
    timing: Timing | None = None,
) -> OperatorStore:
    """The bucket as whoever is logged in; nothing is asked yet. `transport` serves multipart uploads."""
    return OperatorStore(bucket, origin, Login(), transport=transport, timing=timing)


class OperatorStore(GcsUploads):
    """One bucket as the operator; see `Store` for what each method promises."""

    def __init__(
        self,
        bucket: str,
        origin: str,
        login: Login,
        *,
        transport: httpx.BaseTransport | None = None,
        timing: Timing | None = None,
    ) -> None:
        base_url = f"{origin}/{bucket}"
        wire = Wire(base_url, BearerAuth(self._token), transport=transport, timing=timing)
        super().__init__(bucket, base_url, "operator", wire, self._ambient_presigner)
        self._origin = origin
        self._login = login
        self._timing = timing or Timing()
        self._outages = outages()
        self._renewing = threading.Lock()

    def put(
        self,
        key: str,
        body: bytes,
        *,
        content_type: str = "application/octet-stream",
        if_match: str | None = None,
        if_none_match: bool = False,
    ) -> ObjectInfo:
        """objects.insert, on condition of the generation."""
        generation = wanted_generation(if_match, if_none_match)
        blob = self._bucket.blob(key)
        self._call(
            "put",
            key,
            lambda: blob.upload_from_string(
                body, content_type=content_type, if_generation_match=generation, timeout=TIMEOUT, retry=None
            ),
        )
        return _info(blob)

    def read(self, key: str, *, first: int | None = None, last: int | None = None) -> tuple[bytes, ObjectInfo]:
        """objects.get, then that generation's bytes, so that both are of one moment."""
        info = self.head(key)
        blob = self._bucket.blob(key, generation=int(info.etag))
        body: bytes = self._call(
            "get",
            key,
            lambda: blob.download_as_bytes(start=first, end=last, raw_download=True, timeout=TIMEOUT, retry=None),
        )
        return body, info

    def head(self, key: str) -> ObjectInfo:
        """objects.get, without the bytes."""
        return _info(self.describe(key))

    def describe(self, key: str) -> Any:
        """objects.get, without the bytes: the library's own blob, with checksum and metadata."""
        blob = self._bucket.blob(key)
        self._call("head", key, lambda: blob.reload(timeout=TIMEOUT, retry=None))
        return blob

    def rewrite(self, key: str, to: str, content_type: str, metadata: Mapping[str, str]) -> None:
        """objects.rewrite, from one key to another that has no object. Raises PreconditionError if it has one."""
        source, target = self._bucket.blob(key), self._bucket.blob(to)
        target.content_type, target.metadata = content_type, dict(metadata)
        token: str | None = None
        while True:
            ask = partial(target.rewrite, source, token, if_generation_match=0, timeout=TIMEOUT, retry=None)
            token, _, _ = self._call("rewrite to", to, ask)
            if token is None:
                return

    def authorization(self) -> str:
        """What to send as Authorization: a token of the login, which is a secret."""
        return f"Bearer {self._token()}"

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """objects.list, page by page."""
        return (_info(blob) for blob in self._blobs(prefix, versions=False))

    def list_versions(self, prefix: str = "") -> Iterator[ObjectVersion]:
        """objects.list with versions. Google has no delete markers: a deleted object has no live version."""
        return (_version(blob) for blob in self._blobs(prefix, versions=True))

    def delete(self, key: str) -> None:
        """objects.delete."""
        with suppress(ObjectNotFoundError):
            self._call("delete", key, lambda: self._bucket.blob(key).delete(timeout=TIMEOUT, retry=None))

    def delete_versions(self, versions: Iterable[ObjectVersion]) -> int:
        """objects.delete of each generation, several at once."""
        with ThreadPoolExecutor(_DELETIONS_AT_ONCE) as pool:
            return sum(pool.map(self._delete_version, versions))

    def deactivate_key(self, access_id: str, project: str | None) -> None:
        """projects.hmacKeys.update, of a key of `project` (None: the login's). Raises ObjectNotFoundError."""
        key = HMACKeyMetadata(self._client, access_id=access_id, project_id=project or self.account())
        key.state = HMACKeyMetadata.INACTIVE_STATE
        self._call("deactivate HMAC key", access_id, lambda: key.update(timeout=TIMEOUT, retry=None))

    def account(self) -> str:
        """The project that the login is for."""
        return self._login.project

    def guards(self) -> Guards:
        """buckets.get."""
        return guards(self._bucket_resource())

    def bucket_region(self) -> str:
        """buckets.get."""
        return str(self._bucket_resource().location)

    def _bucket_resource(self) -> Any:
        bucket = self._bucket
        self._call("describe", "", lambda: bucket.reload(timeout=TIMEOUT, retry=None))
        return bucket

    def _delete_version(self, version: ObjectVersion) -> int:
        blob = self._bucket.blob(version.key, generation=int(version.version_id))
        with suppress(ObjectNotFoundError):
            self._call("delete version of", version.key, lambda: blob.delete(timeout=TIMEOUT, retry=None))
        return 1

    def _blobs(self, prefix: str, *, versions: bool) -> Iterator[Any]:
        """Page by page, so that each can be asked for again. Raises in the first step, not when it is called."""
        token: str | None = None
        while True:
            page, token = self._call("list", prefix + "*", self._page_at(prefix, versions, token))
            yield from page
            if token is None:
                return

    def _page_at(self, prefix: str, versions: bool, token: str | None) -> Callable[[], _Page]:
        def ask() -> _Page:
            found = self._client.list_blobs(
                self._bucket,
                prefix=prefix,
                versions=versions,
                page_token=token,
                page_size=PAGE,
                fields=_FIELDS,
                timeout=TIMEOUT,
                retry=None,
            )
            return [*next(found.pages, ())], found.next_page_token

        return ask

    def _call(self, operation: str, key: str, act: Callable[[], T]) -> T:
        """Do it, again where that may help. Raises StoreError."""
        what = self._what(operation, key)
        attempts = Attempts(RetryPolicy(), self._timing, self._outages, party=PARTY)
        while True:
            try:
                return act()
            except FOREIGN as error:
                failure: StoreError = translate(error, what)
                wait = retry_after(error, self._timing.now())
            if not isinstance(failure, StoreUnreachableError) or not attempts.wait_again(
                f"{what}: no usable answer", wait
            ):
                raise failure

    def _token(self) -> str:
        credentials = self._login.credentials

        def fresh() -> str:
            with self._renewing:
                if not credentials.valid:
                    credentials.refresh(google.auth.transport.requests.Request())
                return str(credentials.token)

        return self._call("get a token for", "", fresh)

    def _ambient_presigner(self) -> Presigner:
        return self._presigner_once

    @cached_property
    def _presigner_once(self) -> Presigner:
        return Presigner(ambient_signer(self._login.credentials), self._base_url)

    @property
    def _bucket(self) -> Any:
        return self._client.bucket(self.bucket)

    @cached_property
    def _client(self) -> Any:
        """The project is only for what this store never does, such as making buckets; the login may name none."""
        login = self._login.credentials
        with mapped("open Cloud Storage as operator"):
            return storage.Client(
                project="-",
                credentials=login if self._origin == GOOGLE else TokenOnly(login),
                client_options={"api_endpoint": self._origin},
            )


def _info(blob: Any) -> ObjectInfo:
    generation = str(blob.generation)
    return ObjectInfo(
        key=blob.name,
        size=blob.size,
        etag=generation,
        content_type=blob.content_type,
        last_modified=blob.updated.astimezone(UTC) if blob.updated else None,
        storage_class=blob.storage_class,
        version_id=generation,
    )


def _version(blob: Any) -> ObjectVersion:
    modified: datetime = blob.updated
    return ObjectVersion(
        key=blob.name,
        version_id=str(blob.generation),
        is_latest=blob.time_deleted is None,
        is_marker=False,
        size=blob.size,
        last_modified=modified.astimezone(UTC),
        storage_class=blob.storage_class,
        noncurrent_since=blob.time_deleted.astimezone(UTC) if blob.time_deleted else None,
    )
