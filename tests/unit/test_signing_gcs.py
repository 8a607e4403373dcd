"""Google's dialect of Signature Version 4, held against Google's conformance data, its own library, and boto3."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from google.cloud import storage
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from recordings.signing import Presigner, encode_key, host_header
from recordings.signing_gcs import HmacAuth
from recordings.signing_v4 import (
    AWS4,
    GOOG4,
    UNSIGNED_PAYLOAD,
    HmacSigner,
    Pairs,
    auth_parameters,
    canonical_headers,
    canonical_request,
    encoded_pair,
    scope,
    signed_headers,
    string_to_sign,
    timestamp,
)
from recordings.stores.gcs_rsa import RsaSigner
from tests.unit.google_fake import credentials

DATA: Final = Path(__file__).parents[1] / "data" / "gcs" / "v4_signatures.json"
RSA4: Final = replace(GOOG4, algorithm="GOOG4-RSA-SHA256")
"""Google's data is of RSA signatures; for HMAC only the name of the algorithm is another."""
SIGNER: Final = "test-iam-credentials@dummy-project-id.iam.gserviceaccount.com"
SECRET: Final = "bGoa+V7g/yqDXvKRqq+JTFn4uQZbPiQJo4pf9RzJ"
DO_NOT_FIT: Final = {
    "Simple GET with non-default hostname": "signs the host with no port; a client sends `localhost:8080` as Host",
    "Endpoint on client with scheme": "signs the host with no port; a client sends `localhost:8080` as Host",
    "Endpoint on client takes precedence over emulator": "signs the host with no port, as above",
    "Universe domain with virtual hosted style": "names the bucket in the path too, where its URL has it in the host "
    "alone; the same case in Google's own domain ('Virtual Hosted Style') fits",
}
CASES: Final[list[dict[str, Any]]] = json.loads(DATA.read_text())["signingV4Tests"]


@dataclass(frozen=True)
class Given:
    """A case in our terms."""

    base_url: str
    path: str
    stamp: str
    headers: dict[str, str]
    query: Pairs
    payload: str


def address(case: dict[str, Any]) -> str:
    """Scheme and host that a case means; of several ways to name a host the first here counts."""
    host = f"storage.{case.get('universeDomain', 'googleapis.com')}"
    for name in ("hostname", "clientEndpoint", "emulatorHostname"):
        if name in case:
            host = case[name].rpartition("://")[2]
            break
    if case.get("urlStyle") == "VIRTUAL_HOSTED_STYLE":
        host = f"{case['bucket']}.{host}"
    return f"{case.get('scheme', 'https')}://{case.get('bucketBoundHostname', host)}"


def in_our_terms(case: dict[str, Any]) -> Given:
    """The inputs of a case as our functions take them."""
    base_url = address(case)
    path = "" if "urlStyle" in case else f"/{case['bucket']}"
    if "object" in case:
        path += f"/{encode_key(case['object'])}"
    headers = canonical_headers({"host": host_header(base_url), **case.get("headers", {})})
    stamp = timestamp(datetime.fromisoformat(case["timestamp"].replace("Z", "+00:00")))
    credential = f"{SIGNER}/{scope(RSA4, stamp, 'auto')}"
    parameters = auth_parameters(RSA4, credential, stamp, case["expiration"], signed_headers(headers))
    query = [encoded_pair(*pair) for pair in (*parameters, *case.get("queryParameters", {}).items())]
    payload = headers.get(GOOG4.payload_header, UNSIGNED_PAYLOAD)
    return Given(base_url, path, stamp, headers, query, payload)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["description"])
def test_conformance_case_gives_the_canonical_request_and_string_to_sign(case: dict[str, Any]) -> None:
    """Every case that fits, to the byte; one that does not is named with its reason, and really does not."""
    given = in_our_terms(case)
    request = canonical_request(case["method"], given.path, given.query, given.headers, given.payload)
    expected = case["expectedCanonicalRequest"]
    if case["description"] in DO_NOT_FIT:
        assert request != expected, "it fits: take it off the list"
        return
    assert request == expected
    assert string_to_sign(RSA4, given.stamp, scope(RSA4, given.stamp, "auto"), request) == case["expectedStringToSign"]


def test_conformance_data_is_whole() -> None:
    """29 cases, 25 of which fit; nothing on the list of exceptions is misspelt."""
    assert len(CASES) == 29
    assert DO_NOT_FIT.keys() <= {case["description"] for case in CASES}
    assert len(DO_NOT_FIT) == 4


PLAIN: Final = [
    case
    for case in CASES
    if "object" in case and not case.keys() & {"headers", "queryParameters"} and case["description"] not in DO_NOT_FIT
]


@pytest.mark.parametrize("case", PLAIN, ids=lambda case: case["description"])
def test_presigned_url_is_the_one_of_the_conformance_case(case: dict[str, Any]) -> None:
    """The whole URL up to the signature, for cases with no header and no parameter of their own."""
    base = address(case) + ("" if "urlStyle" in case else f"/{case['bucket']}")
    presigner = Presigner(HmacSigner(SIGNER, SecretStr(SECRET), "auto", RSA4), base)
    at = datetime.fromisoformat(case["timestamp"].replace("Z", "+00:00"))
    ours = presigner.url(case["object"], seconds=case["expiration"], at=at, method=case["method"])
    theirs = case["expectedUrl"]
    assert ours.partition("&X-Goog-Signature=")[0] == theirs.partition("&X-Goog-Signature=")[0]


keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda key: len(key.encode()) <= 1024)


@given(key=keys, seconds=st.integers(1, 604800), content_type=st.none() | st.just("video/mp4"))
def test_rsa_signed_url_is_the_one_of_googles_library(key: str, seconds: int, content_type: str | None) -> None:
    """For any key and lifetime: the same address, parameters and signature; only their order is ours."""
    bucket = storage.Client("some-project", credentials(SIGNER)).bucket("some-bucket")
    theirs = urlsplit(
        bucket.blob(key).generate_signed_url(
            version="v4", expiration=timedelta(seconds=seconds), response_type=content_type
        )
    )
    at = datetime.strptime(parse_qs(theirs.query)["X-Goog-Date"][0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    signer = RsaSigner(SIGNER, credentials(SIGNER).sign_bytes)
    query = [] if content_type is None else [("response-content-type", content_type)]
    presigner = Presigner(signer, "https://storage.googleapis.com/some-bucket")
    ours = urlsplit(presigner.url(key, seconds=seconds, at=at, query=query))
    assert (ours.scheme, ours.netloc, ours.path) == (theirs.scheme, theirs.netloc, theirs.path)
    assert sorted(ours.query.split("&")) == sorted(theirs.query.split("&"))


AT: Final = datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)


def authorised(auth: httpx.Auth, request: httpx.Request) -> httpx.Request:
    """The request as it would be sent."""
    seen: list[httpx.Request] = []

    def answer(sent: httpx.Request) -> httpx.Response:
        seen.append(sent)
        return httpx.Response(200)

    with httpx.Client(transport=httpx.MockTransport(answer), auth=auth) as client:
        client.send(request)
    return seen[0]


bodies = st.binary(max_size=64)
queries = st.dictionaries(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1), keys, max_size=3)


@given(
    key=keys.filter(lambda key: "." not in key.split("/") and ".." not in key.split("/")), body=bodies, query=queries
)
def test_header_signature_in_amazons_dialect_is_boto3s(key: str, body: bytes, query: dict[str, str]) -> None:
    """The same code that speaks Google's dialect gives boto3's AWS4 to the byte, for any key, query and body."""
    pairs = "&".join("=".join(encoded_pair(*pair)) for pair in query.items())
    url = f"https://storage.googleapis.com/some-bucket/{encode_key(key)}?{pairs}".rstrip("?")
    theirs = AWSRequest("PUT", url, data=body, headers={"content-type": "video/mp4"})
    S3SigV4Auth(Credentials("GOOG1EXAMPLE", SECRET), "s3", "auto").add_auth(theirs)
    stamp = theirs.headers["X-Amz-Date"]
    at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    ours = authorised(
        HmacAuth("GOOG1EXAMPLE", SecretStr(SECRET), dialect=AWS4, now=at.timestamp),
        httpx.Request("PUT", url, content=body, headers={"content-type": "video/mp4"}),
    )
    assert ours.headers["authorization"] == theirs.headers["Authorization"]


def test_header_signature_covers_googles_headers_and_nothing_that_is_rewritten() -> None:
    """All `x-goog-` headers, host and content type; never `Accept-Encoding`."""
    headers = {"x-goog-if-generation-match": "0", "content-type": "video/mp4", "accept-encoding": "identity"}
    request = httpx.Request("PUT", "https://storage.googleapis.com/b/k", content=b"x", headers=headers)
    sent = authorised(HmacAuth("GOOG1EXAMPLE", SecretStr(SECRET), now=AT.timestamp), request)
    names = "content-type;host;x-goog-content-sha256;x-goog-date;x-goog-if-generation-match"
    assert f"SignedHeaders={names}," in sent.headers["authorization"]
    assert sent.headers["authorization"].startswith(
        "GOOG4-HMAC-SHA256 Credential=GOOG1EXAMPLE/20260228/auto/storage/goog4_request,"
    )
    assert SECRET not in str(sent.headers)


def test_each_try_is_signed_at_its_own_time() -> None:
    """A request that is sent again later bears the later date, or Google would refuse it after 15 minutes."""
    moments = iter((AT.timestamp(), AT.timestamp() + 2))
    auth = HmacAuth("GOOG1EXAMPLE", SecretStr(SECRET), now=lambda: next(moments))
    request = httpx.Request("GET", "https://storage.googleapis.com/b/k")
    assert [authorised(auth, request).headers["x-goog-date"] for _ in range(2)] == [
        "20260228T235959Z",
        "20260301T000001Z",
    ]
