"""The XML API as boto3 and browsers use it: objects, listings, multipart uploads, CORS, plain HTTP."""

from __future__ import annotations

import os
from contextlib import closing
from http.client import HTTPSConnection
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError
from mypy_boto3_s3 import S3Client

from sandbox.servers import Sandbox
from tests.functional.clients import client_tls
from tests.functional.google_lab import Lab, fault

LEAST = 5 * 1024 * 1024
ORIGIN = "https://player.example"
CORS = [
    {"origin": [ORIGIN], "method": ["GET", "HEAD"], "responseHeader": ["Range", "Content-Range", "ETag"],
     "maxAgeSeconds": 60}
]  # fmt: skip


@pytest.fixture(scope="module")
def bucket(lab: Lab) -> str:
    """A bucket whose objects any test may add to, under a prefix of its own."""
    return lab.bucket(cors=CORS)


@pytest.fixture(scope="module")
def s3(lab: Lab, bucket: str) -> S3Client:
    """boto3 with the HMAC key of an account that may do everything in the bucket."""
    email = lab.account()
    lab.grant(bucket, ("admin", f"serviceAccount:{email}", None))
    return lab.s3(lab.hmac(email))


def refusal(error: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    """Status and code of what boto3 raised."""
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def test_object_by_boto3(s3: S3Client, bucket: str) -> None:
    """Put, head, get, ranges, conditional reads, copy, delete; deleting what is not there is a 404."""
    put = s3.put_object(Bucket=bucket, Key="o/x y", Body=b"film", ContentType="video/mp4", Metadata={"room": "r"})
    head = s3.head_object(Bucket=bucket, Key="o/x y")
    assert (head["ContentLength"], head["ContentType"], head["Metadata"]) == (4, "video/mp4", {"room": "r"})
    assert head["ETag"] == put["ETag"]
    assert s3.get_object(Bucket=bucket, Key="o/x y", Range="bytes=1-2")["Body"].read() == b"il"
    with pytest.raises(ClientError) as unchanged:
        s3.get_object(Bucket=bucket, Key="o/x y", IfNoneMatch=put["ETag"])
    assert refusal(unchanged) == (304, "304")
    with pytest.raises(ClientError) as other:
        s3.get_object(Bucket=bucket, Key="o/x y", IfMatch='"other"')
    assert refusal(other) == (412, "PreconditionFailed")
    s3.copy_object(Bucket=bucket, Key="o/copy", CopySource={"Bucket": bucket, "Key": "o/x y"})
    assert s3.get_object(Bucket=bucket, Key="o/copy")["Body"].read() == b"film"
    s3.delete_object(Bucket=bucket, Key="o/copy")
    with pytest.raises(ClientError) as gone:
        s3.delete_object(Bucket=bucket, Key="o/copy")
    assert refusal(gone) == (404, "NoSuchKey")


def test_generation_header_guards_a_write(lab: Lab, bucket: str) -> None:
    """`x-goog-if-generation-match: 0` writes once."""
    path, headers = f"/{bucket}/guarded", {"x-goog-if-generation-match": "0"}
    first = lab.operator.put(path, content=b"1", headers=headers)
    assert first.status_code == 200
    assert fault(lab.operator.put(path, content=b"2", headers=headers)) == (412, "PreconditionFailed")
    generation = {"x-goog-if-generation-match": first.headers["x-goog-generation"]}
    assert lab.operator.put(path, content=b"3", headers=generation).status_code == 200
    assert lab.operator.get(path).content == b"3"


def test_wrong_content_md5_is_refused(lab: Lab, bucket: str) -> None:
    """What arrives is what was sent, or nothing is stored."""
    headers = {"content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="}
    assert fault(lab.operator.put(f"/{bucket}/md5", content=b"1", headers=headers)) == (400, "BadDigest")
    assert fault(lab.operator.get(f"/{bucket}/md5")) == (404, "NoSuchKey")


def test_multipart_upload_puts_parts_together(s3: S3Client, bucket: str) -> None:
    """Two parts, one of them sent twice; listed, completed, and no MD5 afterwards."""
    key = "m/film.mp4"
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, ContentType="video/mp4")["UploadId"]
    parts = [os.urandom(LEAST), b"end"]
    tags: list[Any] = []
    for number, part in enumerate([b"wrong", *parts[1:]], 1):
        s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=part)
    for number, part in enumerate(parts, 1):
        answer = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=part)
        tags.append({"PartNumber": number, "ETag": answer["ETag"]})
    listed = s3.list_parts(Bucket=bucket, Key=key, UploadId=upload)
    assert [(part["PartNumber"], part["Size"]) for part in listed["Parts"]] == [(1, LEAST), (2, 3)]
    assert [entry["Key"] for entry in s3.list_multipart_uploads(Bucket=bucket, Prefix="m/")["Uploads"]] == [key]
    s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": tags})
    found = s3.get_object(Bucket=bucket, Key=key)
    assert (found["Body"].read(), found["ContentType"]) == (b"".join(parts), "video/mp4")
    assert "md5=" not in found["ResponseMetadata"]["HTTPHeaders"]["x-goog-hash"]
    with pytest.raises(ClientError) as again:
        s3.list_parts(Bucket=bucket, Key=key, UploadId=upload)
    assert refusal(again) == (404, "NoSuchUpload")


def test_multipart_upload_follows_googles_rules(s3: S3Client, bucket: str) -> None:
    """Sizes, order, tags, numbers; and after an abort nothing is left."""
    key = "m/bad"
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    tags = [
        s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=b"small")["ETag"]
        for number in (1, 2)
    ]
    first, second = ({"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1))
    cases: list[tuple[list[Any], str]] = [
        ([first, second], "EntityTooSmall"),
        ([second, first], "InvalidPartOrder"),
        ([first, {"PartNumber": 2, "ETag": '"other"'}], "InvalidPart"),
        ([{"PartNumber": 3, "ETag": tags[0]}], "InvalidPart"),
    ]
    for parts, code in cases:
        with pytest.raises(ClientError) as error:
            s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
        assert refusal(error) == (400, code)
    with pytest.raises(ClientError) as number:
        s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=10_001, Body=b"x")
    assert refusal(number) == (400, "InvalidArgument")
    s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
    with pytest.raises(ClientError) as aborted:
        s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"x")
    assert refusal(aborted) == (404, "NoSuchUpload")


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
def test_listing_in_pages_gives_every_name_once(s3: S3Client, bucket: str, operation: Any) -> None:
    """Both listings of the XML API, with a delimiter and pages of one."""
    for name in ("l/a", "l/d/1", "l/d/2", "l/e/1", "l/z"):
        s3.put_object(Bucket=bucket, Key=name, Body=b"")
    pages = list(
        s3.get_paginator(operation).paginate(
            Bucket=bucket, Prefix="l/", Delimiter="/", PaginationConfig={"PageSize": 1}
        )
    )
    assert [entry["Key"] for page in pages for entry in page.get("Contents", [])] == ["l/a", "l/z"]
    prefixes = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", [])]
    assert prefixes == ["l/d/", "l/e/"]


def test_bucket_facts_by_boto3(s3: S3Client, bucket: str) -> None:
    """Location, versioning and existence; a missing bucket is a 404; what is not supported says so."""
    location: str = s3.get_bucket_location(Bucket=bucket)["LocationConstraint"]
    assert location == "US"
    assert s3.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 200
    with pytest.raises(ClientError) as missing:
        s3.list_objects_v2(Bucket="lab-no-such-bucket")
    assert refusal(missing) == (404, "NoSuchBucket")
    with pytest.raises(ClientError) as unknown:
        s3.get_bucket_tagging(Bucket=bucket)
    assert refusal(unknown) == (501, "NotImplemented")
    with pytest.raises(ClientError) as acl:
        s3.put_object(Bucket=bucket, Key="acl", Body=b"", ACL="public-read")
    assert refusal(acl) == (400, "InvalidArgument")


def test_anonymous_caller_gets_nothing(lab: Lab, bucket: str, s3: S3Client) -> None:
    """Reading, writing, listing, deleting: 403 in XML, whether the object is there or not."""
    s3.put_object(Bucket=bucket, Key="private", Body=b"x")
    client = lab.anonymous()
    for method, path in (("GET", "private"), ("GET", "none"), ("PUT", "new"), ("DELETE", "private"), ("GET", "")):
        answer = client.request(method, f"/{bucket}/{path}")
        assert fault(answer) == (403, "AccessDenied")
        assert "Anonymous caller does not have storage.objects." in answer.text
    assert fault(client.get(f"/storage/v1/b/{bucket}/o/private")) == (401, "required")


def preflight(lab: Lab, path: str, origin: str, method: str = "GET", headers: str = "") -> httpx.Response:
    """What a browser asks before it asks."""
    wanted = {"origin": origin, "access-control-request-method": method}
    if headers:
        wanted["access-control-request-headers"] = headers
    return lab.anonymous().options(path, headers=wanted)


def test_preflight_follows_the_buckets_configuration(lab: Lab, bucket: str) -> None:
    """Allowed origin, method and headers get their headers; anything else gets none of them."""
    good = preflight(lab, f"/{bucket}/x", ORIGIN, headers="range")
    assert good.status_code == 200
    assert good.headers["access-control-allow-origin"] == ORIGIN
    assert good.headers["access-control-allow-methods"] == "GET,HEAD"
    assert good.headers["access-control-allow-headers"] == "range"
    assert good.headers["access-control-max-age"] == "60"
    for origin, method, headers in (
        ("https://other.example", "GET", ""),
        (ORIGIN, "PUT", ""),
        (ORIGIN, "GET", "x-secret"),
    ):
        bad = preflight(lab, f"/{bucket}/x", origin, method, headers)
        assert not [name for name in bad.headers if name.startswith("access-control-")]


def test_answer_bears_cors_headers_for_an_allowed_origin_alone(lab: Lab, bucket: str, s3: S3Client) -> None:
    """On success and on refusal; the JSON API answers any origin."""
    s3.put_object(Bucket=bucket, Key="cors", Body=b"x")
    answer = lab.operator.get(f"/{bucket}/cors", headers={"origin": ORIGIN})
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-expose-headers"] == "Range, Content-Range, ETag"
    refused = lab.anonymous().get(f"/{bucket}/cors", headers={"origin": ORIGIN})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (403, ORIGIN)
    foreign = lab.operator.get(f"/{bucket}/cors", headers={"origin": "https://other.example"})
    assert "access-control-allow-origin" not in foreign.headers
    as_json = lab.operator.get(f"/storage/v1/b/{bucket}/o/cors", headers={"origin": "https://other.example"})
    assert as_json.headers["access-control-allow-origin"] == "https://other.example"


def test_any_origin_is_answered_with_a_star(lab: Lab) -> None:
    """`origin: *` allows all, by name of none."""
    name = lab.bucket(cors=[{"origin": ["*"], "method": ["GET"], "responseHeader": ["*"]}])
    answer = preflight(lab, f"/{name}/x", "https://any.example", headers="x-any")
    assert answer.headers["access-control-allow-origin"] == "*"


def test_plain_http_is_the_xml_apis_alone_and_can_be_forbidden(lab: Lab, bucket: str, s3: S3Client) -> None:
    """Google serves signed URLs in plain HTTP unless an organisation policy forbids it; the JSON API never."""
    s3.put_object(Bucket=bucket, Key="plain", Body=b"x")
    plain = lab.url.replace("https://", "http://")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "plain"})
    with httpx.Client(trust_env=False) as client:
        assert client.get(url.replace("https://", "http://")).content == b"x"
        bearer = {"authorization": lab.operator.headers["authorization"]}
        assert fault(client.get(f"{plain}/storage/v1/b/{bucket}", headers=bearer)) == (403, "sslRequired")
        lab.switch(constraints=["constraints/storage.secureHttpTransport"])
        try:
            assert fault(client.get(url.replace("https://", "http://"))) == (403, "AccessDenied")
            assert lab.anonymous().get(url).content == b"x"
        finally:
            lab.switch(constraints=[])


@pytest.mark.parametrize("headers", [{}, {"Expect": "100-continue"}])
def test_refusal_before_the_body_leaves_the_connection_whole(
    lab: Lab, sandbox: Sandbox, bucket: str, headers: dict[str, str]
) -> None:
    """A client that sends its body all the same gets its answer, and the next one on the same connection."""
    address = lab.url.removeprefix("https://")
    with closing(HTTPSConnection(address, context=client_tls(sandbox), timeout=20)) as connection:
        for _ in range(3):
            connection.request("PUT", f"/{bucket}/big", body=bytes(LEAST), headers=headers)
            answer = connection.getresponse()
            assert (answer.status, b"AccessDenied" in answer.read()) == (403, True)


def test_browser_cannot_turn_the_sandboxes_switches(lab: Lab) -> None:
    """A page in a browser is not the tester."""
    answer = lab.anonymous().post("/_sandbox/switches", json={}, headers={"origin": ORIGIN})
    assert answer.status_code == 403
    assert lab.anonymous().post("/_sandbox/switches", json={"nonsense": 1}).status_code == 400
