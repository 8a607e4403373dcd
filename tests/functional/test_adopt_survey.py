"""What `recordings adopt` reads of a bucket and a user is what another client put there."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator

import pytest
from mypy_boto3_iam import IAMClient
from mypy_boto3_s3 import S3Client

from recordings.adoption.survey import Surveyor
from recordings.errors import AccessDeniedError, BucketNotFoundError, UsageError
from sandbox.servers import Sandbox
from tests.functional.clients import aws
from tests.functional.stand import entered

EVERYBODY = "http://acs.amazonaws.com/groups/global/AllUsers"


@pytest.fixture(autouse=True)
def _operator(sandbox: Sandbox) -> Iterator[None]:
    with entered(sandbox):
        yield


@pytest.fixture
def s3(sandbox: Sandbox) -> S3Client:
    return aws("s3", sandbox)


@pytest.fixture
def iam(sandbox: Sandbox) -> IAMClient:
    return aws("iam", sandbox)


def made(s3: S3Client) -> str:
    name = "survey-" + secrets.token_hex(6)
    s3.create_bucket(Bucket=name)
    return name


def test_new_bucket_has_nothing_of_its_own(s3: S3Client) -> None:
    """As AWS makes buckets today: no public access, no ACLs, encrypted, and nothing else."""
    facts = Surveyor().bucket(made(s3))
    assert (facts.region, facts.ownership, facts.has_block) == ("us-east-1", "BucketOwnerEnforced", True)
    assert facts.encryption is not None
    assert not any((facts.tags, facts.cors, facts.lifecycle, facts.statements, facts.grantees, facts.is_public))
    assert (facts.versioning, facts.mfa_delete, facts.logging) == (None, False, None)


def test_region_is_the_bucket_s_own(sandbox: Sandbox) -> None:
    """Whatever region is asked first."""
    s3 = aws("s3", sandbox, region_name="eu-west-1")
    name = "survey-" + secrets.token_hex(6)
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert Surveyor("us-east-1").bucket(name).region == "eu-west-1"


def test_who_gets_in_is_read(s3: S3Client) -> None:
    """Grants to others than the owner, and a policy for everybody; a condition makes it not for everybody."""
    name = made(s3)
    s3.delete_public_access_block(Bucket=name)
    s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    owner = s3.get_bucket_acl(Bucket=name)["Owner"]
    owned = {"Grantee": {"Type": "CanonicalUser", "ID": owner["ID"]}, "Permission": "FULL_CONTROL"}
    public = {"Grantee": {"Type": "Group", "URI": EVERYBODY}, "Permission": "READ"}
    s3.put_bucket_acl(Bucket=name, AccessControlPolicy={"Owner": owner, "Grants": [owned, public]})  # type: ignore[list-item]
    allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/*"}
    for more, expected in (({}, True), ({"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}, False)):
        s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": {**allow, **more}}))
        facts = Surveyor().bucket(name)
        assert (facts.is_public, facts.has_block, facts.ownership) == (expected, False, "ObjectWriter")
        assert facts.grantees == [f"{EVERYBODY} (READ)"]


def test_user_is_read_whole(iam: IAMClient) -> None:
    """Path, tags, policies, groups and keys."""
    name = "survey-" + secrets.token_hex(6)
    iam.create_user(UserName=name, Path="/teams/", Tags=[{"Key": "a", "Value": "b"}])
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    iam.put_user_policy(
        UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statement})
    )
    key = iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
    facts = Surveyor().user(name)
    assert (facts.path, facts.tags, facts.inline) == ("/teams/", {"a": "b"}, {"p": [statement]})
    assert (facts.keys, facts.boundary) == ({key: "Active"}, None)
    assert (Surveyor().has_user(name), Surveyor().has_user(name + "x")) == (True, False)


def test_what_cannot_be_read_is_an_error(sandbox: Sandbox, iam: IAMClient, s3: S3Client) -> None:
    """A bucket or user that is not there, and a login that may not look."""
    with pytest.raises(BucketNotFoundError):
        Surveyor().bucket("never-made-" + secrets.token_hex(6))
    with pytest.raises(UsageError, match="no IAM user 'never-made'"):
        Surveyor().user("never-made")
    bucket, name = made(s3), "survey-" + secrets.token_hex(6)
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        with pytest.raises(AccessDeniedError, match=bucket):
            Surveyor().bucket(bucket)
