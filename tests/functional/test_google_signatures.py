"""V4 signatures against the XML API: by RSA key, by HMAC key in Google's and in Amazon's dialect, in URL and header."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.functional.google_lab import Key, Lab, fault

STAMP = "%Y%m%dT%H%M%SZ"


def canonical(method: str, url: str, headers: dict[str, str], payload: str) -> str:
    """The canonical request of an URL whose query is in canonical order already."""
    parts = urlsplit(url)
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    return "\n".join([method, parts.path, parts.query, lines, ";".join(sorted(headers)), payload])


def signature(secret: str, date: str, text: str) -> str:
    """GOOG4-HMAC-SHA256 of a canonical request, written down here once more, from Google's documentation."""
    scope = f"{date[:8]}/auto/storage/goog4_request"
    to_sign = f"GOOG4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(text.encode()).hexdigest()}"
    key = f"GOOG4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


def signed_url(
    lab: Lab, key: Key, path: str, *, method: str = "GET", expires: int = 60, ago: float = 0, **query: Any
) -> str:
    """A GOOG4-HMAC-SHA256 URL; `ago` is its age in seconds."""
    date = (datetime.now(UTC) - timedelta(seconds=ago)).strftime(STAMP)
    items = {
        "X-Goog-Algorithm": "GOOG4-HMAC-SHA256",
        "X-Goog-Credential": f"{key[0]}/{date[:8]}/auto/storage/goog4_request",
        "X-Goog-Date": date,
        "X-Goog-Expires": str(expires),
        "X-Goog-SignedHeaders": "host",
        **query,
    }
    text = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(items.items()))
    url = f"{lab.url}{quote(path)}?{text}"
    host = {"host": urlsplit(lab.url).netloc}
    return f"{url}&X-Goog-Signature={signature(key[1], date, canonical(method, url, host, 'UNSIGNED-PAYLOAD'))}"


def signed_headers(lab: Lab, key: Key, path: str, method: str, body: bytes, *, ago: float = 0) -> dict[str, str]:
    """Headers of a request signed with GOOG4-HMAC-SHA256, its body's hash included."""
    date = (datetime.now(UTC) - timedelta(seconds=ago)).strftime(STAMP)
    digest = hashlib.sha256(body).hexdigest()
    headers = {"host": urlsplit(lab.url).netloc, "x-goog-content-sha256": digest, "x-goog-date": date}
    made = signature(key[1], date, canonical(method, f"{lab.url}{path}", headers, digest))
    credential = f"Credential={key[0]}/{date[:8]}/auto/storage/goog4_request"
    names = ";".join(sorted(headers))
    headers["authorization"] = f"GOOG4-HMAC-SHA256 {credential},SignedHeaders={names},Signature={made}"
    return headers


@pytest.fixture(scope="module")
def place(lab: Lab) -> tuple[str, Key]:
    """A bucket with an object `p/a b+ä~.mp4`, and the HMAC key of an account that may do everything under `p/`."""
    bucket = lab.bucket()
    _, key = lab.writer(bucket)
    lab.put(bucket, "p/a b+ä~.mp4")
    return bucket, key


def test_hmac_url_opens_the_object(lab: Lab, place: tuple[str, Key]) -> None:
    """A valid URL needs nothing else, with HEAD no less than GET if it is signed for it."""
    bucket, key = place
    path = f"/{bucket}/p/a b+ä~.mp4"
    assert lab.anonymous().get(signed_url(lab, key, path)).content == b"content"
    assert lab.anonymous().head(signed_url(lab, key, path, method="HEAD")).headers["content-length"] == "7"
    assert fault(lab.anonymous().get(signed_url(lab, key, path, method="HEAD"))) == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize(
    ("tamper", "expected"),
    [
        (lambda url: url.replace("a%20b", "a%20c"), (403, "SignatureDoesNotMatch")),
        (lambda url: url.replace("Expires=60", "Expires=6000"), (403, "SignatureDoesNotMatch")),
        (lambda url: url + "0", (403, "SignatureDoesNotMatch")),
        (lambda url: url + "&response-content-type=text%2Fhtml", (403, "SignatureDoesNotMatch")),
        (lambda url: url.replace("GOOG1E", "GOOG1F"), (403, "InvalidSecurity")),
        (lambda url: url.replace("GOOG4-HMAC-SHA256", "GOOG4-HMAC-MD5"), (400, "MalformedSecurityHeader")),
        (lambda url: url.replace("storage%2Fgoog4_request", "s3%2Faws4_request"), (400, "MalformedSecurityHeader")),
        (lambda url: url.replace("SignedHeaders=host", "SignedHeaders=host%3Bx-a"), (400, "MalformedSecurityHeader")),
        (lambda url: url.replace("X-Goog-Date", "X-Goog-Dat"), (400, "MalformedSecurityHeader")),
        (lambda url: url.partition("?")[0], (403, "AccessDenied")),
    ],
)
def test_tampered_url_is_refused(
    lab: Lab, place: tuple[str, Key], tamper: Callable[[str], str], expected: tuple[int, str]
) -> None:
    """Path, time, signature, further parameters, key, algorithm, scope, headers: each is bound."""
    url = tamper(signed_url(lab, place[1], f"/{place[0]}/p/a b+ä~.mp4"))
    assert fault(lab.anonymous().get(url)) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"ago": 61}, (400, "ExpiredToken")),
        ({"expires": 604_801}, (400, "InvalidArgument")),
        ({"expires": 0}, (400, "InvalidArgument")),
        ({"ago": -1200}, (403, "AccessDenied")),
        ({"expires": 604_800, "ago": 604_000}, (200, "")),
        ({"ago": -300}, (200, "")),
    ],
)
def test_url_is_good_for_its_time_alone(
    lab: Lab, place: tuple[str, Key], query: dict[str, Any], expected: tuple[int, str]
) -> None:
    """Seven days at most, and a clock may be wrong by a quarter of an hour."""
    answer = lab.anonymous().get(signed_url(lab, place[1], f"/{place[0]}/p/a b+ä~.mp4", **query))
    assert fault(answer) == expected
    if expected[1] == "ExpiredToken":
        assert "Request signature expired at: " in answer.text


def test_url_can_set_response_headers(lab: Lab, place: tuple[str, Key]) -> None:
    """`response-content-disposition` as part of the signed query."""
    query: dict[str, Any] = {"response-content-disposition": 'attachment; filename="r.mp4"'}
    url = signed_url(lab, place[1], f"/{place[0]}/p/a b+ä~.mp4", **query)
    assert lab.anonymous().get(url).headers["content-disposition"] == 'attachment; filename="r.mp4"'


def test_inactive_keys_signatures_are_refused_until_it_is_active_again(lab: Lab) -> None:
    """A URL dies with the key that signed it, and an INACTIVE key sleeps."""
    bucket = lab.bucket()
    _, key = lab.writer(bucket)
    lab.put(bucket, "p/x")
    url = signed_url(lab, key, f"/{bucket}/p/x")
    path = f"/storage/v1/projects/{lab.project}/hmacKeys/{key[0]}"
    for state, expected in (("INACTIVE", (403, "InvalidSecurity")), ("ACTIVE", (200, ""))):
        assert lab.operator.put(path, json={"state": state}).status_code == 200
        assert fault(lab.anonymous().get(url)) == expected


def test_signature_does_not_widen_rights(lab: Lab, place: tuple[str, Key]) -> None:
    """A valid URL outside the signer's prefix is a 403 that names account and permission."""
    bucket, key = place
    lab.put(bucket, "q/out")
    answer = lab.anonymous().get(signed_url(lab, key, f"/{bucket}/q/out"))
    assert fault(answer) == (403, "AccessDenied")
    assert "does not have storage.objects.get access" in answer.text
    assert fault(lab.anonymous().get(signed_url(lab, key, f"/{bucket}/p/missing"))) == (404, "NoSuchKey")


def test_rsa_url_by_googles_library(lab: Lab) -> None:
    """Put and get by URLs of the official library, until the key that signed is deleted."""
    bucket = lab.bucket()
    email = lab.account()
    lab.grant(bucket, ("objectAdmin", f"serviceAccount:{email}", None))
    key = lab.key(email)
    blob = lab.storage(key).bucket(bucket).blob("p/ä +.mp4")

    def url(method: str, **more: Any) -> str:
        return str(
            blob.generate_signed_url(
                version="v4",
                expiration=timedelta(minutes=1),
                method=method,
                api_access_endpoint=lab.url,
                credentials=lab.credentials(key),
                **more,
            )
        )

    client = lab.anonymous()
    put = url("PUT", content_type="video/mp4", headers={"x-goog-meta-room": "r"})
    headers = {"content-type": "video/mp4", "x-goog-meta-room": "r"}
    assert fault(client.put(put, content=b"film")) == (400, "MalformedSecurityHeader")
    assert fault(client.put(put, content=b"film", headers={**headers, "x-goog-meta-room": "q"}))[0] == 403
    unsigned = client.put(put, content=b"film", headers={**headers, "x-goog-meta-more": "q"})
    assert fault(unsigned) == (400, "MalformedSecurityHeader")
    assert client.put(put, content=b"film", headers=headers).status_code == 200
    got = client.get(url("GET"))
    assert (got.content, got.headers["content-type"], got.headers["x-goog-meta-room"]) == (b"film", "video/mp4", "r")
    working = url("GET")
    changed = working[:-1] + ("1" if working.endswith("0") else "0")
    assert fault(client.get(changed)) == (403, "SignatureDoesNotMatch")
    lab.operator.delete(f"/v1/projects/-/serviceAccounts/{email}/keys/{key['private_key_id']}")
    assert fault(client.get(working)) == (403, "SignatureDoesNotMatch")


def test_goog4_header_signs_the_body(lab: Lab, place: tuple[str, Key]) -> None:
    """The body's hash is part of the signature; another body is refused and leaves nothing."""
    bucket, key = place
    path = f"/{bucket}/p/by-header"
    headers = signed_headers(lab, key, path, "PUT", b"right")
    assert fault(lab.anonymous().put(path, content=b"wrong", headers=headers)) == (400, "BadDigest")
    assert fault(lab.operator.get(f"/storage/v1/b/{bucket}/o/p%2Fby-header")) == (404, "notFound")
    assert lab.anonymous().put(path, content=b"right", headers=headers).status_code == 200


def test_header_signature_with_a_clock_that_is_wrong_is_refused(lab: Lab, place: tuple[str, Key]) -> None:
    """More than fifteen minutes are too much, in both directions."""
    path = f"/{place[0]}/p/skewed"
    for ago, expected in ((1000, "RequestTimeTooSkewed"), (-1000, "RequestTimeTooSkewed"), (800, "")):
        headers = signed_headers(lab, place[1], path, "PUT", b"x", ago=ago)
        assert fault(lab.anonymous().put(path, content=b"x", headers=headers))[1] == expected


def test_aws_dialect_in_url_and_header_by_botocore(lab: Lab, place: tuple[str, Key]) -> None:
    """Amazon's own signer, with an HMAC pair, against the XML API."""
    bucket, key = place
    credentials = Credentials(*key)
    url = f"{lab.url}/{bucket}/p/{quote('a b+ä~.mp4')}"
    query = AWSRequest("GET", url)
    S3SigV4QueryAuth(credentials, "s3", "auto", expires=60).add_auth(query)
    assert lab.anonymous().get(str(query.url)).content == b"content"
    assert fault(lab.anonymous().get(f"{query.url}0")) == (403, "SignatureDoesNotMatch")
    header = AWSRequest("GET", url)
    S3SigV4Auth(credentials, "s3", "auto").add_auth(header)
    assert lab.anonymous().get(url, headers=dict(header.headers)).content == b"content"
    other = {**dict(header.headers), "X-Amz-Date": "20200101T000000Z"}
    assert fault(lab.anonymous().get(url, headers=other))[0] in (400, 403)


def test_boto3_with_its_new_default_checksums_is_refused_as_google_does(lab: Lab, place: tuple[str, Key]) -> None:
    """What botocore 1.36 and later send unless told otherwise: `SignatureDoesNotMatch … Invalid argument.`"""
    client = lab.s3(place[1], request_checksum_calculation="when_supported")
    with pytest.raises(client.exceptions.ClientError, match=r"SignatureDoesNotMatch.*Invalid argument\."):
        client.put_object(Bucket=place[0], Key="p/x", Body=b"x")


@pytest.mark.parametrize(
    "headers",
    [{"authorization": "AWS key:sig"}, {"authorization": "GOOG1 key:sig"}, {"authorization": "GOOG4-RSA-SHA256"}],
)
def test_other_signatures_are_refused_by_name(lab: Lab, place: tuple[str, Key], headers: dict[str, str]) -> None:
    """V2 is not supported, half a V4 is malformed; neither passes as anonymous."""
    answer: httpx.Response = lab.anonymous().get(f"/{place[0]}/p/x", headers=headers)
    assert fault(answer)[1] in ("NotImplemented", "MalformedSecurityHeader")
