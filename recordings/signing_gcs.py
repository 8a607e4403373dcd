"""Requests to Google's XML API signed with an HMAC key in their headers, as 100ms' uploads are.

Owns the auth object that httpx asks for every request: it dates, hashes and signs. The signature itself is in
`recordings.signing_v4`; presigned URLs are in `recordings.signing`, which speaks Google's dialect too.

What is signed is what Google's front end leaves alone: host, content type, and all headers of its own. Over
`Accept-Encoding`, which it rewrites, a signature would not match; this is what broke other clients after updates.

Sources: https://cloud.google.com/storage/docs/authentication/signatures#signing-process (header form),
https://cloud.google.com/storage/docs/authentication/canonical-requests#required-headers.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator, Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl

import httpx
from pydantic import SecretStr

from recordings.signing import host_header
from recordings.signing_v4 import (
    GOOG4,
    Dialect,
    HmacSigner,
    canonical_headers,
    canonical_request,
    encoded_pair,
    signed_headers,
    timestamp,
)

REGION: Final = "auto"
"""Google needs no region in a signature and takes this for all of them."""


class HmacAuth(httpx.Auth):
    """Signs each request anew with one HMAC key; `now` gives Unix time in seconds.

    Thread-safe. Its repr shows no secret.
    """

    requires_request_body = True

    def __init__(
        self, key_id: str, secret: SecretStr, *, dialect: Dialect = GOOG4, now: Callable[[], float] = time.time
    ) -> None:
        self._signer = HmacSigner(key_id, secret, REGION, dialect)
        self._now = now

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add date, body hash and Authorization to the request."""
        dialect = self._signer.dialect
        stamp = timestamp(datetime.fromtimestamp(self._now(), UTC))
        payload = hashlib.sha256(request.content).hexdigest()
        request.headers[f"{dialect.header_prefix}date"] = stamp
        request.headers[dialect.payload_header] = payload
        request.headers["Host"] = host_header(str(request.url))
        headers = _to_sign(request.headers, dialect)
        path, _, query = request.url.raw_path.decode().partition("?")
        pairs = [encoded_pair(name, value) for name, value in parse_qsl(query, keep_blank_values=True)]
        signature = self._signer.signature(stamp, canonical_request(request.method, path, pairs, headers, payload))
        request.headers["Authorization"] = (
            f"{dialect.algorithm} Credential={self._signer.credential(stamp)}, "
            f"SignedHeaders={signed_headers(headers)}, Signature={signature}"
        )
        yield request


def _to_sign(headers: Mapping[str, str], dialect: Dialect) -> dict[str, str]:
    return canonical_headers(
        {
            name: value
            for name, value in headers.items()
            if name in ("host", "content-type") or name.startswith(dialect.header_prefix)
        }
    )
