"""What is a bucket's own in the stand-in AWS provider: outputs, drift by hand, its end; and the two functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from sandbox.providers.aws import bucket as bucket_module
from sandbox.providers.base import Provider, ProviderError
from sandbox.servers import Sandbox
from tests.functional.aws_stand_in import BUCKET, client, existing
from tests.functional.stand_in import assert_same, configured

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CORS = "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration"
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"


@pytest.fixture(scope="module")
def provider(sandbox: Sandbox) -> Iterator[Provider]:
    """The provider under test."""
    with configured(sandbox, "aws") as ready:
        yield ready


@pytest.fixture(scope="module")
def s3(sandbox: Sandbox) -> Iterator[S3Client]:
    """Another client than the one under test."""
    with client(sandbox, "s3") as made:
        yield made


@pytest.fixture
def bucket(provider: Provider) -> Iterator[str]:
    """A bucket of the test's own."""
    with existing(provider, BUCKET, "bucket") as name:
        yield name


def test_bucket_has_the_official_outputs(provider: Provider, bucket: str) -> None:
    """Names and addresses as AWS forms them."""
    state = provider.read(BUCKET, bucket, None, None)
    assert state is not None
    assert state.outputs["arn"] == f"arn:aws:s3:::{bucket}"
    assert state.outputs["bucketDomainName"] == f"{bucket}.s3.amazonaws.com"
    assert state.outputs["bucketRegionalDomainName"] == f"{bucket}.s3.us-east-1.amazonaws.com"
    assert state.outputs["region"] == state.outputs["bucketRegion"] == "us-east-1"
    assert state.outputs["hostedZoneId"] == "Z3AQBSTGFYJSTF"


def test_bucket_that_exists_is_not_taken_over(provider: Provider, bucket: str) -> None:
    """A create never adopts what somebody else made; the message says how to."""
    with pytest.raises(ProviderError, match=rf"{bucket}.*BucketAlreadyOwnedByYou.*import"):
        provider.create(BUCKET, {"bucket": bucket}, preview=False)


def test_bucket_with_objects_is_kept_unless_forced(
    provider: Provider, s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Objects are never deleted by accident; forced, all versions, delete markers and unfinished uploads go."""
    name = f"b-{uuid4().hex[:12]}"
    state = provider.create(BUCKET, {"bucket": name}, preview=False)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for key in ("a", "a", "b", "c", "d"):
        s3.put_object(Bucket=name, Key=key, Body=b"x")
    s3.delete_object(Bucket=name, Key="b")
    s3.create_multipart_upload(Bucket=name, Key="part")
    with pytest.raises(ProviderError, match=rf"{name}.*BucketNotEmpty.*forceDestroy"):
        provider.delete(BUCKET, state)
    assert len(s3.list_object_versions(Bucket=name)["Versions"]) == 5
    monkeypatch.setattr(bucket_module, "_BATCH", 2)
    forced = provider.update(BUCKET, state, {"bucket": name, "forceDestroy": True}, preview=False)
    provider.delete(BUCKET, forced)
    assert provider.read(BUCKET, name, None, None) is None


def test_bucket_with_bad_tags_is_told_as_partly_made(provider: Provider, s3: S3Client) -> None:
    """The bucket is there and its tags are not: the error says so, so that nothing is orphaned."""
    name = f"b-{uuid4().hex[:12]}"
    tags = {f"k{number}": "v" for number in range(51)}  # S3 takes 50
    with pytest.raises(ProviderError) as caught:
        provider.create(BUCKET, {"bucket": name, "tags": tags}, preview=False)
    assert caught.value.partial is not None
    assert caught.value.partial.id == name
    assert "tags" not in caught.value.partial.inputs
    provider.delete(BUCKET, caught.value.partial)
    assert provider.read(BUCKET, name, None, None) is None


def test_drift_by_hand_is_found(provider: Provider, s3: S3Client, bucket: str) -> None:
    """What another client changed shows as a difference by property."""
    inputs = {"bucket": bucket, "corsRules": [{"allowedMethods": ["GET"], "allowedOrigins": ["https://a.example"]}]}
    state = provider.create(CORS, inputs, preview=False)
    s3.put_bucket_cors(
        Bucket=bucket, CORSConfiguration={"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}
    )
    found = provider.read(CORS, bucket, state.inputs, state.outputs)
    assert found is not None
    assert list(provider.diff(CORS, found, inputs, []).detailed) == ["corsRules[0].allowedOrigins[0]"]


def test_bucket_deleted_by_hand_takes_its_parts_along(provider: Provider, s3: S3Client) -> None:
    """Refresh finds neither, and deleting what is gone is no error."""
    name = f"b-{uuid4().hex[:12]}"
    whole = provider.create(BUCKET, {"bucket": name}, preview=False)
    part = provider.create(
        VERSIONING, {"bucket": name, "versioningConfiguration": {"status": "Enabled"}}, preview=False
    )
    s3.delete_bucket(Bucket=name)
    assert provider.read(BUCKET, name, whole.inputs, whole.outputs) is None
    assert provider.read(VERSIONING, name, part.inputs, part.outputs) is None
    provider.delete(VERSIONING, part)
    provider.delete(BUCKET, whole)


def test_part_of_a_bucket_that_is_not_there_is_refused(provider: Provider) -> None:
    """The message names the bucket and what to do."""
    inputs = {"bucket": "not-there-at-all", "versioningConfiguration": {"status": "Enabled"}}
    with pytest.raises(ProviderError, match=r"not-there-at-all.*NoSuchBucket.*Declare the bucket"):
        provider.create(VERSIONING, inputs, preview=False)


def test_bucket_in_another_region_says_so(provider: Provider) -> None:
    """The region is an input of the bucket too, and what the bucket tells."""
    name = f"b-{uuid4().hex[:12]}"
    state = provider.create(BUCKET, {"bucket": name, "region": "eu-west-1"}, preview=False)
    try:
        assert_same(provider, BUCKET, state, state.inputs)
        assert state.outputs["region"] == "eu-west-1"
        assert state.outputs["bucketRegionalDomainName"] == f"{name}.s3.eu-west-1.amazonaws.com"
    finally:
        provider.delete(BUCKET, state)


@pytest.mark.parametrize(
    ("status", "meanwhile", "afterwards"),
    [("Enabled", "Enabled", "Suspended"), ("Suspended", "Suspended", "Suspended"), ("Disabled", None, None)],
)
def test_versioning_ends_suspended(
    status: str, meanwhile: str | None, afterwards: str | None, provider: Provider, s3: S3Client, bucket: str
) -> None:
    """S3 cannot forget versioning, and a bucket that never had it is left alone."""
    inputs = {"bucket": bucket, "versioningConfiguration": {"status": status}}
    state = provider.create(VERSIONING, inputs, preview=False)
    assert s3.get_bucket_versioning(Bucket=bucket).get("Status") == meanwhile
    provider.delete(VERSIONING, state)
    assert s3.get_bucket_versioning(Bucket=bucket).get("Status") == afterwards


def test_block_that_is_to_stay_stays(provider: Provider, s3: S3Client, bucket: str) -> None:
    """skipDestroy leaves the setting in the cloud when the resource goes."""
    type_ = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    state = provider.create(type_, {"bucket": bucket, "blockPublicAcls": True, "skipDestroy": True}, preview=False)
    provider.delete(type_, state)
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]["BlockPublicAcls"]


def test_value_of_no_form_at_all_is_refused_without_being_told(provider: Provider, bucket: str) -> None:
    """The client library's own complaint would quote the request."""
    rule = {"id": "a", "status": "Enabled", "expiration": {"date": "hunter2"}}
    with pytest.raises(ProviderError, match=rf"{bucket}.*not of the form") as caught:
        provider.create(LIFECYCLE, {"bucket": bucket, "rules": [rule]}, preview=False)
    assert "hunter2" not in str(caught.value)


def test_caller_and_region_are_told(provider: Provider) -> None:
    """The two functions that the components call, with the official answers' names."""
    caller = provider.invoke("aws:index/getCallerIdentity:getCallerIdentity", {})
    assert caller["accountId"] == caller["id"]
    assert caller["accountId"].isdigit()
    assert set(caller) == {"accountId", "arn", "id", "userId"}
    assert provider.invoke("aws:index/getRegion:getRegion", {})["region"] == "us-east-1"
