"""Findings about the stack's templates: do they upload here, with the registered key, and do they record at all?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from recordings.doctor.findings import Finding, Look, Severity, fine, not_checked
from recordings.doctor.patient import Patient
from recordings.errors import GuardError, HmsError, HmsNotFoundError, StoreError
from recordings.guards import check_customer
from recordings.hms_models import Template
from recordings.outputs import StackOutputs
from recordings.policies import OPERATOR_PREFIX
from recordings.registration import FOLDER
from recordings.stores import Store
from recordings.upload_settings import Settings, Upload, check_form, differences, points_at, upload_of
from recordings.verification.checks import fix_for

OTHERS: Final = "templates that the stack does not name"
BY_NAME: Final = "templates registered by name"
DASHBOARD: Final = "100ms dashboard, the template's page, Recording"
_MODES: Final = {"compositeRecording": "composite", "trackRecording": "track", "streamRecording": "stream"}


def looks(patient: Patient) -> list[Look]:
    """Where each template uploads, and what it records: those that the stack names, then all others that are here."""
    found = []
    for id_ in patient.outputs.template_ids:
        found.append(Look("template", f"template {id_}", partial(_upload, patient, id_)))
        found.append(Look("recording-mode", f"recording modes of template {id_}", partial(_modes, patient, id_)))
    return [*found, Look("template", OTHERS, partial(_others, patient))]


def judge_upload(id_: str, settings: Settings, outputs: StackOutputs, select: str) -> Finding:
    """Bucket, prefix, region and key of a template against the stack's."""
    title, repair = f"template {id_}", f"recordings register {select} --template {id_}"
    wanted, upload = Upload.from_outputs(outputs), upload_of(settings)
    if upload is None:
        seen = "it has no storage: 100ms keeps its recordings for 15 days, then they are gone"
        return Finding("template", title, Severity.FAULT, seen, repair)
    if not points_at(settings, wanted):
        seen = f"it uploads to {upload.get('type')}://{upload.get('location')}"
        return Finding("template", title, Severity.FAULT, seen, repair)
    names = differences(settings, wanted)
    if not names:
        return fine("template", title, "bucket, prefix, region and key as in the stack")
    return Finding("template", title, Severity.FAULT, "; ".join(_told(name, upload, outputs) for name in names), repair)


def judge_modes(template: Template, configurations: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Whether anything is recorded, and whether it will be playable."""
    title = f"recording modes of template {template.id}"
    modes = sorted({mode for configuration in configurations for mode in _recording(configuration)})
    hls = (template.destinations or {}).get("hlsDestinations")
    if isinstance(hls, Mapping) and any(isinstance(one, Mapping) and one.get("recording") for one in hls.values()):
        modes.append("HLS")
    if modes:
        yield fine("recording-mode", title, ", ".join(modes))
    else:
        seen = "no recording mode is configured: only what the API starts is recorded"
        yield Finding("recording-mode", title, Severity.WARNING, seen, f"turn one on: {DASHBOARD}")
    if template.playable_vod:
        seen = f"HLS destination {', '.join(template.playable_vod)} makes unzipped VOD, which plays from no own bucket"
        repair = f"record one file a layer, or zipped VOD: {DASHBOARD}"
        yield Finding("recording-mode", f"HLS of template {template.id}", Severity.WARNING, seen, repair)


def _recording(configuration: Mapping[str, Any]) -> Iterator[str]:
    """The modes that a recording configuration turns on. 100ms leaves out of its answers whatever is false."""
    for field, name in _MODES.items():
        mode = configuration.get(field)
        if not isinstance(mode, Mapping):
            continue
        if field == "compositeRecording":
            custom = mode.get("customComposite")
            is_on = bool(mode.get("browserComposite")) or (isinstance(custom, Mapping) and bool(custom.get("enabled")))
        else:
            is_on = bool(mode.get("enabled"))
        if is_on:
            yield name


def _told(name: str, upload: Mapping[str, Any], outputs: StackOutputs) -> str:
    """A difference with both values, where they are no secrets."""
    wanted = Upload.from_outputs(outputs)
    options, credentials = upload.get("options") or {}, upload.get("credentials") or {}
    if name == "prefix":
        return f"prefix is {upload.get('prefix') or ''!r}, not {wanted.prefix!r}"
    if name == "options.region":
        said = options.get("region")
        return f"region is {said!r}, not {wanted.region!r}" if said else "no region: 100ms then takes ap-south-1"
    if name == "credentials.key":
        id_ = str(credentials.get("key"))
        slot = next((slot for slot, key in outputs.writer_keys.items() if key.id == id_), None)
        return f"its key is {id_} ({f'slot {slot}' if slot else 'none of this stack'}), not {wanted.key}"
    return f"{name} differs"


def _upload(patient: Patient, id_: str) -> Iterator[Finding]:
    hms = patient.need_hms()
    title = f"template {id_}"
    try:
        settings = hms.template_settings(id_)
        check_customer(patient.outputs, [hms.template(id_)])
    except HmsNotFoundError as error:
        repair = "correct recordings:templateIds, or take the credentials of its workspace"
        yield Finding("template", title, Severity.FAULT, str(error), repair)
        return
    except GuardError as error:
        repair = "take the credentials of the expected workspace, or correct recordings:expectedCustomer"
        yield Finding("template", title, Severity.FAULT, str(error).splitlines()[1].strip(), repair)
        return
    check_form(settings)
    yield judge_upload(id_, settings, patient.outputs, patient.select)


def _modes(patient: Patient, id_: str) -> Iterator[Finding]:
    hms = patient.need_hms()
    yield from judge_modes(hms.template(id_), hms.template_recordings(id_))


def _others(patient: Patient) -> Iterator[Finding]:
    """Templates that the stack does not name: those that upload here, and those that were registered by name.

    Raises HmsError. What the bucket remembers is not checked where nobody may read it.
    """
    named = patient.outputs.template_ids
    here, unclear = _uploading(patient)
    yield from unclear
    try:
        remembered = _remembered(patient.operator) - {*named}
    except StoreError as error:
        yield not_checked("template", BY_NAME, str(error), fix_for(error))
    else:
        for id_ in sorted(remembered - here):
            yield from _gone_elsewhere(patient, id_)
        if not here and not remembered:
            yield fine("template", OTHERS, "none uploads here") if named else _none()
    for id_ in sorted(here):
        yield from (_named(found, id_, patient) for found in _upload(patient, id_))
        yield from _modes(patient, id_)


def _uploading(patient: Patient) -> tuple[set[str], list[Finding]]:
    """Templates of the workspace that upload to the bucket and are not the stack's; those of which nobody can tell."""
    hms, wanted = patient.need_hms(), Upload.from_outputs(patient.outputs)
    here: set[str] = set()
    unclear = []
    for template in hms.templates():
        if template.id in patient.outputs.template_ids:
            continue
        try:
            settings = hms.template_settings(template.id)
        except HmsNotFoundError:
            continue  # deleted after it was listed
        try:
            check_form(settings)
        except HmsError as error:
            unclear.append(not_checked("template", f"template {template.id}", str(error)))
            continue
        if points_at(settings, wanted):
            here.add(template.id)
    return here, unclear


def _remembered(operator: Store) -> set[str]:
    """Templates whose former settings the bucket has: each that was ever registered. Raises StoreError."""
    folder = f"{OPERATOR_PREFIX}{FOLDER}"
    return {info.key.removeprefix(folder) for info in operator.list(folder)}


def _gone_elsewhere(patient: Patient, id_: str) -> Iterator[Finding]:
    """One that was registered and uploads here no more: a fault only where the stack has no template of its own.

    Whether 100ms has it no more, or the credentials are of another workspace, its own templates tell.
    """
    named, title = patient.outputs.template_ids, f"template {id_}"
    try:
        patient.need_hms().template(id_)
    except HmsNotFoundError as error:
        if named:
            yield fine("template", title, "it was registered by name; 100ms has it no more")
        else:
            repair = "if it was not deleted, take the credentials of its workspace"
            yield Finding("template", title, Severity.WARNING, str(error), repair)
        return
    for found in _upload(patient, id_):
        yield replace(found, severity=Severity.WARNING) if named and found.severity is Severity.FAULT else found


def _named(found: Finding, id_: str, patient: Patient) -> Finding:
    """What was found of a template that uploads here, and that it should be the stack's where the stack names some."""
    ids = patient.outputs.template_ids
    if not ids or found.severity is not Severity.FINE:
        return found
    seen = "it uploads here and is not in recordings:templateIds: watch and webhook take its failures for another's"
    name = f"pulumi config set --path 'recordings:templateIds[{len(ids)}]' {id_} && pulumi up"
    repair = f"{name}; or recordings unregister {patient.select} --template {id_}"
    return Finding("template", found.title, Severity.WARNING, seen, repair)


def _none() -> Finding:
    repair = "pulumi config set --path 'recordings:templateIds[0]' ID && pulumi up, then recordings register"
    seen = "neither stack nor bucket names one: `recordings register` was not run yet"
    return Finding("template", "templates", Severity.WARNING, seen, repair)
