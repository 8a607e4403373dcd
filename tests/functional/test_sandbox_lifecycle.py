"""S3 Lifecycle in the sandbox: refused as AWS refuses it, and carried out when asked as of a time."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.servers import Sandbox
from tests.functional.clients import Key, aws, control, refused

EVERYTHING = {"Prefix": ""}


@pytest.fixture
def bucket(sandbox: Sandbox) -> Iterator[str]:
    name = f"lifecycle-{secrets.token_hex(4)}"
    s3 = aws("s3", sandbox)
    s3.create_bucket(Bucket=name)
    yield name
    s3.delete_bucket_lifecycle(Bucket=name)


def put_rules(sandbox: Sandbox, bucket: str, *rules: dict[str, Any], key: Key | None = None) -> tuple[int, str]:
    named: Any = [{"ID": f"r{n}", "Status": "Enabled", "Filter": EVERYTHING, **rule} for n, rule in enumerate(rules)]
    configuration: Any = {"Rules": named}
    s3 = aws("s3", sandbox, key)
    return refused(lambda: s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=configuration))


def sweep(sandbox: Sandbox, bucket: str, days: float) -> list[dict[str, str]]:
    """Run the rules as of so many days from now; what was done in this bucket."""
    moment = (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    done = control(sandbox, "aws", "POST", f"lifecycle?now={moment}")["done"]
    return [one for one in done if one["bucket"] == bucket]


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"Transitions": [{"Days": 29, "StorageClass": "STANDARD_IA"}]}, "InvalidArgument"),
        ({"Transitions": [{"Days": 0, "StorageClass": "ONEZONE_IA"}]}, "InvalidArgument"),
        ({"Expiration": {"Days": 10, "ExpiredObjectDeleteMarker": True}}, "MalformedXML"),
        ({}, "InvalidRequest"),
        ({"Transitions": [{"Days": 30, "StorageClass": "GLACIER"}], "Expiration": {"Days": 30}}, "InvalidArgument"),
    ],
)
def test_lifecycle_that_aws_refuses_is_refused(sandbox: Sandbox, bucket: str, rule: dict[str, Any], code: str) -> None:
    """Nothing of a refused configuration is kept."""
    assert put_rules(sandbox, bucket, rule) == (400, code)
    asked = refused(lambda: aws("s3", sandbox).get_bucket_lifecycle_configuration(Bucket=bucket))
    assert asked == (404, "NoSuchLifecycleConfiguration")


def test_lifecycle_is_denied_before_it_is_judged(sandbox: Sandbox, bucket: str) -> None:
    """Who may not set it is told that, not what is wrong with it."""
    iam = aws("iam", sandbox)
    iam.create_user(UserName=bucket)
    made = iam.create_access_key(UserName=bucket)["AccessKey"]
    key = (made["AccessKeyId"], made["SecretAccessKey"])
    assert put_rules(sandbox, bucket, {}, key=key) == (403, "AccessDenied")


def test_objects_expire_at_the_midnight_after_their_days(sandbox: Sandbox, bucket: str) -> None:
    """Not a day early, and under the prefix alone."""
    s3 = aws("s3", sandbox)
    for key in ("old/a", "keep/a"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    rule = {"Filter": {"Prefix": "old/"}, "Expiration": {"Days": 2}}
    assert put_rules(sandbox, bucket, rule) == (200, "")
    assert sweep(sandbox, bucket, 1.9) == []
    assert [one["key"] for one in sweep(sandbox, bucket, 3)] == ["old/a"]
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["keep/a"]


def test_versions_and_markers_go_one_after_the_other(sandbox: Sandbox, bucket: str) -> None:
    """A current version gets a marker, old versions go by age, a marker that stands alone goes last."""
    s3 = aws("s3", sandbox)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"2"):
        s3.put_object(Bucket=bucket, Key="a", Body=body)
    expire = {"Expiration": {"Days": 1}, "NoncurrentVersionExpiration": {"NoncurrentDays": 5}}
    assert put_rules(sandbox, bucket, expire) == (200, "")
    assert [one["action"] for one in sweep(sandbox, bucket, 2)] == ["expire"]
    assert len(s3.list_object_versions(Bucket=bucket)["DeleteMarkers"]) == 1
    assert [one["action"] for one in sweep(sandbox, bucket, 6)] == ["remove", "remove"]
    assert [one["action"] for one in sweep(sandbox, bucket, 6)] == ["remove"]
    left = s3.list_object_versions(Bucket=bucket)
    assert "Versions" not in left
    assert "DeleteMarkers" not in left


@pytest.mark.parametrize("versioned", [False, True])
def test_storage_class_changes_in_place_and_glacier_is_not_read(
    sandbox: Sandbox, bucket: str, *, versioned: bool
) -> None:
    """A transition makes no new version; an archived object refuses GET until it is restored."""
    s3 = aws("s3", sandbox)
    if versioned:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    cold = [{"Days": 30, "StorageClass": "STANDARD_IA"}, {"Days": 90, "StorageClass": "GLACIER"}]
    assert put_rules(sandbox, bucket, {"Transitions": cold}) == (200, "")
    assert [one["storage_class"] for one in sweep(sandbox, bucket, 31)] == ["STANDARD_IA"]
    (only,) = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert only["StorageClass"] == s3.head_object(Bucket=bucket, Key="a")["StorageClass"] == "STANDARD_IA"
    assert [one["storage_class"] for one in sweep(sandbox, bucket, 91)] == ["GLACIER"]
    assert refused(lambda: s3.get_object(Bucket=bucket, Key="a")) == (403, "InvalidObjectState")


def test_unfinished_uploads_are_aborted_by_age(sandbox: Sandbox, bucket: str) -> None:
    """What nobody completes does not stay, and what is young does."""
    s3 = aws("s3", sandbox)
    s3.create_multipart_upload(Bucket=bucket, Key="a")
    abort = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}
    assert put_rules(sandbox, bucket, abort) == (200, "")
    assert sweep(sandbox, bucket, 6.9) == []
    assert [one["action"] for one in sweep(sandbox, bucket, 8)] == ["abort"]
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
