"""What the S3 store asks of S3, and what it makes of the answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ConnectTimeoutError
from pydantic import SecretStr

from recordings.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    ConfigurationError,
    CredentialsError,
    ObjectNotFoundError,
    PreconditionError,
    StoreError,
    UsageError,
    WrongRegionError,
)
from recordings.outages import told_to
from recordings.stores import AccessKey, Identity, ObjectVersion, Part, SignedUrl, open_store
from recordings.stores.s3_connection import ATTEMPTS, CONNECT_SECONDS, READ_SECONDS, _shared_session
from tests.unit.s3_wire import Reply, Wire, outputs, store_on

BASE = "https://bucket.s3.eu-west-1.amazonaws.com"
FOUND = {"etag": '"e"', "content-type": "video/mp4", "last-modified": "Wed, 01 Jul 2026 10:00:00 GMT"}
LISTED = (
    b"<ListBucketResult><Contents><Key>%s</Key><Size>3</Size><ETag>&quot;e&quot;</ETag>"
    b"<LastModified>2026-07-01T10:00:00Z</LastModified></Contents></ListBucketResult>"
)


def signed_by(wire: Wire, index: int = 0) -> str:
    """The access key id in the Authorization header of a request."""
    header = wire.requests[index].headers["Authorization"]
    text = header.decode() if isinstance(header, bytes) else header
    return text.partition("Credential=")[2].partition("/")[0]


@pytest.mark.parametrize(
    ("identity", "key_id"),
    [
        (Identity.WRITER, "AKIAWRITER"),
        (Identity.READER, "AKIAREADER"),
        (AccessKey("AKIAGREEN", SecretStr("s")), "AKIAGREEN"),
        (Identity.OPERATOR, "AKIAAMBIENT"),
    ],
)
def test_each_identity_signs_with_its_own_key(
    identity: Identity | AccessKey, key_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writer and reader never fall back to the ambient login, nor carry its session token; the operator uses it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAAMBIENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ambient")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    wire = Wire(Reply(headers={"etag": '"e"'}))
    store_on(wire, identity).put("k", b"x")
    assert signed_by(wire) == key_id
    assert ("X-Amz-Security-Token" in wire.requests[0].headers) == (identity is Identity.OPERATOR)


def test_an_ambient_profile_does_not_fail_the_issued_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A profile that does not exist and a file that cannot be parsed are the operator's trouble alone."""
    (tmp_path / "config").write_text("[broken")
    monkeypatch.setenv("AWS_PROFILE", "missing")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    _shared_session.cache_clear()
    url = open_store(outputs(), Identity.READER).sign("k", timedelta(minutes=1)).reveal()
    assert "AKIAREADER" in url


@pytest.mark.parametrize("identity", [Identity.WRITER, Identity.READER])
def test_an_ambient_endpoint_does_not_catch_the_issued_keys(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the outputs name no endpoint, AWS_ENDPOINT_URL leads writer and reader nowhere."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://elsewhere.example")
    wire = Wire(Reply(headers={"etag": '"e"'}))
    store_on(wire, identity).put("k", b"x")
    assert wire.asked == [f"PUT {BASE}/k"]


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({}, "https://bucket.s3.eu-west-1.amazonaws.com/a%20b"),
        ({"region": "us-east-1"}, "https://bucket.s3.us-east-1.amazonaws.com/a%20b"),
        ({"region": "cn-north-1"}, "https://bucket.s3.cn-north-1.amazonaws.com.cn/a%20b"),
        ({"bucketName": "dotted.name"}, "https://s3.eu-west-1.amazonaws.com/dotted.name/a%20b"),
        ({"endpointUrl": "https://127.0.0.1:4566"}, "https://127.0.0.1:4566/bucket/a%20b"),
    ],
)
def test_signed_and_plain_urls_lie_where_requests_go(changes: dict[str, Any], url: str) -> None:
    """Regional, virtual-hosted where the certificate allows it, by path at an endpoint of its own."""
    wire = Wire(Reply(headers={"etag": '"e"'}))
    store = store_on(wire, **changes)
    store.put("a b", b"x")
    assert wire.asked == [f"PUT {url}"]
    assert store.url("a b") == url
    assert store.sign("a b", timedelta(hours=1)).reveal().startswith(f"{url}?X-Amz-Algorithm=AWS4-HMAC-SHA256&")


def test_every_call_has_timeouts_and_enough_attempts() -> None:
    """At least 8 attempts, and all of them within 15 minutes even if each one times out (waits are 20 s at most)."""
    config: Any = store_on(Wire()).client.meta.config
    assert config.retries["mode"] == "standard"
    assert config.retries["total_max_attempts"] == ATTEMPTS >= 8
    assert (config.connect_timeout, config.read_timeout) == (CONNECT_SECONDS, READ_SECONDS)
    assert ATTEMPTS * max(CONNECT_SECONDS, READ_SECONDS) + (ATTEMPTS - 1) * 20 <= 15 * 60


def test_conditional_puts_say_so_and_lose_with_an_error() -> None:
    """If-Match carries the ETag in quotes, If-None-Match a star; a lost condition is PreconditionError."""
    lost = Reply(412, code="PreconditionFailed")
    wire = Wire(Reply(headers={"etag": '"new"'}), lost, lost)
    store = store_on(wire)
    assert store.put("k", b"x", if_match="old").etag == "new"
    assert wire.requests[0].headers["If-Match"] == b'"old"'
    with pytest.raises(PreconditionError):
        store.put("k", b"x", if_match="old")
    with pytest.raises(PreconditionError):
        store.put("k", b"x", if_none_match=True)
    assert wire.requests[2].headers["If-None-Match"] == b"*"


def test_read_gives_bytes_and_the_whole_size_of_a_range() -> None:
    """A partial answer names the size of the whole object."""
    wire = Wire(Reply(206, b"bcd", {**FOUND, "content-range": "bytes 1-3/10"}))
    body, info = store_on(wire).read("k", first=1, last=3)
    assert wire.requests[0].headers["Range"] == b"bytes=1-3"
    assert (body, info.size, info.etag, info.content_type) == (b"bcd", 10, "e", "video/mp4")
    assert info.last_modified == datetime(2026, 7, 1, 10, tzinfo=UTC)


def test_read_asks_again_when_the_body_breaks_off() -> None:
    """A body shorter than its Content-Length is not taken for the object."""
    short = Reply(200, b"ab", {**FOUND, "content-length": "4"})
    wire = Wire(short, Reply(200, b"abcd", FOUND))
    assert store_on(wire).read("k")[0] == b"abcd"
    assert len(wire.requests) == 2


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (404, "NoSuchKey", ObjectNotFoundError),
        (404, "NoSuchBucket", BucketNotFoundError),
        (403, "InvalidAccessKeyId", CredentialsError),
        (400, "AuthorizationHeaderMalformed", WrongRegionError),
    ],
)
def test_head_finds_out_why_it_was_refused(status: int, code: str, expected: type[StoreError]) -> None:
    """The answer to HEAD has no body: a GET of one byte names the reason."""
    wire = Wire(Reply(status), *[Reply(status, code=code)] * 3)
    with pytest.raises(expected):
        store_on(wire).head("k")
    ranges: list[Any] = [request.headers.get("Range") for request in wire.requests]
    assert b"bytes=0-0" in ranges


def test_head_tells_a_missing_object_from_a_denied_one_by_listing() -> None:
    """403 for both from S3; whoever may list the key's name knows which."""
    denied = Reply(403, code="AccessDenied")
    with pytest.raises(ObjectNotFoundError):
        store_on(Wire(denied, denied, Reply(200, b"<ListBucketResult/>"))).head("k")
    with pytest.raises(ObjectNotFoundError):
        store_on(Wire(denied, denied, Reply(200, LISTED % b"k2"))).head("k")
    with pytest.raises(AccessDeniedError):
        store_on(Wire(denied, denied, Reply(200, LISTED % b"k"))).head("k")
    with pytest.raises(AccessDeniedError):
        store_on(Wire(denied, denied, denied)).head("k")


def test_list_goes_through_all_pages() -> None:
    """The continuation token is followed; keys come decoded."""
    first = LISTED.replace(
        b"<Contents>", b"<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken><Contents>"
    )
    url = b"<EncodingType>url</EncodingType><Contents>"
    wire = Wire(Reply(200, first % b"a"), Reply(200, LISTED.replace(b"<Contents>", url) % b"b%2Bc"))
    assert [(found.key, found.size, found.etag) for found in store_on(wire).list("p/")] == [
        ("a", 3, "e"),
        ("b+c", 3, "e"),
    ]
    assert "continuation-token=t" in wire.asked[1]
    assert "prefix=p%2F" in wire.asked[0]


def version(number: int) -> ObjectVersion:
    return ObjectVersion(f"k{number}", f"v{number}", True, False, 1, datetime(2026, 1, 1, tzinfo=UTC))


def test_delete_versions_goes_by_thousands() -> None:
    """2,001 versions take three requests."""
    wire = Wire(*[Reply(200, b"<DeleteResult/>")] * 3)
    assert store_on(wire).delete_versions(map(version, range(2001))) == 2001
    assert [body.count(b"<Object>") for body in wire.bodies] == [1000, 1000, 1]


def test_delete_versions_reports_what_stayed_though_the_answer_is_200() -> None:
    """One refused key inside a successful answer is an error that names it."""
    body = b"<DeleteResult><Error><Key>k1</Key><Code>AccessDenied</Code><Message>m</Message></Error></DeleteResult>"
    with pytest.raises(AccessDeniedError, match="s3://bucket/k1"):
        store_on(Wire(Reply(200, body))).delete_versions([version(0), version(1)])


def test_multipart_sends_parts_in_their_order_and_forgives_an_abort_too_late() -> None:
    """The completion names each part's number and ETag; an upload that is gone need not be aborted."""
    wire = Wire(
        Reply(200, b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"),
        Reply(200, headers={"etag": '"p1"'}),
        Reply(200, b"<CompleteMultipartUploadResult/>"),
        Reply(404, code="NoSuchUpload"),
    )
    store = store_on(wire)
    upload = store.create_upload("k")
    part = store.upload_part("k", upload, 1, b"x")
    assert part == Part(1, "p1")
    store.complete_upload("k", upload, [part])
    assert b"<PartNumber>1</PartNumber>" in wire.bodies[2]
    store.abort_upload("k", upload)


def test_bucket_region_is_read_even_from_a_refusal() -> None:
    """HEAD of a bucket names its region in a header whatever it answers."""
    elsewhere = {"x-amz-bucket-region": "ap-south-1"}
    assert store_on(Wire(Reply(200, headers=elsewhere))).bucket_region() == "ap-south-1"
    assert store_on(Wire(Reply(403, headers=elsewhere))).bucket_region() == "ap-south-1"
    with pytest.raises(BucketNotFoundError):
        store_on(Wire(Reply(404))).bucket_region()


def test_sign_dates_from_the_time_given_and_says_when_it_ends() -> None:
    """A URL may be dated in the past; its end is `at` and its lifetime."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    signed = store_on(Wire()).sign("k", timedelta(hours=1), at=at, filename="f.mp4", content_type="video/mp4")
    assert "X-Amz-Date=20260101T000000Z" in signed.reveal()
    assert "response-content-disposition=attachment" in signed.reveal()
    assert "response-content-type=video%2Fmp4" in signed.reveal()
    assert signed.expires_at == at + timedelta(hours=1)


def test_sign_refuses_more_than_seven_days() -> None:
    """The provider's limit is an error, not a surprise."""
    with pytest.raises(UsageError, match="7 days"):
        store_on(Wire()).sign("k", timedelta(days=7, seconds=1))


def test_signed_url_does_not_show_itself() -> None:
    """Only `reveal` gives the query, so that no log, message or report has it by accident."""
    url = SignedUrl("https://host/k?X-Amz-Signature=5ecret")
    assert "5ecret" not in f"{url} {url!r} {[url]}"
    assert str(url) == "https://host/k?…"


def test_operator_without_a_login_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """No ambient credentials: CredentialsError, not a traceback."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", f"{tmp_path}/none")
    monkeypatch.setenv("AWS_CONFIG_FILE", f"{tmp_path}/none")
    store = store_on(Wire(), Identity.OPERATOR)
    with pytest.raises(CredentialsError, match="login"):
        store.put("k", b"x")
    with pytest.raises(CredentialsError, match="login"):
        store.sign("k", timedelta(hours=1))


def test_open_store_gives_the_adapter_of_the_provider() -> None:
    """The provider's name in the outputs chooses the module."""
    store = open_store(outputs(), Identity.READER)
    assert (store.scheme, store.bucket) == ("s3", "bucket")


def test_open_store_refuses_a_provider_without_adapter() -> None:
    """A provider that this version cannot use is named, not an ImportError."""
    with pytest.raises(ConfigurationError, match="storageProvider"):
        open_store(outputs(storageProvider="tape"), Identity.READER)


@pytest.mark.parametrize("bucket", ["plain-bucket", "dotted.bucket"])
@pytest.mark.parametrize("endpoint", [None, "https://127.0.0.1:9000", "https://s3.example.com/"])
def test_plain_url_is_where_the_client_asks(endpoint: str | None, bucket: str) -> None:
    """It is made without a client where the outputs name an address: both lead to the same place."""
    wire = Wire(Reply(200))
    store = store_on(wire, bucketName=bucket, **({"endpointUrl": endpoint} if endpoint else {}))
    store.delete("a")
    assert wire.requests[0].url == store.url("a")


def unanswered(request: AWSPreparedRequest) -> Reply:
    raise ConnectTimeoutError(endpoint_url=request.url)


@pytest.mark.parametrize(
    "trouble",
    [Reply(503, code="SlowDown"), Reply(500, code="InternalError"), Reply(502), unanswered],
    ids=["slow", "internal", "no code", "no answer"],
)
def test_tries_of_botocore_are_told_once(
    trouble: Reply | Callable[[AWSPreparedRequest], Reply], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever botocore waits for: nobody sits before a command that says nothing. A refusal is no such thing."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    told: list[str] = []
    wire = Wire(trouble, trouble, trouble, Reply(200), trouble, trouble, Reply(200), Reply(403, code="AccessDenied"))
    with told_to(told.append):
        store = store_on(wire)
    store.delete("a")
    store.delete("b")
    with pytest.raises(AccessDeniedError):
        store.delete("c")
    assert len(wire.requests) == 8
    assert len(told) == 1
    assert told[0].startswith("DeleteObject: no usable answer (")
