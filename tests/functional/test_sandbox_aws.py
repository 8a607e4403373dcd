"""AWS in the sandbox refuses what the real one refuses, and serves what it serves."""

from __future__ import annotations

import json
import secrets
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from mypy_boto3_s3 import S3Client

from sandbox.servers import Sandbox
from tests.functional.clients import Key, aws, browser, control, eventually, refused

MIB = 1024 * 1024


@dataclass
class Bench:
    """A bucket, and a user who may put and get under `in/` and list nothing."""

    sandbox: Sandbox
    bucket: str
    user: str
    key: Key

    @property
    def operator(self) -> S3Client:
        return aws("s3", self.sandbox)

    @property
    def writer(self) -> S3Client:
        return aws("s3", self.sandbox, self.key)

    def signed(self, key: str = "in/a", seconds: int = 60) -> str:
        target = {"Bucket": self.bucket, "Key": key}
        return self.writer.generate_presigned_url("get_object", Params=target, ExpiresIn=seconds)

    def allow(self, *statements: dict[str, Any]) -> None:
        document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements]}
        policy = json.dumps(document)
        aws("iam", self.sandbox).put_user_policy(UserName=self.user, PolicyName="p", PolicyDocument=policy)


@pytest.fixture(scope="module")
def bench(sandbox: Sandbox) -> Iterator[Bench]:
    name = f"bench-{secrets.token_hex(4)}"
    aws("s3", sandbox).create_bucket(Bucket=name)
    iam = aws("iam", sandbox)
    iam.create_user(UserName=name)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    bench = Bench(sandbox, name, name, (made["AccessKeyId"], made["SecretAccessKey"]))
    bench.allow({"Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::{name}/in/*"})
    bench.writer.put_object(Bucket=name, Key="in/a", Body=b"recorded")
    yield bench
    for upload in bench.operator.list_multipart_uploads(Bucket=name).get("Uploads", []):
        bench.operator.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])


@pytest.mark.parametrize("key", ["test", "000000000000", "100100100100", "AKIAAAAAAAAAAAAAAAAA"])
def test_access_key_that_aws_never_gave_out_is_unknown(sandbox: Sandbox, key: str) -> None:
    """No key but the issued ones opens anything, whatever ministack takes for root."""
    assert refused(aws("s3", sandbox, (key, "x")).list_buckets) == (403, "InvalidAccessKeyId")
    assert refused(aws("iam", sandbox, (key, "x")).list_users) == (403, "InvalidClientTokenId")


def test_operator_with_a_wrong_secret_is_refused(sandbox: Sandbox) -> None:
    """The operator's signature is checked like any other."""
    wrong = aws("s3", sandbox, (sandbox.env["AWS_ACCESS_KEY_ID"], "wrong"))
    assert refused(wrong.list_buckets) == (403, "SignatureDoesNotMatch")


def test_operator_is_nobody_that_a_listing_shows(sandbox: Sandbox) -> None:
    """The operator is a role's session in the account, so that `no user left` can be asked."""
    identity = aws("sts", sandbox).get_caller_identity()
    assert identity["Arn"].endswith(":assumed-role/sandbox-operator/operator")
    assert identity["Account"] == "000000000000"


def test_third_access_key_is_refused(bench: Bench) -> None:
    """A user has two access keys at most, so a rotation must make room first."""
    iam = aws("iam", bench.sandbox)
    second = iam.create_access_key(UserName=bench.user)["AccessKey"]["AccessKeyId"]
    try:
        assert refused(lambda: iam.create_access_key(UserName=bench.user)) == (409, "LimitExceeded")
        assert len(iam.list_access_keys(UserName=bench.user)["AccessKeyMetadata"]) == 2
    finally:
        iam.delete_access_key(UserName=bench.user, AccessKeyId=second)
    assert refused(lambda: iam.create_access_key(UserName="nobody")) == (404, "NoSuchEntity")


def test_inactive_access_key_is_unknown(bench: Bench) -> None:
    """A key that was made inactive is answered as one that does not exist."""
    iam = aws("iam", bench.sandbox)
    iam.update_access_key(UserName=bench.user, AccessKeyId=bench.key[0], Status="Inactive")
    try:
        assert refused(lambda: bench.writer.get_object(Bucket=bench.bucket, Key="in/a")) == (403, "InvalidAccessKeyId")
    finally:
        iam.update_access_key(UserName=bench.user, AccessKeyId=bench.key[0], Status="Active")


def test_new_access_key_is_unknown_for_a_while(bench: Bench) -> None:
    """With `key_delay`, a fresh key fails as with IAM's eventual consistency, and works afterwards."""
    iam = aws("iam", bench.sandbox)
    control(bench.sandbox, "aws", "POST", "options", {"key_delay": 600})
    try:
        made = iam.create_access_key(UserName=bench.user)["AccessKey"]
        fresh = aws("s3", bench.sandbox, (made["AccessKeyId"], made["SecretAccessKey"]))
        assert refused(lambda: fresh.get_object(Bucket=bench.bucket, Key="in/a")) == (403, "InvalidAccessKeyId")
        assert aws("sts", bench.sandbox).get_caller_identity()
    finally:
        control(bench.sandbox, "aws", "POST", "options", {"key_delay": 0})
    assert fresh.get_object(Bucket=bench.bucket, Key="in/a")["Body"].read() == b"recorded"
    iam.delete_access_key(UserName=bench.user, AccessKeyId=made["AccessKeyId"])


@pytest.mark.parametrize("operation", ["get_object", "head_object"])
def test_missing_object_is_forbidden_to_who_may_not_list(bench: Bench, operation: str) -> None:
    """Without ListBucket `gone` cannot be told from `denied`."""
    target = {"Bucket": bench.bucket, "Key": "in/missing"}
    assert refused(lambda: getattr(bench.writer, operation)(**target))[0] == 403
    assert refused(lambda: getattr(bench.operator, operation)(**target))[0] == 404
    with browser(bench.sandbox) as anyone:
        assert anyone.get(bench.signed("in/missing")).status_code == 403


def test_missing_object_is_404_to_who_may_list_its_prefix(bench: Bench) -> None:
    """A right to list that is bound to a prefix tells `gone` from `denied` there, and only there."""
    objects = {"Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::{bench.bucket}/*"}
    condition = {"StringLike": {"s3:prefix": ["in/*"]}}
    listing = {"Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bench.bucket}", "Condition": condition}
    bench.allow(objects, listing)
    try:
        assert refused(lambda: bench.writer.get_object(Bucket=bench.bucket, Key="in/no")) == (404, "NoSuchKey")
        assert refused(lambda: bench.writer.get_object(Bucket=bench.bucket, Key="out/no")) == (403, "AccessDenied")
    finally:
        bench.allow({"Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::{bench.bucket}/in/*"})


def test_signature_for_another_region_is_malformed(bench: Bench) -> None:
    """Writing with the wrong region fails, the commonest reason for uploads that never arrive."""
    stray = aws("s3", bench.sandbox, bench.key, region_name="ap-south-1")
    put = refused(lambda: stray.put_object(Bucket=bench.bucket, Key="in/b", Body=b"x"))
    assert put == (400, "AuthorizationHeaderMalformed")
    url = stray.generate_presigned_url("get_object", Params={"Bucket": bench.bucket, "Key": "in/a"})
    with browser(bench.sandbox) as anyone:
        answer = anyone.get(url)
    assert answer.status_code == 400
    assert "AuthorizationQueryParametersError" in answer.text
    assert "<Region>us-east-1</Region>" in answer.text


def test_bucket_of_another_region_takes_its_own_signature(sandbox: Sandbox) -> None:
    """One endpoint serves all regions; each bucket expects its own."""
    name = f"away-{secrets.token_hex(4)}"
    away = aws("s3", sandbox, region_name="eu-central-1")
    away.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    assert refused(lambda: away.put_object(Bucket=name, Key="a", Body=b"x")) == (200, "")
    here = aws("s3", sandbox)
    assert refused(lambda: here.put_object(Bucket=name, Key="a", Body=b"x"))[1] == "AuthorizationHeaderMalformed"


def test_signature_version_2_is_refused(bench: Bench) -> None:
    """Buckets made since June 2020 take Signature Version 4 alone."""
    url = f"{bench.sandbox.env['AWS_ENDPOINT_URL']}/{bench.bucket}/in/a"
    with browser(bench.sandbox) as anyone:
        answer = anyone.get(url, params={"AWSAccessKeyId": bench.key[0], "Signature": "x", "Expires": "9999999999"})
        header = anyone.get(url, headers={"Authorization": f"AWS {bench.key[0]}:x"})
    assert [answer.status_code, header.status_code] == [400, 400]
    assert "AWS4-HMAC-SHA256" in answer.text


def test_presigned_url_works_until_it_expires_and_no_further_than_a_week(bench: Bench) -> None:
    """Whole, in part, tampered with, for too long."""
    with browser(bench.sandbox) as anyone:
        url = bench.signed()
        assert anyone.get(url).content == b"recorded"
        part = anyone.get(url, headers={"Range": "bytes=2-4"})
        assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"cor", "bytes 2-4/8")
        assert anyone.get(url.replace("in/a", "in/b")).status_code == 403
        assert anyone.get(url.partition("?")[0]).status_code == 403
        assert anyone.get(bench.signed(seconds=604_801)).status_code == 400
        brief = bench.signed(seconds=1)
        assert eventually(lambda: anyone.get(brief).status_code == 403)


def test_small_part_that_is_not_the_last_is_too_small(bench: Bench) -> None:
    """Parts have 5 MiB or more, but for the last."""
    target = {"Bucket": bench.bucket, "Key": "in/parts"}
    upload = bench.writer.create_multipart_upload(**target)["UploadId"]  # type: ignore[arg-type]
    sizes = {1: 5 * MIB, 2: 5 * MIB - 1, 3: 1}
    tags = {}
    for number, size in sizes.items():
        part = bench.writer.upload_part(**target, UploadId=upload, PartNumber=number, Body=bytes(size))  # type: ignore[arg-type]
        tags[number] = part["ETag"]

    def complete(*numbers: int) -> tuple[int, str]:
        parts = [{"PartNumber": number, "ETag": tags[number]} for number in numbers]
        done: Any = {"Parts": parts}
        return refused(lambda: bench.writer.complete_multipart_upload(**target, UploadId=upload, MultipartUpload=done))  # type: ignore[arg-type]

    assert complete(1, 2, 3) == (400, "EntityTooSmall")
    assert complete(1, 3) == (200, "")


def test_conditional_writes_lose_against_what_is_there(bench: Bench) -> None:
    """`If-None-Match: *` and `If-Match` are a lock on one object."""
    operator = bench.operator
    tag = operator.put_object(Bucket=bench.bucket, Key="state", Body=b"1", IfNoneMatch="*")["ETag"]
    again = refused(lambda: operator.put_object(Bucket=bench.bucket, Key="state", Body=b"2", IfNoneMatch="*"))
    assert again == (412, "PreconditionFailed")
    assert refused(lambda: operator.put_object(Bucket=bench.bucket, Key="state", Body=b"2", IfMatch=tag)) == (200, "")
    stale = refused(lambda: operator.put_object(Bucket=bench.bucket, Key="state", Body=b"3", IfMatch=tag))
    assert stale == (412, "PreconditionFailed")


def test_public_policy_is_blocked(bench: Bench) -> None:
    """A new bucket's public access block refuses a policy that opens it."""
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bench.bucket}/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    put = refused(lambda: bench.operator.put_bucket_policy(Bucket=bench.bucket, Policy=policy))
    assert put == (403, "AccessDenied")


@pytest.fixture
def guarded(bench: Bench) -> Iterator[Bench]:
    """The bench with the bucket policy that the component sets: no plain HTTP, no TLS below 1.3 (1.2 in earnest)."""
    arn = f"arn:aws:s3:::{bench.bucket}"
    everything = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [arn, f"{arn}/*"]}
    plain = {**everything, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    old = {**everything, "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.3"}}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [plain, old]})
    bench.operator.put_bucket_policy(Bucket=bench.bucket, Policy=policy)
    yield bench
    bench.operator.delete_bucket_policy(Bucket=bench.bucket)


@pytest.mark.parametrize("claim", [{}, {"X-Forwarded-Proto": "https"}, {"Forwarded": "proto=https"}])
def test_plain_http_is_denied_whatever_the_client_claims(guarded: Bench, claim: dict[str, str]) -> None:
    """The same port answers plain HTTP, and the policy sees what the connection is, not what a header says."""
    with browser(guarded.sandbox) as anyone:
        answer = anyone.get(guarded.signed().replace("https://", "http://"), headers=claim)
        assert (answer.status_code, "AccessDenied" in answer.text) == (403, True)
        assert anyone.get(guarded.signed()).status_code == 200


def test_tls_version_condition_sees_the_connection(guarded: Bench) -> None:
    """`s3:TlsVersion` is the version that was negotiated."""
    old = ssl.create_default_context(cafile=guarded.sandbox.env["SSL_CERT_FILE"])
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with httpx.Client(verify=old, trust_env=False) as anyone:
        assert anyone.get(guarded.signed()).status_code == 403
    with browser(guarded.sandbox) as anyone:
        assert anyone.get(guarded.signed()).status_code == 200


def test_cors_answers_configured_origins_alone(bench: Bench) -> None:
    """Preflight and the answer itself, for the origin that is configured, another one, and none at all."""
    rule: Any = {"AllowedMethods": ["GET", "HEAD"], "AllowedOrigins": ["https://app.example"], "AllowedHeaders": ["*"]}
    rule["ExposeHeaders"] = ["ETag", "Content-Range"]
    with browser(bench.sandbox) as anyone:
        asking = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range"}
        none = anyone.options(bench.signed(), headers={"Origin": "https://app.example", **asking})
        assert none.status_code == 403
        bench.operator.put_bucket_cors(Bucket=bench.bucket, CORSConfiguration={"CORSRules": [rule]})
        good = anyone.options(bench.signed(), headers={"Origin": "https://app.example", **asking})
        assert (good.status_code, good.headers["access-control-allow-origin"]) == (200, "https://app.example")
        assert anyone.options(bench.signed(), headers={"Origin": "https://evil.example", **asking}).status_code == 403
        got = anyone.get(bench.signed(), headers={"Origin": "https://app.example"})
        assert got.headers["access-control-expose-headers"] == "ETag, Content-Range"
        foreign = anyone.get(bench.signed(), headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in foreign.headers


@pytest.mark.parametrize("path", ["/_ministack/reset", "/_ministack/health", "/health", "/_localstack/health"])
def test_control_paths_of_the_emulator_are_closed(sandbox: Sandbox, path: str) -> None:
    """Nothing but AWS is served to clients."""
    with browser(sandbox) as anyone:
        assert anyone.post(sandbox.env["AWS_ENDPOINT_URL"] + path).status_code == 400
        assert anyone.get(sandbox.env["AWS_ENDPOINT_URL"] + path).status_code == 400


def test_damaged_upload_is_refused(bench: Bench) -> None:
    """What arrives must be what was signed."""
    url = bench.writer.generate_presigned_url(
        "put_object", Params={"Bucket": bench.bucket, "Key": "in/md5", "ContentMD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}
    )
    with browser(bench.sandbox) as anyone:
        answer = anyone.put(url, content=b"not empty", headers={"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="})
    assert (answer.status_code, "BadDigest" in answer.text) == (400, True)
