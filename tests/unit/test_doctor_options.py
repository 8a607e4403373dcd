"""The doctor on the bucket's encryption key and access log: each side against the other, no service."""

from __future__ import annotations

from typing import Any, Final, cast

import pytest

from recordings.doctor import options
from recordings.doctor.findings import Severity, look
from recordings.doctor.patient import Patient
from recordings.errors import AccessDeniedError, CredentialsError
from tests.unit.hms_fake import stack_outputs

KEY: Final = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
CMEK: Final = "projects/p/locations/europe/keyRings/r/cryptoKeys/k"


def rule(algorithm: str, key: str | None = None) -> dict[str, Any]:
    """A rule of default encryption, as S3 gives it."""
    named = {"KMSMasterKeyID": key} if key else {}
    return {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm, **named}}


@pytest.mark.parametrize(
    ("found", "declared", "said"),
    [
        (rule("AES256"), None, ""),
        (rule("aws:kms", KEY), KEY, ""),
        (rule("aws:kms", KEY.rpartition("/")[2]), KEY, ""),
        (None, None, "no default encryption"),
        (None, KEY, "no default encryption"),
        (rule("aws:kms"), None, "with aws:kms aws/s3, not with S3's own keys (SSE-S3)"),
        (rule("aws:kms", KEY), None, f"with aws:kms {KEY}, not with S3's own"),
        (rule("AES256"), KEY, f"with S3's own keys (SSE-S3), not with {KEY}"),
        (rule("aws:kms"), KEY, f"with aws:kms aws/s3, not with {KEY}"),
        (rule("aws:kms:dsse", KEY), KEY, "aws:kms:dsse"),
        (rule("aws:kms", KEY[:-1] + "0"), KEY, f"{KEY[:-1]}0, not with {KEY}"),
    ],
)
def test_key_on_s3_is_the_declared_one(found: dict[str, Any] | None, declared: str | None, said: str) -> None:
    """One key, however S3 names it; none where none is declared. An alias may lead to another key tomorrow."""
    seen = options.s3_key(found, stack_outputs(kmsKey=declared))
    assert said in seen
    assert bool(said) is bool(seen)


@pytest.mark.parametrize(
    ("found", "declared", "said"),
    [
        (None, None, ""),
        ({"TargetBucket": "logs", "TargetPrefix": "our-bucket/"}, "logs", ""),
        (None, "logs", "nothing is logged; the stack declares s3://logs/our-bucket/"),
        ({"TargetBucket": "theirs", "TargetPrefix": ""}, None, "s3://theirs/, which the stack does not declare"),
        (
            {"TargetBucket": "theirs", "TargetPrefix": "our-bucket/"},
            "logs",
            "s3://theirs/our-bucket/, not to s3://logs",
        ),
        ({"TargetBucket": "logs", "TargetPrefix": ""}, "logs", "s3://logs/, not to s3://logs/our-bucket/"),
    ],
)
def test_log_on_s3_goes_where_the_stack_says(found: dict[str, Any] | None, declared: str | None, said: str) -> None:
    """Bucket and prefix, in both directions."""
    seen = options.s3_log(found, stack_outputs(accessLogBucket=declared))
    assert said in seen
    assert bool(said) is bool(seen)


@pytest.mark.parametrize(
    ("found", "declared", "said"),
    [
        (None, None, ""),
        ({}, None, ""),
        ({"defaultKmsKeyName": CMEK}, CMEK, ""),
        (None, CMEK, f"with Google's own keys, not with {CMEK}"),
        ({"defaultKmsKeyName": CMEK}, None, f"with {CMEK}, not with Google's own keys"),
        ({"defaultKmsKeyName": CMEK + "2"}, CMEK, f"with {CMEK}2, not with {CMEK}"),
    ],
)
def test_key_on_google_is_the_declared_one(found: dict[str, Any] | None, declared: str | None, said: str) -> None:
    """By its resource name."""
    seen = options.gcs_key(found, stack_outputs(kmsKey=declared))
    assert said in seen
    assert bool(said) is bool(seen)


@pytest.mark.parametrize(
    ("found", "declared", "said"),
    [
        (None, None, ""),
        ({"logBucket": "logs", "logObjectPrefix": "our-bucket"}, "logs", ""),
        ({"logBucket": "logs"}, "logs", ""),
        (None, "logs", "nothing is logged; the stack declares gs://logs/our-bucket"),
        ({"logBucket": "theirs"}, None, "gs://theirs/our-bucket, which the stack does not declare"),
        ({"logBucket": "logs", "logObjectPrefix": "x"}, "logs", "gs://logs/x, not to gs://logs/our-bucket"),
    ],
)
def test_log_on_google_goes_where_the_stack_says(found: dict[str, Any] | None, declared: str | None, said: str) -> None:
    """Bucket and prefix, in both directions; the prefix that Google takes where none is given is the stack's."""
    seen = options.gcs_log(found, stack_outputs(accessLogBucket=declared))
    assert said in seen
    assert bool(said) is bool(seen)


class Surveyor:
    """One whose login may read the log alone."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def encryption(self, _: str) -> None:
        raise self._error

    def logging(self, _: str) -> dict[str, str]:
        return {"TargetBucket": "theirs", "TargetPrefix": ""}


@pytest.mark.parametrize("error", [AccessDeniedError("denied"), CredentialsError("nobody is logged in")])
@pytest.mark.parametrize(("provider", "right"), [("s3", "s3:GetEncryptionConfiguration"), ("gcs", "storage.buckets")])
def test_option_that_may_not_be_read_is_not_checked_and_hides_nothing(
    error: Exception, provider: str, right: str
) -> None:
    """It says why, and who could; the other option is compared all the same."""

    class At:
        outputs = stack_outputs(storageProvider=provider)
        surveyor = Surveyor(error)

    key, log = (look(each)[0] for each in options.looks(cast(Patient, At)))
    assert (key.severity, key.seen) == (Severity.NOT_CHECKED, str(error))
    assert right in key.repair
    assert log.severity is Severity.WARNING
