"""A presigned URL taken apart, with no network: which object, whose key, from when until when, for which region.

Owns reading the forms that stores give: Signature Version 4 of S3 (`X-Amz-…`) and Google (`X-Goog-…`), and the older
ones (`AWSAccessKeyId`, `GoogleAccessId`), of which only the end is read. A URL is a secret: what is kept of its
signature is in fields that no repr shows. Also tries the stack's own secrets on it, which tells a URL that was changed
on its way from one that another key signed.

Sources: sigv4-query-string-auth.html of the S3 API Reference; https://cloud.google.com/storage/docs/authentication/
canonical-requests and .../access-control/signed-urls-v2.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from pydantic import SecretStr

from recordings.errors import UsageError
from recordings.signing import host_header
from recordings.signing_v4 import AWS4, GOOG4, UNSIGNED_PAYLOAD, Dialect, HmacSigner, canonical_request, encoded_pair

METHODS: Final = ("GET", "HEAD", "PUT", "DELETE", "POST")
_V2: Final = {"AWSAccessKeyId": "S3", "GoogleAccessId": "Google"}
_NEEDED: Final = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
_STAMP: Final = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_LONGEST: Final = 16 * 1024
_S3_HOST: Final = re.compile(r"s3([.-][a-z0-9-]+)*\.amazonaws\.com(\.cn)?")
_GOOGLE_HOSTS: Final = ("storage.googleapis.com", "storage.cloud.google.com", "commondatastorage.googleapis.com")


@dataclass(frozen=True)
class Parts:
    """`place` is the URL up to its query. `fault` says what is wrong with its form; times are UTC.

    `dialect` is None for an older form, and for a URL with no signature at all (`is_signed` False).
    """

    place: str
    host: str
    path: str
    is_signed: bool
    dialect: Dialect | None = None
    key_id: str = ""
    region: str = ""
    start: datetime | None = None
    end: datetime | None = None
    signed_headers: tuple[str, ...] = ()
    fault: str = ""
    session: bool = False
    """Signed by a login that ends by itself, before the URL does."""
    url: str = field(default="", repr=False)
    query: Sequence[tuple[str, str]] = field(default=(), repr=False)

    def key_in(self, bucket: str, base_url: str) -> str | None:
        """The object key, if it lies in this bucket, else None. `base_url` is what our own URLs of it begin with.

        Both addressing styles and every region of the real clouds are known, as a URL may come from anywhere.
        """
        base = urlsplit(base_url)
        ours = self.host == host_header(base_url) and self.path.startswith(f"{base.path}/")
        path = self.path[len(base.path) :] if ours else None
        store = self.host.removeprefix(f"{bucket}.")
        if store != self.host and (store in _GOOGLE_HOSTS or _S3_HOST.fullmatch(store)):
            path = self.path
        elif self.host in _GOOGLE_HOSTS or _S3_HOST.fullmatch(self.host):
            path = self.path[len(bucket) + 1 :] if self.path.startswith(f"/{bucket}/") else path
        return unquote(path[1:]) or None if path else None


def parse_url(text: str) -> Parts:
    """Take a URL apart. Raises UsageError, which shows nothing of it, for what is no URL."""
    url = text.strip()
    if not url or len(url) > _LONGEST or any(char.isspace() or not char.isprintable() for char in url):
        raise UsageError("--url: what came on standard input is no URL; give one, https://…, on one line")
    try:
        parts, host = urlsplit(url), host_header(url)
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        raise UsageError("--url: what came on standard input is no URL; legal is https://…") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError("--url: what came on standard input is no URL of a store; legal is https://…")
    known = Parts(f"{parts.scheme}://{host}{parts.path}", host, parts.path, False, url=url, query=query)
    names = {name.lower(): value for name, value in query}
    for dialect in (AWS4, GOOG4):
        if any(name.startswith(dialect.header_prefix) for name in names):
            return _version_4(known, dialect, names)
    for field_name, vendor in _V2.items():
        if field_name.lower() in names:
            return _version_2(known, vendor, names[field_name.lower()], names)
    if any(name.startswith("amp;x-") for name in names):
        return replace(known, is_signed=True, fault="'&' became '&amp;': it was copied out of HTML")
    return known


def matches(parts: Parts, key_id: str, secret: SecretStr) -> str | None:
    """The method that this key signed the URL for, None if it did not sign it as it is now."""
    if parts.dialect is None or parts.fault or parts.start is None or parts.key_id != key_id:
        return None
    dialect, signature = parts.dialect, f"{parts.dialect.parameter_prefix}Signature".lower()
    given = next((value for name, value in parts.query if name.lower() == signature), "")
    pairs = [encoded_pair(name, value) for name, value in parts.query if name.lower() != signature]
    if parts.signed_headers != ("host",):
        return None  # its other headers are not in the URL
    signer = HmacSigner(key_id, secret, parts.region, dialect)
    stamp = parts.start.strftime("%Y%m%dT%H%M%SZ")
    path = quote(unquote(parts.path), safe="/~")  # the store decodes it first, however it was encoded
    for method in METHODS:
        request = canonical_request(method, path, pairs, {"host": parts.host}, UNSIGNED_PAYLOAD)
        if hmac.compare_digest(signer.signature(stamp, request).encode(), given.encode()):
            return method
    return None


def signer_of(parts: Parts, keys: Iterable[tuple[str, str, SecretStr]]) -> tuple[str, str | None] | None:
    """Of `keys` (name, id, secret) the one that the URL names, and the method that it signed, None if changed since."""
    for name, key_id, secret in keys:
        if parts.key_id == key_id:
            return name, matches(parts, key_id, secret)
    return None


def _version_4(known: Parts, dialect: Dialect, names: Mapping[str, str]) -> Parts:
    prefix = dialect.header_prefix
    missing = [name for name in _NEEDED if not names.get(prefix + name.lower())]
    if missing:
        lacking = ", ".join(dialect.parameter_prefix + name for name in missing)
        return replace(known, is_signed=True, fault=f"it lacks {lacking}: it was cut off, or put together by hand")
    scope = names[f"{prefix}credential"].split("/")
    date, expires = names[f"{prefix}date"], names[f"{prefix}expires"]
    start = _moment(date)
    well_formed = len(scope) >= 5 and start is not None and expires.isascii() and expires.isdecimal()
    if not well_formed or start is None or len(expires) > 9:
        return replace(known, is_signed=True, fault="its credential, date or lifetime has no form that stores take")
    return replace(
        known,
        is_signed=True,
        dialect=dialect,
        key_id="/".join(scope[:-4]),
        region=scope[-3],
        start=start,
        end=start + timedelta(seconds=int(expires)),
        signed_headers=tuple(names[f"{prefix}signedheaders"].split(";")),
        session=f"{prefix}security-token" in names,
    )


def _version_2(known: Parts, vendor: str, key_id: str, names: Mapping[str, str]) -> Parts:
    expires = names.get("expires", "")
    if not names.get("signature") or not (expires.isascii() and expires.isdecimal() and len(expires) < 12):
        fault = f"it lacks a signature or the time of its end ({vendor}, version 2): it was cut off"
        return replace(known, is_signed=True, key_id=key_id, fault=fault)
    return replace(known, is_signed=True, key_id=key_id, end=datetime.fromtimestamp(int(expires), UTC))


def _moment(stamp: str) -> datetime | None:
    try:
        return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) if _STAMP.fullmatch(stamp) else None
    except ValueError:
        return None
