"""Findings about the bucket: is it there, where the stack says, in the expected account, and still guarded?

The checks are those of `recordings verify` that only look. What the bucket is set to in detail, compared with what the
stack declares, is in `recordings.doctor.drift`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from recordings.doctor.findings import Finding, Look, Severity, fine
from recordings.doctor.patient import Patient
from recordings.errors import GuardError
from recordings.guards import check_cloud
from recordings.verification import guards, storage
from recordings.verification.checks import Check, Probe, Status, run_probe
from recordings.verification.context import Context

_SEVERITIES: Final = {
    Status.PASSED: Severity.FINE,
    Status.FAILED: Severity.FAULT,
    Status.WARNING: Severity.NOT_CHECKED,
    Status.NOT_RUN: Severity.NOT_CHECKED,
}
_GUARDS: Final = (
    ("public access", guards.public_access, Severity.FAULT),
    ("old versions", guards.versioning, Severity.WARNING),
    ("leftovers", guards.lifecycle, Severity.WARNING),
)


def looks(patient: Patient) -> list[Look]:
    """Place, account and guards."""
    found = [
        Look("bucket", "bucket and region", partial(_region, patient)),
        Look("guard", "account", partial(_account, patient)),
    ]
    for title, check, severity in _GUARDS:
        found.append(Look("guard", title, partial(_guard, patient, title, check, severity)))
    return found


def finding(id_: str, check: Check, failed: Severity = Severity.FAULT) -> Finding:
    """A check of `recordings verify` as a finding; `failed` is how bad it is if it failed."""
    severity = failed if check.status is Status.FAILED else _SEVERITIES[check.status]
    return Finding(id_, check.title, severity, check.detail, check.fix)


def _region(patient: Patient) -> Iterator[Finding]:
    title = "bucket and region"
    yield finding("bucket", run_probe(Probe("region", title, partial(storage.region, patient.context()))))


def _guard(patient: Patient, title: str, check: Callable[[Context], str], severity: Severity) -> Iterator[Finding]:
    yield finding("guard", run_probe(Probe("guard", title, partial(check, patient.context()))), severity)


def _account(patient: Patient) -> Iterator[Finding]:
    title, expected = "account", patient.outputs.expected_account
    try:
        check_cloud(patient.outputs, patient.operator)
    except GuardError as error:
        repair = "log in to the right account (AWS_PROFILE, gcloud config), or correct recordings:expectedAccount"
        yield Finding("guard", title, Severity.FAULT, str(error).splitlines()[1].strip(), repair)
        return
    yield fine("guard", title, f"account {expected}" if expected else "expectedAccount is not set: any will do")
