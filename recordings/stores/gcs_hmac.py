"""Cloud Storage as writer and reader see it: the XML API, every request signed with their HMAC key.

Owns objects by the XML API. It is what 100ms does with the same key, so that whoever tries this store learns what
100ms will meet. Needs no library of Google's. Old versions and the
bucket's settings are the operator's business alone and refused here.

Sources: https://cloud.google.com/storage/docs/xml-api/reference-methods, .../xml-api/reference-headers.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from hashlib import md5
from typing import Final, NoReturn

import httpx

from recordings.errors import AccessDeniedError, ObjectNotFoundError, PreconditionError, StoreError
from recordings.signing import Presigner
from recordings.stores.base import Guards, ObjectInfo, ObjectVersion
from recordings.stores.gcs_errors import NEXT
from recordings.stores.gcs_uploads import GcsUploads, moment
from recordings.stores.gcs_wire import Call, Wire, document

_OVERWRITE: Final = "storage.objects.delete"
"""Asked for by a PUT only if there is an object: https://cloud.google.com/storage/docs/xml-api/put-object."""


class HmacStore(GcsUploads):
    """One bucket as whoever owns an HMAC key; see `Store` for what each method promises.

    `project` is where the key's service account lives, or None if the stack's outputs do not say.
    """

    def __init__(
        self,
        bucket: str,
        base_url: str,
        who: str,
        wire: Wire,
        presigner: Callable[[], Presigner],
        project: str | None,
    ) -> None:
        super().__init__(bucket, base_url, who, wire, presigner)
        self._project = project

    def put(
        self,
        key: str,
        body: bytes,
        *,
        content_type: str = "application/octet-stream",
        if_match: str | None = None,
        if_none_match: bool = False,
    ) -> ObjectInfo:
        """PUT object, on condition of its generation.

        Who may not overwrite is refused on the second try if the first one's answer alone was lost: then the object
        is compared with `body`, and PreconditionError left to who may not read it either.
        """
        headers = {"Content-Type": content_type}
        generation = wanted_generation(if_match, if_none_match)
        if generation is not None:
            headers["x-goog-if-generation-match"] = str(generation)
        what = self._what("put", key)
        call = Call(what, "PUT", key, headers=headers, content=body, needed_if_there=_OVERWRITE)
        try:
            answer = self._wire.send(call)
        except PreconditionError:
            if generation is not None:
                raise
            answer = self._written(what, key, body)
        made = answer.headers.get("x-goog-generation", "")
        return ObjectInfo(key, len(body), made, content_type=content_type, version_id=made)

    def read(self, key: str, *, first: int | None = None, last: int | None = None) -> tuple[bytes, ObjectInfo]:
        """GET object; a body that breaks off is asked for again."""
        answer = self._get(self._what("get", key), key, first, last)
        return answer.content, _info(key, answer)

    def head(self, key: str) -> ObjectInfo:
        """HEAD object.

        A refused HEAD has no body, so the reason is asked for with a GET of one byte. A missing object is denied, not
        missing, to a key whose listing is bound to a prefix, so a listing tells the two apart.
        """
        what = self._what("head", key)
        try:
            return _info(key, self._wire.send(Call(what, "HEAD", key)))
        except StoreError as error:
            if not isinstance(error, AccessDeniedError | ObjectNotFoundError):
                raise
        try:
            return _info(key, self._get(what, key, 0, 0))
        except AccessDeniedError:
            if self._is_surely_missing(key):
                raise ObjectNotFoundError(f"{what}: no such object; {NEXT[ObjectNotFoundError]}") from None
            raise

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """GET bucket, page by page."""
        what = self._what("list", prefix + "*")
        query = {"list-type": "2", "prefix": prefix}
        while True:
            page = document(self._wire.send(Call(what, "GET", query=query)), what)
            for found in page.findall("Contents"):
                generation = found.findtext("Generation") or ""
                yield ObjectInfo(
                    found.findtext("Key") or "",
                    int(found.findtext("Size") or 0),
                    generation,
                    last_modified=moment(found.findtext("LastModified")),
                    storage_class=found.findtext("StorageClass"),
                    version_id=generation,
                )
            if page.findtext("IsTruncated") != "true":
                return
            query["continuation-token"] = page.findtext("NextContinuationToken") or ""

    def list_versions(self, prefix: str = "") -> Iterator[ObjectVersion]:
        """Refused: the operator's."""
        self._is_for_the_operator("list versions", prefix + "*")

    def delete(self, key: str) -> None:
        """DELETE object."""
        with suppress(ObjectNotFoundError):
            self._wire.send(Call(self._what("delete", key), "DELETE", key))

    def delete_versions(self, versions: Iterable[ObjectVersion]) -> int:
        """Refused: the operator's."""
        self._is_for_the_operator("delete versions", "")

    def account(self) -> str:
        """The project in the name of the service account."""
        if self._project is None:
            raise StoreError(
                f"the project of {self._who} is not known: the stack outputs name no service account; "
                "take the outputs again (`pulumi stack output --json --show-secrets`)"
            )
        return self._project

    def guards(self) -> Guards:
        """Refused: the operator's."""
        self._is_for_the_operator("get the guards of", "")

    def bucket_region(self) -> str:
        """GET bucket location, which needs a right on the bucket that writer and reader are not given."""
        what = self._what("get location of", "")
        return (document(self._wire.send(Call(what, "GET", query={"location": ""})), what).text or "").strip()

    def _get(self, what: str, key: str, first: int | None, last: int | None) -> httpx.Response:
        headers = {}
        if first is not None or last is not None:
            headers["Range"] = f"bytes={first or 0}-{'' if last is None else last}"
        return self._wire.send(Call(what, "GET", key, headers=headers))

    def _written(self, what: str, key: str, body: bytes) -> httpx.Response:
        """What HEAD says of an object that may be the one just put. Raises PreconditionError unless it surely is."""
        doubt = PreconditionError(
            f"{what}: its first answer was lost, and an object is there now that this identity can neither overwrite "
            "nor compare with what it sent: read it with another identity, or put under another key"
        )
        try:
            answer = self._wire.send(Call(what, "HEAD", key))
        except (AccessDeniedError, ObjectNotFoundError):
            raise doubt from None
        expected = b64encode(md5(body, usedforsecurity=False).digest()).decode()
        if f"md5={expected}" not in answer.headers.get("x-goog-hash", "").replace(" ", "").split(","):
            raise PreconditionError(f"{what}: another object is there, which this identity may not overwrite")
        return answer

    def _is_surely_missing(self, key: str) -> bool:
        """Whether this identity may list the key's own name, and nothing is there."""
        query = {"list-type": "2", "prefix": key, "max-keys": "1"}
        what = self._what("list", key)
        try:
            page = document(self._wire.send(Call(what, "GET", query=query)), what)
        except StoreError:
            return False
        return all(found.findtext("Key") != key for found in page.findall("Contents"))

    def _is_for_the_operator(self, operation: str, key: str) -> NoReturn:
        raise AccessDeniedError(f"{self._what(operation, key)}: that is for the operator alone")


def wanted_generation(if_match: str | None, if_none_match: bool) -> int | None:
    """The generation on whose condition to write: 0 stands for "there is none". None without a condition.

    Raises PreconditionError for a token that is no generation: the object cannot be as it was read.
    """
    if if_none_match:
        return 0
    if if_match is None:
        return None
    if not (if_match.isascii() and if_match.isdigit()):
        raise PreconditionError(f"{if_match!r} is no generation of an object: read it again, then decide")
    return int(if_match)


def _info(key: str, answer: httpx.Response) -> ObjectInfo:
    """From the answer to GET or HEAD; a partial one names the whole size in Content-Range."""
    headers = answer.headers
    total = headers.get("content-range", "").rpartition("/")[2] or headers.get("content-length", "0")
    modified = headers.get("last-modified")
    generation = headers.get("x-goog-generation", "")
    return ObjectInfo(
        key=key,
        size=int(total),
        etag=generation,
        content_type=headers.get("content-type"),
        last_modified=parsedate_to_datetime(modified).astimezone(UTC) if modified else None,
        storage_class=headers.get("x-goog-storage-class"),
        version_id=generation,
    )
