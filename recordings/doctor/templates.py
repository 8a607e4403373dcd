"""Findings about the stack's templates: do they upload here, with the registered key, and do they record at all?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from recordings.doctor.findings import Finding, Look, Severity, fine
from recordings.doctor.patient import Patient
from recordings.errors import GuardError, HmsNotFoundError
from recordings.guards import check_customer
from recordings.hms_models import Template
from recordings.outputs import StackOutputs
from recordings.policies import OPERATOR_PREFIX
from recordings.registration import FOLDER
from recordings.upload_settings import Settings, Upload, check_form, differences, points_at, upload_of

DASHBOARD: Final = "100ms dashboard, the template's page, Recording"
_MODES: Final = {"compositeRecording": "composite", "trackRecording": "track", "streamRecording": "stream"}


def looks(patient: Patient) -> list[Look]:
    """Where each template uploads, and what it records; where the stack names none, each that was registered."""
    ids = patient.outputs.template_ids
    if not ids:
        return [Look("template", "templates", partial(_registered, patient))]
    found = []
    for id_ in ids:
        found.append(Look("template", f"template {id_}", partial(_upload, patient, id_)))
        found.append(Look("recording-mode", f"recording modes of template {id_}", partial(_modes, patient, id_)))
    return found


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


def _registered(patient: Patient) -> Iterator[Finding]:
    """Templates that were registered by name: the bucket remembers each. Raises StoreError."""
    folder = f"{OPERATOR_PREFIX}{FOLDER}"
    ids = sorted(info.key.removeprefix(folder) for info in patient.operator.list(folder))
    if not ids:
        yield from _none()
    for id_ in ids:
        yield from _upload(patient, id_)
        yield from _modes(patient, id_)


def _none() -> Iterator[Finding]:
    repair = "pulumi config set --path 'recordings:templateIds[0]' ID && pulumi up, then recordings register"
    seen = "neither stack nor bucket names one: `recordings register` was not run yet"
    yield Finding("template", "templates", Severity.WARNING, seen, repair)
