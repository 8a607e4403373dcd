"""Presigned URLs by AWS Signature Version 4 in the query, as pure functions of their inputs.

Owns the canonical request, the string to sign, the signing key (derived once a day and kept) and the URL. Knows no
store, asks no network and reads no clock. Why not the SDK: it takes about a millisecond a URL, and a page of
recordings needs hundreds; a property test holds that the result is byte for byte boto3's.

Source: "Authenticating Requests: Using Query Parameters", Amazon S3 API Reference (sigv4-query-string-auth.html).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote, urlsplit

from pydantic import SecretStr

from recordings.errors import UsageError

MAX_EXPIRY: Final = timedelta(days=7)
MAX_KEY_BYTES: Final = 1024
_UNRESERVED_IN_PATH: Final = "/~"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Dialect:
    """The words in which two vendors spell the same scheme."""

    algorithm: str
    parameter_prefix: str
    secret_prefix: str
    terminator: str
    service: str


AWS4: Final = Dialect("AWS4-HMAC-SHA256", "X-Amz-", "AWS4", "aws4_request", "s3")


class Presigner:
    """Signs URLs of one bucket with one key.

    `base_url` is everything before the object key, with no slash at the end: `https://bucket.s3.region.amazonaws.com`
    (virtual-hosted style) or `https://host/bucket` (path style). Thread-safe: the one cache is replaced whole.
    """

    def __init__(
        self,
        *,
        key_id: str,
        secret: SecretStr,
        region: str,
        base_url: str,
        session_token: SecretStr | None = None,
        dialect: Dialect = AWS4,
    ) -> None:
        parts = urlsplit(base_url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._base_path = quote(parts.path, safe=_UNRESERVED_IN_PATH + "%")
        self._host = _host_header(base_url)
        self._key_id = key_id
        self._secret = secret
        self._session_token = session_token
        self._region = region
        self._dialect = dialect
        self._day_key: tuple[str, bytes] = ("", b"")

    def url(
        self, key: str, *, seconds: int, at: datetime, method: str = "GET", query: Sequence[tuple[str, str]] = ()
    ) -> str:
        """Presign `method` on `key` from `at` (aware; converted to UTC) for `seconds`; the result is a secret.

        `query` are further parameters, such as `response-content-type`, in the order in which they shall stand.
        Raises UsageError for an expiry outside 1 second to 7 days, and for a key that no store takes.
        """
        check_expiry(seconds)
        path = f"{self._base_path}/{encode_key(key)}"
        stamp = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{stamp[:8]}/{self._region}/{self._dialect.service}/{self._dialect.terminator}"
        pairs = [_pair(name, value) for name, value in (*query, *self._auth_parameters(stamp, scope, seconds))]
        request = "\n".join((method, path, "&".join(sorted(pairs)), f"host:{self._host}\n", "host", "UNSIGNED-PAYLOAD"))
        digest = hashlib.sha256(request.encode()).hexdigest()
        to_sign = "\n".join((self._dialect.algorithm, stamp, scope, digest))
        signature = hmac.new(self._signing_key(stamp[:8]), to_sign.encode(), hashlib.sha256).hexdigest()
        pairs.append(f"{self._dialect.parameter_prefix}Signature={signature}")
        return f"{self._origin}{path}?{'&'.join(pairs)}"

    def plain_url(self, key: str) -> str:
        """The URL of `key` with no signature."""
        return f"{self._origin}{self._base_path}/{encode_key(key)}"

    def _auth_parameters(self, stamp: str, scope: str, seconds: int) -> list[tuple[str, str]]:
        prefix = self._dialect.parameter_prefix
        parameters = [
            (f"{prefix}Algorithm", self._dialect.algorithm),
            (f"{prefix}Credential", f"{self._key_id}/{scope}"),
            (f"{prefix}Date", stamp),
            (f"{prefix}Expires", str(seconds)),
            (f"{prefix}SignedHeaders", "host"),
        ]
        if self._session_token is not None:
            parameters.append((f"{prefix}Security-Token", self._session_token.get_secret_value()))
        return parameters

    def _signing_key(self, day: str) -> bytes:
        kept_day, key = self._day_key
        if kept_day != day:
            key = derive_key(self._secret, day, self._region, self._dialect)
            self._day_key = (day, key)
        return key


def derive_key(secret: SecretStr, day: str, region: str, dialect: Dialect = AWS4) -> bytes:
    """The signing key of one day (`yyyymmdd`, UTC), region and service: good for all its requests."""
    key = (dialect.secret_prefix + secret.get_secret_value()).encode()
    for part in (day, region, dialect.service, dialect.terminator):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def check_expiry(seconds: int) -> None:
    """Raise UsageError unless the providers would take this lifetime: 1 to 604,800 seconds (7 days)."""
    limit = int(MAX_EXPIRY.total_seconds())
    if not 1 <= seconds <= limit:
        raise UsageError(
            f"a presigned URL cannot be valid for {seconds} s: S3 and Google take 1 s to {limit} s (7 days); "
            "sign again when it is needed"
        )


def encode_key(key: str) -> str:
    """Percent-encode an object key for the path of its URL, slashes kept.

    Raises UsageError for a key that is empty, is no Unicode text or exceeds 1,024 bytes of UTF-8.
    """
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise UsageError(f"the object key {key!r} is not valid Unicode text") from None
    if not 0 < size <= MAX_KEY_BYTES:
        raise UsageError(f"an object key has 1 to {MAX_KEY_BYTES} bytes of UTF-8; this one has {size}: {key[:80]!r}")
    return quote(key, safe=_UNRESERVED_IN_PATH)


def content_disposition(filename: str) -> str:
    """The header that makes a browser save under `filename` (RFC 6266: an ASCII fallback, then UTF-8).

    Raises UsageError for a name with a slash, a backslash or a control character.
    """
    if not filename or any(char in "/\\" or not char.isprintable() for char in filename):
        raise UsageError(f"{filename!r} is no file name: it must be printable, with no '/' and no '\\'")
    fallback = filename.encode("ascii", "replace").decode().replace('"', "'").replace("?", "_")
    header = f'attachment; filename="{fallback}"'
    return header if fallback == filename else f"{header}; filename*=UTF-8''{quote(filename, safe='')}"


def _pair(name: str, value: str) -> str:
    return f"{quote(name, safe='')}={quote(value, safe='')}"


def _host_header(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f"{host}:{parts.port}"
