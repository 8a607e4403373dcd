"""The stand-in AWS provider against the sandbox: one contract for every resource type, then what is a type's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest

from sandbox.providers import load
from sandbox.providers.aws import bucket as bucket_module
from sandbox.providers.base import Provider, ProviderError, ResourceState
from sandbox.servers import Sandbox
from sandbox.values import Properties

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_s3 import S3Client

BUCKET = "aws:s3/bucket:Bucket"
CORS = "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration"
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
USER = "aws:iam/user:User"
USER_POLICY = "aws:iam/userPolicy:UserPolicy"
KEY = "aws:iam/accessKey:AccessKey"


def policy(action: str, **more: Any) -> str:
    statement = {"Effect": "Allow", "Action": [action], "Resource": "arn:aws:s3:::{bucket}/*", **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@dataclass(frozen=True)
class Case:
    """Inputs of a type and a change that can be made in place; `{bucket}` and `{user}` stand for names of the test."""

    type_: str
    inputs: Properties
    change: Properties = field(default_factory=dict)

    def __str__(self) -> str:
        return self.type_.split(":")[-1]


CASES = [
    Case(BUCKET, {"bucket": "{bucket}-new", "tags": {"env": "a"}}, {"tags": {"env": "b", "team": "x"}}),
    Case(
        CORS,
        {
            "bucket": "{bucket}",
            "corsRules": [
                {
                    "allowedHeaders": ["*"],
                    "allowedMethods": ["GET", "HEAD"],
                    "allowedOrigins": ["https://a.example", "https://b.example"],
                    "exposeHeaders": ["ETag"],
                    "maxAgeSeconds": 3000,
                }
            ],
        },
        {"corsRules": [{"allowedMethods": ["GET"], "allowedOrigins": ["*"]}]},
    ),
    Case(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        {"bucket": "{bucket}", "blockPublicAcls": True, "blockPublicPolicy": True, "ignorePublicAcls": True},
        {"restrictPublicBuckets": True},
    ),
    Case(
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        {"bucket": "{bucket}", "rule": {"objectOwnership": "BucketOwnerEnforced"}},
        {"rule": {"objectOwnership": "BucketOwnerPreferred"}},
    ),
    Case(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        {"bucket": "{bucket}", "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]},
        {
            "rules": [
                {
                    "applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": "alias/aws/s3"},
                    "bucketKeyEnabled": True,
                }
            ]
        },
    ),
    Case(
        VERSIONING,
        {"bucket": "{bucket}", "versioningConfiguration": {"status": "Enabled"}},
        {"versioningConfiguration": {"status": "Suspended"}},
    ),
    Case(
        "aws:s3/bucketLogging:BucketLogging",
        {"bucket": "{bucket}", "targetBucket": "{bucket}", "targetPrefix": "log/"},
        {"targetPrefix": "access/"},
    ),
    Case(
        LIFECYCLE,
        {
            "bucket": "{bucket}",
            "rules": [
                {
                    "id": "age",
                    "status": "Enabled",
                    "filter": {"prefix": "recordings/"},
                    "transitions": [
                        {"days": 30, "storageClass": "STANDARD_IA"},
                        {"days": 90, "storageClass": "GLACIER"},
                    ],
                    "expiration": {"days": 365},
                    "noncurrentVersionExpiration": {"noncurrentDays": 30},
                },
                {"id": "parts", "status": "Enabled", "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7}},
                {
                    "id": "tagged",
                    "status": "Disabled",
                    "filter": {"and": {"prefix": "x/", "tags": {"a": "b", "c": "d"}}},
                    "expiration": {"days": 1},
                },
            ],
        },
        {"rules": [{"id": "age", "status": "Enabled", "filter": {"prefix": ""}, "expiration": {"days": 30}}]},
    ),
    Case(
        "aws:s3/bucketPolicy:BucketPolicy",
        {"bucket": "{bucket}", "policy": policy("s3:GetObject", Effect="Deny", Principal="*")},
        {"policy": policy("s3:PutObject", Effect="Deny", Principal="*")},
    ),
    Case(USER, {"name": "{user}-new", "path": "/rooms/", "tags": {"env": "a", "x": "y"}}, {"tags": {"env": "b"}}),
    Case(USER_POLICY, {"user": "{user}", "name": "p", "policy": policy("s3:GetObject")}, {"policy": policy("s3:*")}),
    Case(KEY, {"user": "{user}"}, {"status": "Inactive"}),
]
each_case = pytest.mark.parametrize("case", CASES, ids=str)


@pytest.fixture(scope="module")
def provider(sandbox: Sandbox) -> Iterator[Provider]:
    """The provider, configured for the sandbox."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sandbox.env.items():
            patch.setenv(name, value)
        loaded = load("aws")
        loaded.configure({"region": "us-east-1"})
        yield loaded


def _client(sandbox: Sandbox, service: Any) -> Any:
    return boto3.client(
        service,
        endpoint_url=sandbox.env["AWS_ENDPOINT_URL"],
        verify=sandbox.env["AWS_CA_BUNDLE"],
        region_name="us-east-1",
        aws_access_key_id=sandbox.env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=sandbox.env["AWS_SECRET_ACCESS_KEY"],
    )


@pytest.fixture(scope="module")
def s3(sandbox: Sandbox) -> S3Client:
    """Another client than the one under test."""
    client: S3Client = _client(sandbox, "s3")
    return client


@pytest.fixture(scope="module")
def iam(sandbox: Sandbox) -> IAMClient:
    """Another client than the one under test."""
    client: IAMClient = _client(sandbox, "iam")
    return client


@pytest.fixture
def bucket(provider: Provider) -> Iterator[str]:
    """A bucket of the test's own."""
    name = f"b-{uuid4().hex[:12]}"
    state = provider.create(BUCKET, {"bucket": name, "forceDestroy": True}, preview=False)
    yield name
    provider.delete(BUCKET, state)


@pytest.fixture
def user(provider: Provider) -> Iterator[str]:
    """An IAM user of the test's own."""
    name = f"u-{uuid4().hex[:12]}"
    state = provider.create(USER, {"name": name, "forceDestroy": True}, preview=False)
    yield name
    provider.delete(USER, state)


def filled(value: Any, bucket: str, user: str) -> Any:
    """The value with the names put in."""
    text = json.dumps(value).replace("{bucket}", bucket).replace("{user}", user)
    return json.loads(text)


def checked(provider: Provider, type_: str, inputs: Properties) -> Properties:
    """The inputs as `check` gives them; it must find nothing wrong."""
    result = provider.check(type_, "resource", None, inputs)
    assert not result.failures
    return result.inputs


@each_case
def test_contract_holds_for(case: Case, provider: Provider, bucket: str, user: str) -> None:
    """Created as declared, read as declared, found, imported, changed in place, deleted, and deleted twice."""
    inputs = checked(provider, case.type_, filled(case.inputs, bucket, user))
    changed = checked(provider, case.type_, {**inputs, **filled(case.change, bucket, user)})
    state = provider.create(case.type_, inputs, preview=False)
    try:
        _assert_same(provider, case.type_, state, inputs)
        imported = provider.read(case.type_, state.id, None, None)
        assert imported is not None
        assert not provider.diff(case.type_, imported, inputs, []).changed
        if case.type_ != KEY:
            found = provider.find(case.type_, inputs, [])
            assert found is not None
            assert found.id == state.id
            assert provider.find(case.type_, inputs, [state.id]) is None
        diff = provider.diff(case.type_, state, changed, [])
        assert set(diff.changed) == set(case.change)
        assert not diff.replaces
        state = provider.update(case.type_, state, changed, preview=False)
        _assert_same(provider, case.type_, state, changed)
    finally:
        provider.delete(case.type_, state)
        provider.delete(case.type_, state)
    if case.type_ not in {VERSIONING, CASES[4].type_}:  # S3 cannot forget versioning, and always encrypts.
        assert provider.read(case.type_, state.id, state.inputs, state.outputs) is None


def _assert_same(provider: Provider, type_: str, state: ResourceState, inputs: Properties) -> None:
    """A refresh finds the inputs and outputs that creation or update gave."""
    found = provider.read(type_, state.id, state.inputs, state.outputs)
    assert found is not None
    assert found.id == state.id
    assert not provider.diff(type_, found, inputs, []).changed
    assert found.outputs == state.outputs


@each_case
def test_preview_knows_as_much_as_officially(case: Case, provider: Provider, bucket: str, user: str) -> None:
    """What a preview says is known comes out as it said, and nothing comes out that it left unsaid."""
    inputs = checked(provider, case.type_, filled(case.inputs, bucket, user))
    planned = provider.create(case.type_, inputs, preview=True)
    state = provider.create(case.type_, inputs, preview=False)
    provider.delete(case.type_, state)
    assert set(state.outputs) <= set(planned.outputs)
    known = {name: value for name, value in planned.outputs.items() if value == inputs.get(name)}
    assert {name: state.outputs.get(name) for name in known} == known


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


def test_user_that_exists_is_not_taken_over(provider: Provider, user: str) -> None:
    """The same for users."""
    with pytest.raises(ProviderError, match=rf"{user}.*EntityAlreadyExists.*import"):
        provider.create(USER, {"name": user}, preview=False)


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


def test_boundary_of_a_user_changes_in_place(provider: Provider, iam: IAMClient, user: str) -> None:
    """Set, read back, found as drift when it is taken away by hand, and taken away."""
    boundary = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
    bare = provider.read(USER, user, None, None)
    assert bare is not None
    inputs = {"name": user, "permissionsBoundary": boundary}
    bounded = provider.update(USER, bare, inputs, preview=False)
    _assert_same(provider, USER, bounded, inputs)
    assert iam.get_user(UserName=user)["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    iam.delete_user_permissions_boundary(UserName=user)
    drifted = provider.read(USER, user, bounded.inputs, bounded.outputs)
    assert drifted is not None
    assert list(provider.diff(USER, drifted, inputs, []).detailed) == ["permissionsBoundary"]
    provider.update(USER, drifted, inputs, preview=False)
    provider.update(USER, bounded, {"name": user}, preview=False)
    assert "PermissionsBoundary" not in iam.get_user(UserName=user)["User"]


def test_bucket_in_another_region_says_so(provider: Provider) -> None:
    """The region is an input of the bucket too, and what the bucket tells."""
    name = f"b-{uuid4().hex[:12]}"
    state = provider.create(BUCKET, {"bucket": name, "region": "eu-west-1"}, preview=False)
    try:
        _assert_same(provider, BUCKET, state, state.inputs)
        assert state.outputs["region"] == "eu-west-1"
        assert state.outputs["bucketRegionalDomainName"] == f"{name}.s3.eu-west-1.amazonaws.com"
    finally:
        provider.delete(BUCKET, state)


def test_block_that_is_to_stay_stays(provider: Provider, s3: S3Client, bucket: str) -> None:
    """skipDestroy leaves the setting in the cloud when the resource goes."""
    type_ = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    state = provider.create(type_, {"bucket": bucket, "blockPublicAcls": True, "skipDestroy": True}, preview=False)
    provider.delete(type_, state)
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]["BlockPublicAcls"]


def test_value_of_no_form_at_all_is_refused_without_being_told(provider: Provider, bucket: str) -> None:
    """The client library's own complaint would quote the request."""
    rule = {"id": "a", "status": "Enabled", "expiration": {"date": "hunter2"}}
    with pytest.raises(ProviderError) as caught:
        provider.create(LIFECYCLE, {"bucket": bucket, "rules": [rule]}, preview=False)
    assert bucket in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_user_in_use_is_kept(provider: Provider, iam: IAMClient) -> None:
    """As AWS: keys and policies hold a user; forceDestroy removes keys, never policies."""
    name = f"u-{uuid4().hex[:12]}"
    state = provider.create(USER, {"name": name}, preview=False)
    key = provider.create(KEY, {"user": name}, preview=False)
    with pytest.raises(ProviderError, match=rf"DeleteConflict.*{key.id}"):
        provider.delete(USER, state)
    forced = provider.update(USER, state, {"name": name, "forceDestroy": True}, preview=False)
    document = policy("s3:GetObject").replace("{bucket}", "b")
    held = provider.create(USER_POLICY, {"user": name, "name": "p", "policy": document}, preview=False)
    with pytest.raises(ProviderError, match=r"DeleteConflict.*policy p"):
        provider.delete(USER, forced)
    provider.delete(USER_POLICY, held)
    provider.delete(USER, forced)
    assert provider.read(USER, name, None, None) is None


def test_third_key_of_a_user_is_refused(provider: Provider, user: str) -> None:
    """AWS allows two; the message names both."""
    keys = [provider.create(KEY, {"user": user}, preview=False) for _ in range(2)]
    with pytest.raises(ProviderError, match="LimitExceeded") as caught:
        provider.create(KEY, {"user": user}, preview=False)
    assert all(key.id in str(caught.value) for key in keys)
    assert not any(key.outputs["secret"] in str(caught.value) for key in keys)


def test_key_comes_with_its_secret_once(provider: Provider, user: str) -> None:
    """Creation gives the secret, a refresh keeps it, an import cannot have it."""
    state = provider.create(KEY, {"user": user, "status": "Inactive"}, preview=False)
    assert state.outputs["secret"]
    assert state.outputs["status"] == "Inactive"
    refreshed = provider.read(KEY, state.id, state.inputs, state.outputs)
    imported = provider.read(KEY, state.id, None, None)
    assert refreshed is not None
    assert imported is not None
    assert refreshed.outputs == state.outputs
    assert "secret" not in imported.outputs
    assert imported.inputs == {"user": user, "status": "Inactive"}


def test_key_that_an_interrupted_create_lost_is_removed(provider: Provider, iam: IAMClient, user: str) -> None:
    """Its secret is gone for ever; the key that a state knows stays."""
    known = provider.create(KEY, {"user": user}, preview=False)
    lost = iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"]
    assert provider.find(KEY, {"user": user}, [known.id]) is None
    left = [key["AccessKeyId"] for key in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]]
    assert left == [known.id]
    assert lost not in left
    assert provider.find(KEY, {"user": "nobody-at-all"}, []) is None


def test_key_of_nobody_is_not_there(provider: Provider) -> None:
    """Import of an unknown key id finds nothing."""
    assert provider.read(KEY, "AKIAAAAAAAAAAAAAAAAA", None, None) is None


def test_caller_and_region_are_told(provider: Provider) -> None:
    """The two functions that the components call, with the official answers' names."""
    caller = provider.invoke("aws:index/getCallerIdentity:getCallerIdentity", {})
    assert caller["accountId"] == caller["id"]
    assert caller["accountId"].isdigit()
    assert set(caller) == {"accountId", "arn", "id", "userId"}
    assert provider.invoke("aws:index/getRegion:getRegion", {})["region"] == "us-east-1"
