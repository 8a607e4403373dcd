"""Everything that can be wrong with a stack, most likely cause first, and the command that repairs each.

`examine` looks at all of it and changes nothing; `examine_url` says why one presigned URL fails. What is looked at is
in the modules of this package, one for each group of findings. A part that is missing (100ms credentials, a database,
the operator's login) leaves what needs it `not checked`; the rest is looked at all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain

from recordings.doctor import bucket, clock, cors, drift, keys, objects, options, rooms, templates
from recordings.doctor.assets import Place
from recordings.doctor.findings import Finding, Look, Severity, in_order, look
from recordings.doctor.objects import Walk
from recordings.doctor.patient import Patient
from recordings.doctor.url import examine as _examine_url
from recordings.errors import HmsError
from recordings.verification.checks import fix_for

__all__ = ["Finding", "Patient", "Severity", "Walk", "examine", "examine_url"]


def examine(
    patient: Patient, walk: Walk, origins: Sequence[str] = (), *, began: Callable[[str], None] = lambda _: None
) -> list[Finding]:
    """Look at everything, `origins` for CORS (none: those declared), and give all findings in order.

    `began` is told of each thing before it is looked at. Raises nothing of RecordingsError.
    """
    found: list[Finding] = []
    hms_works = _hms(patient)
    found += hms_works
    if patient.hms is not None and any(finding.severity is Severity.FAULT for finding in hms_works):
        patient.hms = None
        patient.no_hms = hms_works[0].seen
    room_facts = cache(lambda: rooms.facts_of(patient))
    groups = (
        bucket.looks(patient),
        drift.looks(patient),
        options.looks(patient),
        keys.looks(patient),
        templates.looks(patient),
        rooms.looks(patient, room_facts),
        cors.looks(patient, origins),
        clock.looks(patient),
    )
    for each in chain(*groups):
        began(each.title)
        found += look(each)

    def storages() -> set[Place]:
        return room_facts().storages

    began(objects.MISSING)
    found += objects.findings(patient, walk, storages)
    return in_order(found)


def examine_url(patient: Patient, url: str) -> list[Finding]:
    """Why this presigned URL fails, in order. Raises UsageError, which shows nothing of it, for what is no URL."""
    return in_order(_examine_url(patient, url))


def _hms(patient: Patient) -> list[Finding]:
    """Whether 100ms takes the credentials: asked once, so that not every finding has to say that it does not."""
    title = "credentials of 100ms"

    def ask() -> Iterator[Finding]:
        hms = patient.need_hms()
        try:
            next(iter(hms.templates()), None)
        except HmsError as error:
            yield Finding("100ms", title, Severity.FAULT, str(error), fix_for(error))
            return
        yield Finding("100ms", title, Severity.FINE, "100ms takes them")

    return look(Look("100ms", title, ask))
