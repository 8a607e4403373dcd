"""Options of the bucket against the stack's: the key that encrypts recordings, and where the access log goes.

Owns the comparison and whom to ask. Each is read by itself, so that a right which the operator does not have hides
nothing else. On Google both stand in the bucket's resource; Cloud Storage uses the key, and nobody needs a right on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from recordings.doctor.findings import Finding, Look, Severity, fine
from recordings.doctor.patient import Patient
from recordings.errors import AccessDeniedError, CredentialsError
from recordings.outputs import StackOutputs, StorageProvider
from recordings.verification.checks import NotRun
from recordings.verification.guards import DRIFT

KEY: Final = "encryption key"
LOG: Final = "access log"
_RIGHTS: Final[Mapping[StorageProvider, Mapping[str, str]]] = {
    StorageProvider.S3: {KEY: "s3:GetEncryptionConfiguration", LOG: "s3:GetBucketLogging"},
    StorageProvider.GCS: {KEY: "storage.buckets.get", LOG: "storage.buckets.get"},
}

Document = Mapping[str, Any]
Read = Callable[[str], Document | None]
"""One option of the bucket so named, None where it is not set."""
Compare = Callable[[Document | None, StackOutputs], str]
"""What differs, empty where nothing does."""


def looks(patient: Patient) -> list[Look]:
    """The key, and the log."""
    key, log = {
        StorageProvider.S3: (s3_key, s3_log),
        StorageProvider.GCS: (gcs_key, gcs_log),
    }[patient.outputs.storage_provider]
    return [
        Look("guard", KEY, partial(_compared, patient, KEY, lambda: patient.surveyor.encryption, key)),
        Look("guard", LOG, partial(_compared, patient, LOG, lambda: patient.surveyor.logging, log)),
    ]


def s3_key(found: Document | None, outputs: StackOutputs) -> str:
    """`found` is the bucket's rule of default encryption. A key may be named by its id alone; an alias may lead on."""
    if found is None:
        return "no default encryption"
    default = found.get("ApplyServerSideEncryptionByDefault", {})
    algorithm, key = str(default.get("SSEAlgorithm", "AES256")), str(default.get("KMSMasterKeyID", "aws/s3"))
    declared = outputs.kms_key
    now = "S3's own keys (SSE-S3)" if algorithm == "AES256" else f"{algorithm} {key}"
    if declared is None:
        return "" if algorithm == "AES256" else _encrypted(now, "S3's own keys (SSE-S3)")
    is_same = algorithm == "aws:kms" and key in (declared, declared.rpartition("/")[2])
    return "" if is_same else _encrypted(now, declared)


def s3_log(found: Document | None, outputs: StackOutputs) -> str:
    """`found` is the bucket's LoggingEnabled."""
    now = f"s3://{found.get('TargetBucket')}/{found.get('TargetPrefix', '')}" if found else ""
    log = outputs.access_log_bucket
    return _logged(now, f"s3://{log}/{outputs.bucket_name}/" if log else "")


def gcs_key(found: Document | None, outputs: StackOutputs) -> str:
    """`found` is the `encryption` of the bucket's resource."""
    own = "Google's own keys"
    now, declared = (found or {}).get("defaultKmsKeyName") or own, outputs.kms_key or own
    return "" if now == declared else _encrypted(now, declared)


def gcs_log(found: Document | None, outputs: StackOutputs) -> str:
    """`found` is the `logging` of the bucket's resource; its objects' names begin with the bucket's by default."""
    bucket, log = outputs.bucket_name, outputs.access_log_bucket
    now = f"gs://{found.get('logBucket')}/{found.get('logObjectPrefix', bucket)}" if found else ""
    return _logged(now, f"gs://{log}/{bucket}" if log else "")


def _encrypted(now: str, declared: str) -> str:
    return f"new recordings are encrypted with {now}, not with {declared}"


def _logged(now: str, declared: str) -> str:
    if now == declared:
        return ""
    if not now:
        return f"nothing is logged; the stack declares {declared}"
    return f"it goes to {now}, {f'not to {declared}' if declared else 'which the stack does not declare'}"


def _compared(patient: Patient, title: str, reading: Callable[[], Read], compare: Compare) -> Iterator[Finding]:
    """Ask for one option. Raises StoreError, and NotRun to whoever may not read it."""
    outputs = patient.outputs
    try:
        found = reading()(outputs.bucket_name)
    except (AccessDeniedError, CredentialsError) as error:
        right = _RIGHTS[outputs.storage_provider][title]
        raise NotRun(str(error), f"log in as an operator who has {right} on the bucket") from None
    difference = compare(found, outputs)
    if difference:
        yield Finding("guard", title, Severity.WARNING, difference, DRIFT)
    else:
        yield fine("guard", title, "as declared")
