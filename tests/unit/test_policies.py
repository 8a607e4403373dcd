"""IAM documents: what they allow is exactly the table of the documentation, whatever bucket and prefix."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.rules import MAX_PREFIX_BYTES
from recordings.outputs import WriterAccess
from recordings.policies import (
    OPERATOR_PREFIX,
    Policy,
    Statement,
    bucket_arn,
    bucket_policy,
    partition,
    reader_policy,
    writer_policy,
)

KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
REGION = "us-east-1"
MULTIPART = {"s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"}
TABLE = {
    WriterAccess.FULL: {"s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:ListBucket"} | MULTIPART,
    WriterAccess.READ_WRITE: {"s3:PutObject", "s3:GetObject"} | MULTIPART,
    WriterAccess.UPLOAD_ONLY: {"s3:PutObject"} | MULTIPART,
}

buckets = st.from_regex(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", fullmatch=True)
prefixes = st.from_regex(r"([A-Za-z0-9_-]{1,12}/){0,3}", fullmatch=True)
keys = st.text(alphabet="abcXYZ019-_./ ", min_size=1, max_size=40)
accesses = st.sampled_from(WriterAccess)
kms_keys = st.sampled_from([None, KEY])


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def may(policy: Policy, action: str, resource: str, prefix: str | None = None) -> bool:
    """IAM's verdict: allowed by a statement, denied by none."""

    def applies(statement: Statement) -> bool:
        condition = statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix")
        return (
            action in listed(statement["Action"])
            and any(fnmatchcase(resource, pattern) for pattern in listed(statement["Resource"]))
            and (condition is None or (prefix is not None and any(fnmatchcase(prefix, c) for c in listed(condition))))
        )

    effects = {statement["Effect"] for statement in policy["Statement"] if applies(statement)}
    return effects == {"Allow"}


def allowed(policy: Policy) -> set[str]:
    return {a for s in policy["Statement"] if s["Effect"] == "Allow" for a in listed(s["Action"])}


@given(buckets, prefixes, accesses)
def test_writer_actions_are_the_table(bucket: str, prefix: str, access: WriterAccess) -> None:
    """Each writerAccess allows its row of the table: no action less, no action more."""
    assert allowed(writer_policy(bucket, REGION, prefix, access)) == TABLE[access]


@given(buckets, prefixes, kms_keys)
def test_reader_actions_are_get_and_list(bucket: str, prefix: str, kms_key: str | None) -> None:
    """The reader gets and lists, and decrypts where there is a key."""
    expected = {"s3:GetObject", "s3:ListBucket"} | ({"kms:Decrypt"} if kms_key else set())
    assert allowed(reader_policy(bucket, REGION, prefix, kms_key)) == expected


@given(buckets, prefixes, accesses)
def test_writer_key_rights_are_generate_and_decrypt(bucket: str, prefix: str, access: WriterAccess) -> None:
    """With a key of its own the writer gets the two rights that multipart uploads need, on that key alone."""
    policy = writer_policy(bucket, REGION, prefix, access, KEY)
    assert allowed(policy) - TABLE[access] == {"kms:GenerateDataKey", "kms:Decrypt"}
    assert [s["Resource"] for s in policy["Statement"] if "kms:Decrypt" in s["Action"]] == [KEY]


@given(buckets, prefixes, keys, accesses)
def test_nobody_reaches_outside_the_prefix(bucket: str, prefix: str, key: str, access: WriterAccess) -> None:
    """An object is reached if and only if its key is under the prefix and is not the operator's."""
    arn = f"{bucket_arn(bucket, REGION)}/{key}"
    inside = key.startswith(prefix) and not key.startswith(OPERATOR_PREFIX)
    for action in ("s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:AbortMultipartUpload"):
        assert may(writer_policy(bucket, REGION, prefix, access), action, arn) == (inside and action in TABLE[access])
    assert may(reader_policy(bucket, REGION, prefix), "s3:GetObject", arn) is inside


@given(buckets, prefixes, accesses)
def test_operator_objects_are_out_of_reach(bucket: str, prefix: str, access: WriterAccess) -> None:
    """What the operator remembers is out of reach, with an empty prefix too."""
    memory = f"{bucket_arn(bucket, REGION)}/{OPERATOR_PREFIX}settings/1"
    for action in TABLE[access]:
        assert not may(writer_policy(bucket, REGION, prefix, access), action, memory)
    assert not may(reader_policy(bucket, REGION, prefix), "s3:GetObject", memory)


@given(buckets, prefixes, keys)
def test_listing_is_bound_to_the_prefix(bucket: str, prefix: str, asked: str) -> None:
    """A listing is allowed if and only if the prefix that it asks for is under ours."""
    arn = bucket_arn(bucket, REGION)
    for policy in (reader_policy(bucket, REGION, prefix), writer_policy(bucket, REGION, prefix, WriterAccess.FULL)):
        assert may(policy, "s3:ListBucket", arn, asked) is asked.startswith(prefix)
        assert may(policy, "s3:ListBucket", arn, None) is (prefix == "")


@given(buckets, buckets, prefixes, accesses)
def test_another_bucket_is_out_of_reach(bucket: str, other: str, prefix: str, access: WriterAccess) -> None:
    """A bucket of another name is not reached, nor is one whose name only begins alike."""
    for stranger in {other, f"{bucket}x"} - {bucket}:
        arn = f"{bucket_arn(stranger, REGION)}/{prefix}a"
        assert not any(may(writer_policy(bucket, REGION, prefix, access), action, arn) for action in TABLE[access])


@given(buckets, prefixes, accesses, kms_keys)
def test_nothing_allowed_is_a_wildcard(bucket: str, prefix: str, access: WriterAccess, kms_key: str | None) -> None:
    """No allowed action holds '*'; every allowed resource names the bucket or the key."""
    for policy in (
        writer_policy(bucket, REGION, prefix, access, kms_key),
        reader_policy(bucket, REGION, prefix, kms_key),
    ):
        assert not any("*" in action for action in allowed(policy))
        for statement in policy["Statement"]:
            for resource in listed(statement["Resource"]):
                assert resource == kms_key or re.match(rf"{bucket_arn(bucket, REGION)}(/|$)", resource)


@pytest.mark.parametrize("access", WriterAccess)
def test_longest_names_fit_iam(access: WriterAccess) -> None:
    """The largest policy that the settings let through is within IAM's 2,048 characters for a user."""
    prefix = "p" * (MAX_PREFIX_BYTES - 1) + "/"
    for policy in (
        writer_policy("b" * 63, "us-gov-west-1", prefix, access, KEY),
        reader_policy("b" * 63, "us-gov-west-1", prefix, KEY),
    ):
        assert len(json.dumps(policy, separators=(",", ":"))) <= 2048


@given(buckets)
def test_bucket_policy_only_denies(bucket: str) -> None:
    """Plain HTTP and old TLS are denied to everybody on bucket and objects; no encryption header is asked for."""
    policy = bucket_policy(bucket, REGION)
    assert {s["Effect"] for s in policy["Statement"]} == {"Deny"}
    assert [s["Condition"] for s in policy["Statement"]] == [
        {"Bool": {"aws:SecureTransport": "false"}},
        {"NumericLessThan": {"s3:TlsVersion": "1.2"}},
    ]
    for statement in policy["Statement"]:
        assert statement["Principal"] == "*"
        assert statement["Action"] == "s3:*"
        assert statement["Resource"] == [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    assert "encryption" not in json.dumps(policy)


@pytest.mark.parametrize(
    ("region", "name"),
    [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-east-1", "aws-us-gov"), ("us-iso-east-1", "aws-iso"),
     ("us-isob-east-1", "aws-iso-b"), ("eusc-de-east-1", "aws-eusc")],
)  # fmt: skip
def test_partition_is_the_regions(region: str, name: str) -> None:
    """ARNs begin with the partition of their region."""
    assert partition(region) == name
    assert bucket_arn("b", region) == f"arn:{name}:s3:::b"
