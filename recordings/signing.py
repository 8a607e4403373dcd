"""Presigned URLs by Signature Version 4 in the query, as pure functions of their inputs.

Owns the URL: which parameters it has and in which order, the limits of lifetime and key. The signature itself is in
`recordings.signing_v4`. Knows no store, asks no network and reads no clock. Why not the SDK: it takes about a
millisecond a URL, and a page of recordings needs hundreds; a property test holds that the result is byte for byte
boto3's.

Source: "Authenticating Requests: Using Query Parameters", Amazon S3 API Reference (sigv4-query-string-auth.html);
https://cloud.google.com/storage/docs/access-control/signed-urls (the same, in Google's words).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote, urlsplit

from pydantic import SecretStr

from recordings.errors import UsageError
from recordings.signing_v4 import (
    UNSIGNED_PAYLOAD,
    Signer,
    auth_parameters,
    canonical_headers,
    canonical_request,
    encoded_pair,
    scope,
    signed_headers,
    timestamp,
)

MAX_EXPIRY: Final = timedelta(days=7)
MAX_KEY_BYTES: Final = 1024
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.~/-]")
_ESCAPES: Final = {chr(octet): f"%{octet:02X}" for octet in range(256)}
_LONGEST_NAME: Final = 60
"""Of 4 bytes each at most, they leave room for a suffix within the 255 bytes of file systems."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Download:
    """One object to sign a GET for, and how a browser shall save it and take it for."""

    key: str
    filename: str | None = None
    content_type: str | None = None

    def query(self) -> list[tuple[str, str]]:
        """The parameters that ask for it, in the order of their names. Raises UsageError for what is no file name."""
        pairs = []
        if self.filename is not None:
            pairs.append(("response-content-disposition", content_disposition(self.filename)))
        if self.content_type is not None:
            pairs.append(("response-content-type", self.content_type))
        return pairs


class Presigner:
    """Signs URLs of one bucket as one signer.

    `base_url` is everything before the object key, with no slash at the end: `https://bucket.s3.region.amazonaws.com`
    (virtual-hosted style) or `https://host/bucket` (path style). Thread-safe.
    """

    def __init__(self, signer: Signer, base_url: str, session_token: SecretStr | None = None) -> None:
        parts = urlsplit(base_url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._base_path = quote(parts.path, safe="/%")
        self._headers = {"host": host_header(base_url)}
        self._signer = signer
        self._session_token = session_token

    def url(
        self,
        key: str,
        *,
        seconds: int,
        at: datetime,
        method: str = "GET",
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Presign `method` on `key` from `at` (aware; converted to UTC) for `seconds`; the result is a secret.

        `query` are further parameters, such as `response-content-type`, in the order in which they shall stand;
        `headers` what the request must be sent with, beside Host.
        Raises UsageError for an expiry outside 1 second to 7 days, and for a key that no store takes.
        """
        check_expiry(seconds)
        path = f"{self._base_path}/{encode_key(key)}"
        stamp = timestamp(at)
        signed = canonical_headers({**self._headers, **(headers or {})})
        auth = self._auth_parameters(stamp, seconds, signed_headers(signed))
        pairs = [encoded_pair(name, value) for name, value in (*query, *auth)]
        request = canonical_request(method, path, pairs, signed, UNSIGNED_PAYLOAD)
        pairs.append((f"{self._signer.dialect.parameter_prefix}Signature", self._signer.signature(stamp, request)))
        return f"{self._origin}{path}?{'&'.join(f'{name}={value}' for name, value in pairs)}"

    def urls(self, downloads: Iterable[Download], *, seconds: int, at: datetime) -> list[str]:
        """The same as `url` with GET for each of them, byte for byte, in a tenth of the time: what all have in
        common is encoded once.
        """
        check_expiry(seconds)
        dialect, stamp = self._signer.dialect, timestamp(at)
        auth = [encoded_pair(name, value) for name, value in self._auth_parameters(stamp, seconds)]
        in_order = "&".join(f"{name}={value}" for name, value in sorted(auth))
        as_given = "&".join(f"{name}={value}" for name, value in auth)
        # a canonical request begins with method and path; its query is sorted, and `response-…` comes after `X-…`
        begin = f"GET\n{self._base_path}/"
        end = canonical_request("", "", (), self._headers, UNSIGNED_PAYLOAD)[2:]
        to_sign = f"{dialect.algorithm}\n{stamp}\n{scope(dialect, stamp, self._signer.region)}\n"
        before_key, signature = f"{self._origin}{self._base_path}/", f"&{dialect.parameter_prefix}Signature="
        sign, sha256, made = self._signer.sign, hashlib.sha256, []
        for download in downloads:
            key, given, query = encode_key(download.key), as_given, in_order
            if asked := download.query():
                pairs = ["=".join(encoded_pair(name, value)) for name, value in asked]
                given, query = "&".join((*pairs, as_given)), "&".join((in_order, *pairs))
            digest = sha256(f"{begin}{key}\n{query}{end}".encode()).hexdigest()
            made.append(f"{before_key}{key}?{given}{signature}{sign(stamp, (to_sign + digest).encode())}")
        return made

    def _auth_parameters(self, stamp: str, seconds: int, signed: str = "host") -> list[tuple[str, str]]:
        dialect = self._signer.dialect
        parameters = auth_parameters(dialect, self._signer.credential(stamp), stamp, seconds, signed)
        if self._session_token is not None:
            parameters.append((f"{dialect.parameter_prefix}Security-Token", self._session_token.get_secret_value()))
        return parameters


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
        octets = key.encode()
    except UnicodeEncodeError:
        raise UsageError(f"the object key {key!r} is not valid Unicode text") from None
    if not 0 < len(octets) <= MAX_KEY_BYTES:
        size = len(octets)
        raise UsageError(f"an object key has 1 to {MAX_KEY_BYTES} bytes of UTF-8; this one has {size}: {key[:80]!r}")
    return _UNSAFE.sub(_escaped, octets.decode("latin-1"))  # as `quote` does, which looks at every safe octet too


def _escaped(octet: re.Match[str]) -> str:
    return _ESCAPES[octet[0]]


def content_disposition(filename: str) -> str:
    """The header that makes a browser save under `filename` (RFC 6266: an ASCII fallback, then UTF-8).

    Raises UsageError for a name with a slash, a backslash or a control character.
    """
    if not filename or any(char in "/\\" or not char.isprintable() for char in filename):
        raise UsageError(f"{filename!r} is no file name: it must be printable, with no '/' and no '\\'")
    fallback = filename.encode("ascii", "replace").decode().replace('"', "'").replace("?", "_")
    header = f'attachment; filename="{fallback}"'
    return header if fallback == filename else f"{header}; filename*=UTF-8''{quote(filename, safe='')}"


def file_name(key: str) -> str:
    """The name under which a browser saves an object: the end of its key, with nothing that is no name's."""
    name = "".join(char if char.isprintable() and char not in '/\\"' else "_" for char in key.rpartition("/")[2])
    return name.strip(". ")[-_LONGEST_NAME:] or "recording"


def host_header(url: str) -> str:
    """What a client sends as Host for a URL: no port where it is the scheme's own."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f"{host}:{parts.port}"
