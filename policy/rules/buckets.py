"""How the bucket keeps what it holds: encryption, log, protection.

Facts: https://docs.aws.amazon.com/AmazonS3/latest/userguide/serv-side-encryption.html,
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerLogs.html, https://cloud.google.com/storage/docs/access-logs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from policy import scopes
from policy.documents import BUCKET_POLICIES, statements
from policy.model import Facts, Operation, Planned, Properties, Rule, Severity, at, items

_ALGORITHMS: Final = ("AES256", "aws:kms", "aws:kms:dsse")
_SSE: Final = "x-amz-server-side-encryption"


def _encryption(encryption: Planned, facts: Facts) -> Iterator[str]:
    defaults = [at(rule, "applyServerSideEncryptionByDefault") for rule in items(encryption.inputs, "rules")]
    if not any(at(default, "sseAlgorithm") in _ALGORITHMS for default in defaults):
        yield f"no rule encrypts by default with one of {', '.join(_ALGORITHMS)}"


def _s3_key(inputs: Properties) -> Any:
    rules = items(inputs, "rules")
    return at(rules[0], "applyServerSideEncryptionByDefault", "kmsMasterKeyId") if rules else None


def _gcs_key(inputs: Properties) -> Any:
    return at(inputs, "encryption", "defaultKmsKeyName")


def _s3_key_removed(encryption: Planned, facts: Facts) -> Iterator[str]:
    if encryption.old_inputs is not None and _s3_key(encryption.old_inputs) and not _s3_key(encryption.inputs):
        yield "new objects are no longer encrypted with your own key"


def _gcs_key_removed(bucket: Planned, facts: Facts) -> Iterator[str]:
    if bucket.old_inputs is not None and _gcs_key(bucket.old_inputs) and not _gcs_key(bucket.inputs):
        yield "new objects are no longer encrypted with your own key"


def _uploads_refused(policy: Planned, facts: Facts) -> Iterator[str]:
    for statement in statements(policy):
        tested = [str(key).casefold() for tests in statement.condition.values() for key in tests]
        if not statement.allows and any(key.startswith(f"s3:{_SSE}") for key in tested):
            yield "the policy denies uploads by an encryption header, which 100ms does not send"


def _gcs_log(bucket: Planned, facts: Facts) -> Iterator[str]:
    if not at(bucket.inputs, "logging", "logBucket"):
        yield "the bucket writes no access log"


def _force_destroy(bucket: Planned, facts: Facts) -> Iterator[str]:
    if at(bucket.inputs, "forceDestroy") is True:
        yield f"`destroy` would take the bucket of {facts.environment} with every recording in it"


def _unprotected(bucket: Planned, facts: Facts) -> Iterator[str]:
    if not bucket.protect:
        yield "the production bucket is not protected"


def _protection_removed(bucket: Planned, facts: Facts) -> Iterator[str]:
    if bucket.operation is not Operation.CREATE and bucket.old_protect and not bucket.protect:
        yield "the bucket was protected and is no longer"


RULES: Final = (
    Rule(
        "encryption",
        Severity.MANDATORY,
        "What is declared is checked for drift; what is left to a default is not.",
        "Keep the default encryption, AES256 or a KMS key.",
        {"aws:s3:BucketServerSideEncryptionConfiguration": _encryption},
        guards={"aws:s3:Bucket": "aws:s3:BucketServerSideEncryptionConfiguration"},
        standards="CKV_AWS_19",
    ),
    Rule(
        "own-key-removed",
        Severity.ADVISORY,
        "Whoever asked for a key of their own can no longer lock recordings by it.",
        "Keep recordings:kmsKey, or agree on the change with whoever asked for it.",
        {"aws:s3:BucketServerSideEncryptionConfiguration": _s3_key_removed, "gcp:storage:Bucket": _gcs_key_removed},
        standards="CKV_AWS_145, S3.17",
        needs_old=True,
    ),
    Rule(
        "uploads-refused",
        Severity.ADVISORY,
        "100ms sends no encryption header, so its uploads would be refused; the default encryption holds anyway.",
        "Remove that statement from the bucket policy.",
        dict.fromkeys(BUCKET_POLICIES, _uploads_refused),
    ),
    Rule(
        "access-log",
        Severity.ADVISORY,
        "Without a log nobody can say afterwards who read a recording.",
        "Set recordings:accessLogBucket.",
        {"gcp:storage:Bucket": _gcs_log},
        guards={"aws:s3:Bucket": "aws:s3:BucketLogging"},
        applies=scopes.production,
        standards="S3.9, CKV_AWS_18; CKV_GCP_62",
    ),
    Rule(
        "force-destroy",
        Severity.MANDATORY,
        "One `destroy` on the wrong stack would delete every recording.",
        "Set recordings:forceDestroy to false; it is for stacks that may be thrown away.",
        {"aws:s3:Bucket": _force_destroy, "gcp:storage:Bucket": _force_destroy},
        applies=scopes.kept,
    ),
    Rule(
        "unprotected",
        Severity.MANDATORY,
        "A renamed bucket or a removed line would delete the bucket.",
        "Set recordings:protect to true.",
        {"aws:s3:Bucket": _unprotected, "gcp:storage:Bucket": _unprotected},
        applies=scopes.production,
    ),
    Rule(
        "protection-removed",
        Severity.ADVISORY,
        "The next deployment could delete the bucket.",
        "Keep recordings:protect, unless the bucket is to go.",
        {"aws:s3:Bucket": _protection_removed, "gcp:storage:Bucket": _protection_removed},
        applies=scopes.outside_production,
        needs_old=True,
    ),
)
