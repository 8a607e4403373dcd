"""Presigned URLs are boto3's to the byte, and their limits are errors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from recordings.errors import UsageError
from recordings.signing import Presigner, content_disposition
from recordings.signing_v4 import HmacSigner

AT = datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
ODD_KEYS = [
    "plain.mp4",
    "with space.mp4",
    "a+b&c=d?e#f.mp4",
    "ünï/côdé/日本語/🎥.mp4",
    "double//slash///x",
    "/leading",
    "trailing/",
    "~tilde'quote\"(paren)*!;:@,$",
    "per%20cent%2Fescape",
    "tab\tnewline\n",
    "é" * 512,
    "k" * 1024,
]
keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda key: len(key.encode()) <= 1024)


@cache
def witness(style: str, region: str, endpoint: str | None, token: str | None) -> Any:
    options: dict[str, Any] = {
        "s3": {"addressing_style": style, "us_east_1_regional_endpoint": "regional"},
        "ignore_configured_endpoint_urls": True,
    }
    return boto3.client(
        "s3",
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key=SECRET,
        aws_session_token=token,
        config=Config(
            signature_version="s3v4",
            **options,
        ),
    )


CASES: dict[str, dict[str, Any]] = {
    "virtual": {
        "base_url": "https://bucket.s3.eu-west-1.amazonaws.com",
        "of": ("virtual", "eu-west-1", None, None),
    },
    "us-east-1": {
        "base_url": "https://bucket.s3.us-east-1.amazonaws.com",
        "of": ("virtual", "us-east-1", None, None),
    },
    "path": {
        "base_url": "https://localhost:4566/bucket",
        "of": ("path", "us-east-1", "https://localhost:4566", None),
    },
    "default port": {
        "base_url": "https://store.example:443/bucket",
        "of": ("path", "eu-west-1", "https://store.example:443", None),
    },
    "session token": {
        "base_url": "https://bucket.s3.eu-west-1.amazonaws.com",
        "of": ("virtual", "eu-west-1", None, "IQoJ//b3+JpZ2lu="),
    },
}


def both(case: str, key: str, seconds: int = 3600, method: str = "GET", **response: str) -> tuple[str, str]:
    """Our URL and boto3's for the same inputs: ours is dated as boto3's came out."""
    style, region, endpoint, token = CASES[case]["of"]
    names = {"GET": "get_object", "HEAD": "head_object", "PUT": "put_object"}
    params = {"Bucket": "bucket", "Key": key} | {f"Response{name}": value for name, value in response.items()}
    client = witness(style, region, endpoint, token)
    theirs = client.generate_presigned_url(names[method], Params=params, ExpiresIn=seconds)
    stamp = parse_qs(urlsplit(theirs).query)["X-Amz-Date"][0]
    presigner = Presigner(
        HmacSigner("AKIDEXAMPLE", SecretStr(SECRET), region),
        CASES[case]["base_url"],
        session_token=SecretStr(token) if token else None,
    )
    spelling = {"ContentDisposition": "response-content-disposition", "ContentType": "response-content-type"}
    query = [(spelling[name], value) for name, value in response.items()]
    at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return presigner.url(key, seconds=seconds, at=at, method=method, query=query), theirs


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("key", ODD_KEYS, ids=lambda key: ascii(key[:20]))
def test_url_equals_boto3_for_odd_keys(case: str, key: str) -> None:
    """Byte for byte the same URL, in every addressing style."""
    ours, theirs = both(case, key, ContentDisposition=content_disposition("é x.mp4"), ContentType="video/mp4")
    assert ours == theirs


@given(key=keys, seconds=st.integers(1, 604800), case=st.sampled_from(sorted(CASES)))
def test_url_equals_boto3_for_any_key(key: str, seconds: int, case: str) -> None:
    """The same for any key of at most 1,024 bytes and any lifetime."""
    ours, theirs = both(case, key, seconds)
    assert ours == theirs


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_url_equals_boto3_for_each_method(method: str) -> None:
    """The method is part of what is signed."""
    ours, theirs = both("virtual", "k", method=method)
    assert ours == theirs


def presigner() -> Presigner:
    return Presigner(HmacSigner("AK", SecretStr(SECRET), "eu-west-1"), "https://b.s3.eu-west-1.amazonaws.com")


def test_signing_key_is_renewed_when_the_day_changes() -> None:
    """A presigner that is kept over midnight signs as a fresh one does, there and back."""
    kept = presigner()
    for at in (AT, AT + timedelta(seconds=2), AT):
        assert kept.url("k", seconds=60, at=at) == presigner().url("k", seconds=60, at=at)


def test_time_is_signed_in_utc_whatever_its_zone() -> None:
    """An aware time of another zone means the same instant."""
    zone = datetime.fromisoformat("2026-03-01T01:59:59+02:00")
    assert presigner().url("k", seconds=60, at=zone) == presigner().url("k", seconds=60, at=AT)


@pytest.mark.parametrize("seconds", [0, -1, 604801])
def test_expiry_outside_the_limit_is_an_error(seconds: int) -> None:
    """1 second to 7 days; the message names value and limit."""
    with pytest.raises(UsageError, match=rf"{seconds} s.*604800 s \(7 days\)"):
        presigner().url("k", seconds=seconds, at=AT)


@pytest.mark.parametrize("key", ["", "k" * 1025, "é" * 513, "\ud800"])
def test_key_that_no_store_takes_is_an_error(key: str) -> None:
    """Empty, longer than 1,024 bytes, or no Unicode text."""
    with pytest.raises(UsageError, match="object key"):
        presigner().url(key, seconds=60, at=AT)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("plain.mp4", 'attachment; filename="plain.mp4"'),
        ('a"b.mp4', "attachment; filename=\"a'b.mp4\"; filename*=UTF-8''a%22b.mp4"),
        ("é.mp4", "attachment; filename=\"_.mp4\"; filename*=UTF-8''%C3%A9.mp4"),
    ],
)
def test_content_disposition_keeps_the_name(name: str, header: str) -> None:
    """An ASCII fallback, and the full name as RFC 6266 says."""
    assert content_disposition(name) == header


@given(name=st.text(min_size=1))
def test_content_disposition_never_breaks_out_of_its_header(name: str) -> None:
    """No file name adds a line, a quote or a parameter; what could is refused."""
    try:
        header = content_disposition(name)
    except UsageError:
        return
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2
    assert header.count(";") in (1 + name.count(";"), 2 + name.count(";"))


@pytest.mark.parametrize("name", ["", "a/b", "a\\b", "a\nb", "a\x00"])
def test_content_disposition_refuses_what_is_no_file_name(name: str) -> None:
    """Nothing that a browser or a header could take for more than a name."""
    with pytest.raises(UsageError, match="file name"):
        content_disposition(name)
