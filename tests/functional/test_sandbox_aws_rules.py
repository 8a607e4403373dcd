"""What AWS refuses of a careless configuration, so does the sandbox: IAM quotas, CORS, policies, logs, KMS."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.servers import Sandbox
from tests.functional.clients import Key, aws, refused


@pytest.fixture
def user(sandbox: Sandbox) -> str:
    name = f"user-{secrets.token_hex(4)}"
    aws("iam", sandbox).create_user(UserName=name)
    return name


@pytest.fixture(scope="module")
def bucket(sandbox: Sandbox) -> str:
    name = f"rules-{secrets.token_hex(4)}"
    aws("s3", sandbox).create_bucket(Bucket=name)
    return name


def policy(*statements: dict[str, Any], effect: str = "Allow") -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": effect, **one} for one in statements]})


@pytest.mark.parametrize("name", ["with space", "ümlaut", "a/b", "x" * 65])
def test_user_name_that_iam_refuses_is_refused(sandbox: Sandbox, name: str) -> None:
    """64 letters, digits and a few signs."""
    assert refused(lambda: aws("iam", sandbox).create_user(UserName=name)) == (400, "ValidationError")


def test_inline_policies_have_room_for_2048_characters(sandbox: Sandbox, user: str) -> None:
    """All of a user's together, white space not counted."""
    iam = aws("iam", sandbox)

    def put(name: str, count: int) -> tuple[int, str]:
        resources = [f"arn:aws:s3:::{number:082d}" for number in range(count)]
        text = policy({"Action": "s3:GetObject", "Resource": resources})
        spaced = json.dumps(json.loads(text), indent=9)
        return refused(lambda: iam.put_user_policy(UserName=user, PolicyName=name, PolicyDocument=spaced))

    assert put("one", 10) == (200, "")
    assert put("two", 10) == (409, "LimitExceeded")
    assert put("one", 19) == (200, "")
    assert put("one", 20) == (409, "LimitExceeded")


def test_user_with_policies_is_not_deleted(sandbox: Sandbox, user: str) -> None:
    """What hangs on a user goes first."""
    iam = aws("iam", sandbox)
    document = policy({"Action": "s3:GetObject", "Resource": "*"})
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=document)
    assert refused(lambda: iam.delete_user(UserName=user)) == (409, "DeleteConflict")
    iam.delete_user_policy(UserName=user, PolicyName="p")
    assert refused(lambda: iam.delete_user(UserName=user)) == (200, "")


@pytest.mark.parametrize(
    "rule",
    [
        {"AllowedMethods": ["GET", "PATCH"], "AllowedOrigins": ["*"]},
        {"AllowedMethods": ["GET"], "AllowedOrigins": ["https://*.*.example"]},
        {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "ExposeHeaders": ["x-amz-*"]},
    ],
)
def test_cors_that_s3_refuses_is_refused(sandbox: Sandbox, bucket: str, rule: Any) -> None:
    """Unknown methods, two wildcards, wildcards in exposed headers."""
    configuration: Any = {"CORSRules": [rule]}
    s3 = aws("s3", sandbox)
    put = refused(lambda: s3.put_bucket_cors(Bucket=bucket, CORSConfiguration=configuration))
    assert put == (400, "InvalidRequest")


def test_access_log_needs_a_bucket_that_is_there(sandbox: Sandbox, bucket: str) -> None:
    """A target that does not exist is named."""
    s3 = aws("s3", sandbox)

    def put(target: str) -> tuple[int, str]:
        status: Any = {"LoggingEnabled": {"TargetBucket": target, "TargetPrefix": "log/"}}
        return refused(lambda: s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus=status))

    assert put("no-such-bucket-anywhere") == (400, "InvalidTargetBucketForLogging")
    assert put(bucket) == (200, "")


def test_bucket_policy_is_about_its_bucket_and_known_principals(sandbox: Sandbox, bucket: str, user: str) -> None:
    """Another bucket's ARN and a user who is not there are malformed."""
    s3, arn = aws("s3", sandbox), f"arn:aws:s3:::{bucket}"
    account = "arn:aws:iam::000000000000"

    def put(resource: Any, principal: Any = "*") -> tuple[int, str]:
        text = policy({"Principal": principal, "Action": "s3:*", "Resource": resource}, effect="Deny")
        answer = refused(lambda: s3.put_bucket_policy(Bucket=bucket, Policy=text))
        s3.delete_bucket_policy(Bucket=bucket)
        return answer

    assert put([arn, f"{arn}/*"], {"AWS": f"{account}:user/{user}"}) == (200, "")
    assert put([arn, f"{arn}-other/*"]) == (400, "MalformedPolicy")
    assert put(f"{arn}-other") == (400, "MalformedPolicy")
    assert put(f"{arn}/*", {"AWS": [f"{account}:user/{user}", f"{account}:user/nobody"]}) == (400, "MalformedPolicy")


@pytest.fixture
def kms_key(sandbox: Sandbox, bucket: str) -> Iterator[str]:
    """A KMS key that is the bucket's default encryption."""
    key = aws("kms", sandbox).create_key()["KeyMetadata"]["Arn"]
    default: Any = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    rules: Any = {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
    s3 = aws("s3", sandbox)
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rules)
    yield key
    s3.delete_bucket_encryption(Bucket=bucket)


@pytest.mark.parametrize("rights", [(), ("GenerateDataKey",), ("Decrypt",), ("GenerateDataKey", "Decrypt")])
def test_objects_under_a_kms_key_need_rights_to_the_key(
    sandbox: Sandbox, bucket: str, user: str, kms_key: str, rights: tuple[str, ...]
) -> None:
    """GenerateDataKey to put, Decrypt to get, both for a multipart upload."""
    iam = aws("iam", sandbox)
    statements = [{"Action": "s3:*", "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}]
    if rights:
        statements.append({"Action": [f"kms:{right}" for right in rights], "Resource": [kms_key]})
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=policy(*statements))
    made = iam.create_access_key(UserName=user)["AccessKey"]
    key: Key = (made["AccessKeyId"], made["SecretAccessKey"])
    s3 = aws("s3", sandbox, key)
    aws("s3", sandbox).put_object(Bucket=bucket, Key="there", Body=b"x")

    def multipart() -> None:
        upload = s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
        s3.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"x")

    allowed, denied = (200, ""), (403, "AccessDenied")
    may_write, may_read = "GenerateDataKey" in rights, "Decrypt" in rights
    assert refused(lambda: s3.put_object(Bucket=bucket, Key="a", Body=b"x")) == (allowed if may_write else denied)
    assert refused(lambda: s3.get_object(Bucket=bucket, Key="there")) == (allowed if may_read else denied)
    assert refused(multipart) == (allowed if may_read and may_write else denied)


def test_kms_key_that_is_not_there_is_not_found(sandbox: Sandbox, bucket: str) -> None:
    """An upload under it fails; it is not stored in the clear."""
    s3 = aws("s3", sandbox)
    key = "arn:aws:kms:us-east-1:000000000000:key/00000000-0000-0000-0000-000000000000"
    put = refused(
        lambda: s3.put_object(Bucket=bucket, Key="b", Body=b"", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    )
    assert put == (400, "KMS.NotFoundException")
