"""Every resource type of the stand-in AWS provider keeps one contract, against the sandbox."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.providers.base import Provider
from sandbox.servers import Sandbox
from sandbox.values import Properties
from tests.functional.aws_stand_in import BUCKET, KEY, USER, USER_POLICY, existing
from tests.functional.stand_in import assert_same, configured

CORS = "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration"
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"


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
    """The provider under test."""
    with configured(sandbox, "aws") as ready:
        yield ready


@pytest.fixture
def bucket(provider: Provider) -> Iterator[str]:
    """A bucket of the test's own."""
    with existing(provider, BUCKET, "bucket") as name:
        yield name


@pytest.fixture
def user(provider: Provider) -> Iterator[str]:
    """An IAM user of the test's own."""
    with existing(provider, USER, "name") as name:
        yield name


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
        assert_same(provider, case.type_, state, inputs)
        imported = provider.read(case.type_, state.id, None, None)
        assert imported is not None
        assert not provider.diff(case.type_, imported, inputs, []).changed
        if case.type_ != KEY:
            found = provider.find(case.type_, inputs, [])
            assert found is not None
            assert found.id == state.id
            if case.type_.endswith((":Bucket", ":User")):
                assert found.made is not None
                assert abs(datetime.now(UTC) - found.made) < timedelta(minutes=1)
            assert provider.find(case.type_, inputs, [state.id]) is None
        diff = provider.diff(case.type_, state, changed, [])
        assert set(diff.changed) == set(case.change)
        assert not diff.replaces
        state = provider.update(case.type_, state, changed, preview=False)
        assert_same(provider, case.type_, state, changed)
    finally:
        provider.delete(case.type_, state)
        provider.delete(case.type_, state)
    if case.type_ not in {VERSIONING, CASES[4].type_}:  # S3 cannot forget versioning, and always encrypts.
        assert provider.read(case.type_, state.id, state.inputs, state.outputs) is None


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
