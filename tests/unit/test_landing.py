"""Checksums as the stores have them, and presigned parts as botocore would sign them."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from recordings.signing import Presigner
from recordings.signing_v4 import HmacSigner
from recordings.stores.checksums import CRC32C, CRC64NVME, Checksum

BOTH = pytest.mark.parametrize("checksum", [CRC64NVME, CRC32C], ids=lambda checksum: checksum.name)


@pytest.mark.parametrize(
    ("checksum", "value"), [(CRC64NVME, 0xAE8B14860A799888), (CRC32C, 0xE3069283)], ids=["crc64nvme", "crc32c"]
)
def test_checksums_are_the_published_ones(checksum: Checksum, value: int) -> None:
    """The check values of the NVM Express specification and of RFC 3720."""
    assert checksum.update(memoryview(b"123456789"), 0) == value
    assert checksum.value(checksum.text(value)) == value


@BOTH
@given(parts=st.lists(st.binary(max_size=200), max_size=6))
def test_checksums_of_parts_make_that_of_the_whole(checksum: Checksum, parts: list[bytes]) -> None:
    """In any cut, with no second look at the bytes."""
    found = checksum.of_parts((checksum.update(memoryview(part), 0), len(part)) for part in parts)
    assert found == checksum.update(memoryview(b"".join(parts)), 0)


@BOTH
@pytest.mark.parametrize("text", [None, "", "?", "AAAA", "sP7gLb80aAY=-4"])
def test_a_composite_or_broken_checksum_is_none(checksum: Checksum, text: str | None) -> None:
    """Only a full-object checksum of this kind can be compared."""
    assert checksum.value(text) is None


@pytest.mark.parametrize("query", [(), (("partNumber", "7"), ("uploadId", "a+b/c="))])
def test_signed_headers_equal_botocores(monkeypatch: pytest.MonkeyPatch, query: tuple[tuple[str, str], ...]) -> None:
    """The same signature over the same headers, for a request that must be sent with them."""
    at = datetime(2026, 8, 20, 12, tzinfo=UTC)
    headers = {"x-amz-checksum-crc64nvme": "AAAAAAAAAAA=", "x-amz-meta-recording-asset": "a  b"}
    presigner = Presigner(HmacSigner("AKIA", SecretStr("secret"), "eu-west-1"), "https://b.s3.eu-west-1.amazonaws.com")
    ours = presigner.url("k/é.mp4", seconds=600, at=at, method="PUT", query=query, headers=headers)
    theirs = _botocores(monkeypatch, at, ours.partition("?")[0], query, headers)
    assert parse_qs(urlsplit(ours).query) == parse_qs(urlsplit(theirs).query)


def _botocores(monkeypatch: pytest.MonkeyPatch, at: datetime, url: str, query: Any, headers: dict[str, str]) -> str:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return at

        @classmethod
        def utcnow(cls) -> Any:
            return at.replace(tzinfo=None)

    monkeypatch.setattr("botocore.auth.datetime", Clock, raising=False)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda **_: at.replace(tzinfo=None), raising=False)
    request = AWSRequest("PUT", url, params=dict(query), headers=headers)
    S3SigV4QueryAuth(Credentials("AKIA", "secret"), "s3", "eu-west-1", expires=600).add_auth(request)
    return str(request.prepare().url)


def test_crc32_is_not_mistaken_for_crc32c() -> None:
    """They are as long as each other."""
    assert CRC32C.update(memoryview(b"abc"), 0) != zlib.crc32(b"abc")
