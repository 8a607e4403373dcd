"""Who may do what, as pure data: IAM documents composed from small statements to whole policies.

Owns the writer's, the reader's and the bucket's policy on S3. Calls no cloud and no SDK, so that the same document can
be declared, printed for the owner of an external principal, and tested property by property. Every allowed action is
spelt out: a wildcard is only ever used to deny.

Sources: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html (actions, resources and
condition keys), https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html (key permissions).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NotRequired, TypedDict

from recordings.outputs import FormerBucket, WriterAccess

OPERATOR_PREFIX: Final = ".recordings/"
"""Where the operator keeps its own objects, at the root of the bucket; neither writer nor reader may touch it."""

MULTIPART_ACTIONS: Final = ("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
WRITER_ACTIONS: Final[Mapping[WriterAccess, Sequence[str]]] = {
    WriterAccess.FULL: ("s3:PutObject", "s3:GetObject", "s3:DeleteObject", *MULTIPART_ACTIONS),
    WriterAccess.READ_WRITE: ("s3:PutObject", "s3:GetObject", *MULTIPART_ACTIONS),
    WriterAccess.UPLOAD_ONLY: ("s3:PutObject", *MULTIPART_ACTIONS),
}
"""What the writer may do to objects under the prefix; `full` may list the prefix as well."""
READER_ACTIONS: Final = ("s3:GetObject",)
WRITER_KEY_ACTIONS: Final = ("kms:GenerateDataKey", "kms:Decrypt")
"""Decrypt, because the parts of a multipart upload are read again when it is completed."""
READER_KEY_ACTIONS: Final = ("kms:Decrypt",)

_PARTITIONS: Final = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eusc-": "aws-eusc",
}


class Statement(TypedDict):
    """One IAM statement, in IAM's own spelling."""

    Sid: str
    Effect: str
    Principal: NotRequired[str]
    Action: str | list[str]
    Resource: str | list[str]
    Condition: NotRequired[dict[str, dict[str, str | list[str]]]]


class Policy(TypedDict):
    """An IAM policy document; `json.dumps` gives what AWS takes."""

    Version: str
    Statement: list[Statement]


def partition(region: str) -> str:
    """Name the partition of `region`, as ARNs begin with it: `aws`, `aws-cn`, `aws-us-gov` and so on."""
    return next((name for start, name in _PARTITIONS.items() if region.startswith(start)), "aws")


def bucket_arn(bucket: str, region: str) -> str:
    """Give the ARN of `bucket`."""
    return f"arn:{partition(region)}:s3:::{bucket}"


def allow_objects(arn: str, prefix: str, actions: Sequence[str], sid: str = "RecordingObjects") -> Statement:
    """Allow `actions` on every object under `prefix` of the bucket `arn`."""
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": f"{arn}/{prefix}*"}


def allow_listing(arn: str, prefix: str, sid: str = "RecordingKeys") -> Statement:
    """Allow to list the keys under `prefix`, and no others; an empty prefix is the whole bucket."""
    statement: Statement = {
        "Sid": sid,
        "Effect": "Allow",
        "Action": ["s3:ListBucket"],
        "Resource": arn,
    }
    if prefix:
        statement["Condition"] = {"StringLike": {"s3:prefix": f"{prefix}*"}}
    return statement


def deny_operator_objects(arn: str, actions: Sequence[str], sid: str = "OperatorObjects") -> Statement:
    """Take `actions` on the operator's objects away again: an empty prefix would allow them."""
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Action": list(actions),
        "Resource": f"{arn}/{OPERATOR_PREFIX}*",
    }


def allow_key(key_arn: str, actions: Sequence[str], sid: str = "EncryptionKey") -> Statement:
    """Allow `actions` with one KMS key."""
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": key_arn}


def writer_policy(bucket: str, region: str, prefix: str, access: WriterAccess, kms_key: str | None = None) -> Policy:
    """What 100ms needs to store recordings under `prefix`; `kms_key` is the ARN of the key that encrypts the bucket."""
    arn = bucket_arn(bucket, region)
    statements = _objects(arn, prefix, WRITER_ACTIONS[access])
    if access is WriterAccess.FULL:
        statements.append(allow_listing(arn, prefix))
    if kms_key:
        statements.append(allow_key(kms_key, WRITER_KEY_ACTIONS))
    return _policy(statements)


def reader_policy(
    bucket: str, region: str, prefix: str, kms_key: str | None = None, former: Sequence[FormerBucket] = ()
) -> Policy:
    """What signing a download needs; it may list, or AWS would answer 403 for a recording that is gone.

    In the `former` buckets it may do the same.
    """
    arn = bucket_arn(bucket, region)
    statements = [*_objects(arn, prefix, READER_ACTIONS), allow_listing(arn, prefix)]
    if kms_key:
        statements.append(allow_key(kms_key, READER_KEY_ACTIONS))
    for number, place in enumerate(former, start=1):
        statements += _former(place, number)
    return _policy(statements)


def _former(place: FormerBucket, number: int) -> list[Statement]:
    """The reader's statements for one former bucket; a Sid is unique in its policy, so it is numbered."""
    arn, prefix = bucket_arn(place.bucket_name, place.region), place.path_prefix
    statements = [
        allow_objects(arn, prefix, READER_ACTIONS, f"FormerObjects{number}"),
        allow_listing(arn, prefix, f"FormerKeys{number}"),
    ]
    if not prefix:
        statements.append(deny_operator_objects(arn, READER_ACTIONS, f"FormerOperator{number}"))
    if place.kms_key:
        statements.append(allow_key(place.kms_key, READER_KEY_ACTIONS, f"FormerKey{number}"))
    return statements


def bucket_policy(bucket: str, region: str) -> Policy:
    """Refuse plain HTTP and TLS below 1.2 to everybody. It allows nothing, and asks for no encryption header.

    100ms sends none: a policy that asks for one would refuse its uploads (the default encryption holds anyway).
    """
    arn = bucket_arn(bucket, region)
    return _policy(
        [
            _deny_everybody("DenyPlainHttp", arn, {"Bool": {"aws:SecureTransport": "false"}}),
            _deny_everybody("DenyOldTls", arn, {"NumericLessThan": {"s3:TlsVersion": "1.2"}}),
        ]
    )


def _objects(arn: str, prefix: str, actions: Sequence[str]) -> list[Statement]:
    allowed = allow_objects(arn, prefix, actions)
    return [allowed] if prefix else [allowed, deny_operator_objects(arn, actions)]


def _deny_everybody(sid: str, arn: str, condition: dict[str, dict[str, str | list[str]]]) -> Statement:
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": condition,
    }


def _policy(statements: list[Statement]) -> Policy:
    return {"Version": "2012-10-17", "Statement": statements}
