"""Signature Version 4 as pure functions, in the two dialects that stores speak: Amazon's and Google's.

Owns what both sides of a request compute alike: canonical request, string to sign, signing key. The dialects differ in
their words alone. Knows no store and no URL, asks no network and reads no clock: `recordings.signing` presigns URLs
with it, `recordings.signing_gcs` signs requests.

Sources: "Authenticating Requests", Amazon S3 API Reference (sigv4-query-string-auth.html,
sig-v4-header-based-auth.html);
https://cloud.google.com/storage/docs/authentication/canonical-requests and .../authentication/signatures.
"""

from __future__ import annotations

import hashlib
import hmac
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from pydantic import SecretStr

UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Dialect:
    """The words in which two vendors spell the same scheme."""

    algorithm: str
    parameter_prefix: str
    secret_prefix: str
    terminator: str
    service: str

    @property
    def header_prefix(self) -> str:
        """How the vendor's own request headers begin, in lower case."""
        return self.parameter_prefix.lower()

    @property
    def payload_header(self) -> str:
        """The header that holds the SHA-256 of the body."""
        return f"{self.header_prefix}content-sha256"


AWS4: Final = Dialect("AWS4-HMAC-SHA256", "X-Amz-", "AWS4", "aws4_request", "s3")
GOOG4: Final = Dialect("GOOG4-HMAC-SHA256", "X-Goog-", "GOOG4", "goog4_request", "storage")


def timestamp(at: datetime) -> str:
    """`at` (aware) as signatures write it, in UTC: `20260228T235959Z`."""
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def scope(dialect: Dialect, stamp: str, region: str) -> str:
    """What the signing key is good for: a day, a region and a service."""
    return f"{stamp[:8]}/{region}/{dialect.service}/{dialect.terminator}"


def auth_parameters(dialect: Dialect, credential: str, stamp: str, seconds: int, signed: str) -> list[tuple[str, str]]:
    """The query parameters of a presigned URL, all but the signature; `credential` is key id and scope."""
    prefix = dialect.parameter_prefix
    return [
        (f"{prefix}Algorithm", dialect.algorithm),
        (f"{prefix}Credential", credential),
        (f"{prefix}Date", stamp),
        (f"{prefix}Expires", str(seconds)),
        (f"{prefix}SignedHeaders", signed),
    ]


def canonical_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Names in lower case and in order, values trimmed and with runs of white space as one space."""
    return {name: " ".join(value.split()) for name, value in sorted((k.lower(), v) for k, v in headers.items())}


def signed_headers(headers: Mapping[str, str]) -> str:
    """The names of canonical headers, as the signature lists them."""
    return ";".join(headers)


def encoded_pair(name: str, value: str) -> tuple[str, str]:
    """A query parameter, percent-encoded as both vendors want it: everything but letters, digits and `-._~`."""
    return quote(name, safe=""), quote(value, safe="")


def canonical_request(method: str, path: str, query: Pairs, headers: Mapping[str, str], payload: str) -> str:
    """What is hashed: `path` and `query` percent-encoded, `headers` canonical, `payload` a SHA-256 or UNSIGNED."""
    joined = "&".join(f"{name}={value}" for name, value in sorted(query))
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    return "\n".join((method, path, joined, lines, signed_headers(headers), payload))


def string_to_sign(dialect: Dialect, stamp: str, of_scope: str, request: str) -> str:
    """What is signed: algorithm, time, scope and the hash of the canonical request."""
    return "\n".join((dialect.algorithm, stamp, of_scope, hashlib.sha256(request.encode()).hexdigest()))


def derive_key(secret: SecretStr, day: str, region: str, dialect: Dialect = AWS4) -> bytes:
    """The signing key of one day (`yyyymmdd`, UTC), region and service: good for all its requests."""
    key = (dialect.secret_prefix + secret.get_secret_value()).encode()
    for part in (day, region, dialect.service, dialect.terminator):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


class Signer(ABC):
    """Who signs, in which region and dialect; how is for the subclass to say."""

    def __init__(self, key_id: str, region: str, dialect: Dialect) -> None:
        self.key_id = key_id
        self.region = region
        self.dialect = dialect

    def credential(self, stamp: str) -> str:
        """Who signs, and what the signature is good for."""
        return f"{self.key_id}/{scope(self.dialect, stamp, self.region)}"

    def signature(self, stamp: str, request: str) -> str:
        """The signature of a canonical request, in hexadecimal digits."""
        to_sign = string_to_sign(self.dialect, stamp, scope(self.dialect, stamp, self.region), request)
        return self.sign(stamp, to_sign.encode())

    @abstractmethod
    def sign(self, stamp: str, message: bytes) -> str:
        """Sign the bytes of a string to sign."""


class HmacSigner(Signer):
    """Signs with a shared secret, and keeps the day's signing key. Thread-safe: the cache is replaced whole."""

    def __init__(self, key_id: str, secret: SecretStr, region: str, dialect: Dialect = AWS4) -> None:
        super().__init__(key_id, region, dialect)
        self._secret = secret
        self._day_key: tuple[str, bytes] = ("", b"")

    def sign(self, stamp: str, message: bytes) -> str:
        """HMAC-SHA256 under the key of the day."""
        return hmac.digest(self._signing_key(stamp[:8]), message, "sha256").hex()

    def _signing_key(self, day: str) -> bytes:
        kept_day, key = self._day_key
        if kept_day != day:
            key = derive_key(self._secret, day, self.region, self.dialect)
            self._day_key = (day, key)
        return key
