"""Drift: what the doctor makes of settings that are not those declared; no service."""

from __future__ import annotations

from typing import Any, cast

import pytest

from recordings.adoption.survey import BucketFacts
from recordings.doctor import drift
from recordings.doctor.findings import Severity
from recordings.policies import bucket_policy, writer_policy
from recordings.policies_gcs import Binding, member, reader_bindings
from recordings.verification.cors import EXPOSED
from tests.unit.hms_fake import stack_outputs

OUTPUTS = stack_outputs()


def bucket(**changes: Any) -> BucketFacts:
    """A bucket as `up` makes it, but for `changes`, in the spelling in which AWS answers."""
    statements = [
        {**statement, "Sid": "Renamed", "Principal": {"AWS": "*"}, "Resource": list(reversed(statement["Resource"]))}
        for statement in cast(Any, bucket_policy(OUTPUTS.bucket_name, OUTPUTS.region)["Statement"])
    ]
    rule = {"AllowedOrigins": ["*"], "AllowedMethods": ["GET", "HEAD"], "ExposeHeaders": list(EXPOSED)}
    sound: dict[str, Any] = {
        "name": OUTPUTS.bucket_name,
        "region": OUTPUTS.region,
        "tags": {},
        "cors": [rule],
        "lifecycle": [],
        "statements": statements,
        "is_public": False,
        "has_block": True,
        "ownership": "BucketOwnerEnforced",
        "grantees": [],
        "encryption": {},
        "versioning": "Enabled",
        "mfa_delete": False,
        "logging": None,
    }
    return BucketFacts(**{**sound, **changes})


ALLOW = {
    "Sid": "Theirs",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::2:root"},
    "Action": "s3:*",
    "Resource": "*",
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"statements": []}, ["lacks DenyPlainHttp", "lacks DenyOldTls"]),
        ({"statements": [*bucket().statements, ALLOW]}, ["allows more than the stack: Theirs"]),
        ({"is_public": True}, ["lets everybody in"]),
        ({"ownership": None}, ["ownership is not set"]),
        ({"cors": []}, ["no CORS rule for *"]),
        ({"cors": [{**bucket().cors[0], "ExposeHeaders": []}]}, ["exposes too few"]),
        (
            {"cors": [{**bucket().cors[0], "AllowedOrigins": ["*", "https://x"]}]},
            ["https://x, which the stack does not"],
        ),
    ],
)
def test_each_drift_of_a_bucket_is_named(changes: dict[str, Any], expected: list[str]) -> None:
    """What AWS spells otherwise is no drift."""
    said = list(drift.s3_bucket(bucket(**changes), OUTPUTS))
    assert len(said) == len(expected)
    assert all(part in line for part, line in zip(expected, said, strict=True))


def test_rights_beyond_the_stack_are_named() -> None:
    """A statement more or less, that of a KMS key too."""
    declared = cast(Any, writer_policy("b", "eu-west-1", "r/", OUTPUTS.writer_access)["Statement"])
    own = cast(Any, writer_policy("b", "eu-west-1", "r/", OUTPUTS.writer_access, "k")["Statement"])
    assert list(drift.s3_rights(declared, declared, "writer")) == []
    assert list(drift.s3_rights(own, declared, "writer")) == ["the writer may do more: EncryptionKey"]
    assert list(drift.s3_rights(declared, own, "writer")) == ["the writer lacks EncryptionKey"]
    assert list(drift.s3_rights([*declared, ALLOW], declared, "writer")) == ["the writer may do more: Theirs"]
    assert list(drift.s3_rights(declared[1:], declared, "writer")) == [f"the writer lacks {declared[0]['Sid']}"]


def test_open_origins_are_a_warning_in_production_alone() -> None:
    """The scanners are blind to it."""
    for environment, severity in (("prod", Severity.WARNING), ("dev", Severity.FINE)):
        changed = OUTPUTS.model_copy(update={"environment": environment})
        assert [found.severity for found in drift.open_origins(changed)] == [severity]


def test_rights_on_google_are_compared_with_their_conditions() -> None:
    """A binding that lost its condition is one too few and one too many."""
    declared: list[Binding] = reader_bindings("b", "r/")
    email = "reader@p.iam.gserviceaccount.com"
    there: list[dict[str, Any]] = [{**binding, "members": [member(email), "user:x"]} for binding in declared]
    assert list(drift.gcs_rights(there, declared, email, "reader")) == []
    open_to_all = [{"role": there[0]["role"], "members": [member(email)]}]
    assert list(drift.gcs_rights(open_to_all, declared, email, "reader")) == [
        "the reader lacks roles/storage.objectViewer under its condition",
        "the reader has roles/storage.objectViewer with no condition too",
    ]
    assert list(drift.gcs_rights([], [], email, "reader")) == []
