"""What exists is imported under its own id and nothing else is; former buckets are read, never written."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from recordings.adoption.parts import Part
from recordings.outputs import StackOutputs
from recordings.policies import READER_ACTIONS
from tests.components.deploying import Deployment
from tests.components.test_s3_component import BUCKET, EXTERNAL, KMS, deployed, policy

EVERY = {
    ("bucket", "recordings-bucket"): BUCKET,
    ("bucketCorsConfiguration", "recordings-cors"): BUCKET,
    ("bucketPublicAccessBlock", "recordings-public-access"): BUCKET,
    ("bucketOwnershipControls", "recordings-ownership"): BUCKET,
    ("bucketServerSideEncryptionConfiguration", "recordings-encryption"): BUCKET,
    ("bucketPolicy", "recordings-policy"): BUCKET,
    ("bucketVersioning", "recordings-versioning"): BUCKET,
    ("bucketLifecycleConfiguration", "recordings-lifecycle"): BUCKET,
    ("bucketLogging", "recordings-access-log"): BUCKET,
    ("user", "recordings-writer"): "old-writer",
    ("userPolicy", "recordings-writer"): "old-writer:old-policy",
    ("user", "recordings-reader"): "100ms-recording-reader-dev",
    ("userPolicy", "recordings-reader"): "100ms-recording-reader-dev:recordings-reader",
}
NAMES = {"writerName": "old-writer", "writerPolicyName": "old-policy", "accessLogBucket": "acme-logs"}


def imports(deployment: Deployment) -> dict[tuple[str, str], str]:
    return {key: resource.import_id for key, resource in deployment.resources.items() if resource.import_id}


def test_every_part_is_imported_by_its_id() -> None:
    """All that exists is taken over; keys are made, as their secrets can't be read."""
    assert imports(deployed(adopt=[part.value for part in Part], **NAMES)) == EVERY


def test_nothing_is_imported_unless_named() -> None:
    """Without the key there is no import, and the names are the same: it may go after the first deployment."""
    without, with_it = deployed(**NAMES), deployed(adopt=["bucket", "writer"], **NAMES)
    assert imports(without) == {}
    taken = (("bucket", "recordings-bucket"), ("user", "recordings-writer"))
    assert imports(with_it) == {key: EVERY[key] for key in taken}
    assert {key: resource.inputs for key, resource in without.resources.items()} == {
        key: resource.inputs for key, resource in with_it.resources.items()
    }


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"adopt": ["cors"]}, "can't hold cors without bucket"),
        ({"adopt": ["bucket", "writer-policy"]}, "can't hold writer-policy without writer"),
        ({"adopt": ["bucket", "bucket"]}, "twice"),
        ({"adopt": ["keys"]}, "recordings:adopt"),
        ({"adopt": ["bucket", "access-log"]}, "without accessLogBucket"),
        ({"adopt": ["writer"], "writerExternal": EXTERNAL}, "beside writerExternal"),
        ({"writerPolicyName": "a b"}, "recordings:writerPolicyName"),
        ({"writerPolicyName": "p", "writerExternal": EXTERNAL}, "beside writerExternal"),
        ({"formerBuckets": [{"bucketName": "old"}]}, "recordings:formerBuckets"),
        ({"formerBuckets": [{"bucketName": "old", "region": "us-east-1", "more": 1}]}, "recordings:formerBuckets"),
        ({"formerBuckets": [{"bucketName": "OLD", "region": "us-east-1"}]}, "recordings:formerBuckets"),
        ({"formerBuckets": [{"bucketName": "old", "region": "us-east-1", "pathPrefix": "../"}]}, "formerBuckets"),
        ({"formerBuckets": [{"bucketName": BUCKET, "region": "us-east-1", "pathPrefix": "recordings/"}]}, "own"),
        ({"formerBuckets": [{"bucketName": BUCKET, "region": "eu-west-1"}]}, "lies in us-east-1"),
        ({"formerBuckets": [{"bucketName": "old", "region": "eu-west-1", "kmsKey": KMS}]}, "bucket's region"),
        ({"formerBuckets": [{"bucketName": f"old-{n}", "region": "us-east-1"} for n in range(9)]}, "2048"),
    ],
)
def test_what_cannot_be_meant_is_refused(values: dict[str, Any], said: str) -> None:
    """Before anything is declared, naming the key and what is legal."""
    with pytest.raises(pulumi.RunError, match="cannot be used") as caught:
        deployed(**values)
    assert said in str(caught.value)


FORMER = [
    {"bucketName": "acme-old", "region": "eu-west-1", "pathPrefix": "rec/"},
    {"bucketName": "acme-older", "region": "us-east-1", "kmsKey": KMS},
]


def test_reader_may_read_former_buckets_and_no_more() -> None:
    """Objects and names under their prefixes, with their keys; the operator's objects stay shut, the writer out."""
    deployment = deployed(formerBuckets=FORMER)
    statements = [s for s in policy(deployment, "recordings-reader")["Statement"] if s["Sid"].startswith("Former")]
    assert [(s["Sid"], s["Effect"], s["Action"], s["Resource"], s.get("Condition")) for s in statements] == [
        ("FormerObjects1", "Allow", [*READER_ACTIONS], "arn:aws:s3:::acme-old/rec/*", None),
        ("FormerKeys1", "Allow", ["s3:ListBucket"], "arn:aws:s3:::acme-old", {"StringLike": {"s3:prefix": "rec/*"}}),
        ("FormerObjects2", "Allow", [*READER_ACTIONS], "arn:aws:s3:::acme-older/*", None),
        ("FormerKeys2", "Allow", ["s3:ListBucket"], "arn:aws:s3:::acme-older", None),
        ("FormerOperator2", "Deny", [*READER_ACTIONS], "arn:aws:s3:::acme-older/.recordings/*", None),
        ("FormerKey2", "Allow", ["kms:Decrypt"], KMS, None),
    ]
    assert "acme-old" not in json.dumps(policy(deployment, "recordings-writer"))
    assert not any("acme-old" in json.dumps(r.inputs) for k, r in deployment.resources.items() if k[0] != "userPolicy")


def test_former_buckets_are_an_output() -> None:
    """As the contract has them; what is not given is left out, and without any there is no output."""
    outputs = deployed(formerBuckets=FORMER).outputs
    assert outputs["formerBuckets"] == [FORMER[0], {**FORMER[1], "pathPrefix": ""}]
    parsed = StackOutputs.from_mapping(outputs).former_buckets
    assert [(place.bucket_name, place.region, place.path_prefix) for place in parsed] == [
        ("acme-old", "eu-west-1", "rec/"),
        ("acme-older", "us-east-1", ""),
    ]
    assert "formerBuckets" not in deployed().outputs
