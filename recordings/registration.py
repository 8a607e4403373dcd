"""Registering a stack's bucket with 100ms templates, and undoing it: read the real state, plan, then change.

Owns the order in which it is safe: what a template had before is remembered first, the template is read again just
before it is written, and read back after. Changes `recording.upload` alone. The settings document is
`recordings.upload_settings`, where things are remembered `recordings.memory`, guards `recordings.guards`.

The API has no conditional write. A change that somebody else makes between our second read and our write (the time of
one request) is overwritten unseen; a change after it shows when reading back, and is left alone. 100ms replaces the
whole document, so two writers never mix: the later one wins, and the other is told unless it had already finished.

A run that is killed at any moment is completed by the next: the memory is written before the template, never
overwritten while the template points at this bucket, and forgotten only after the template was read back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from recordings.errors import (
    CheckFailedError,
    ConfigurationError,
    ConflictError,
    HmsError,
    HmsNotFoundError,
    HmsRefusedError,
    HmsUncertainError,
    UsageError,
)
from recordings.guards import check_cloud, check_customer
from recordings.hms import HmsClient
from recordings.hms_models import Template
from recordings.memory import Memory
from recordings.outputs import KeyStatus, StackOutputs
from recordings.plans import Plan, Step
from recordings.stores.base import Store
from recordings.upload_settings import (
    Settings,
    Upload,
    changed_fields,
    check_form,
    diff_lines,
    differences,
    is_restorable,
    is_same,
    points_at,
    upload_of,
    with_original,
    with_upload,
)

FOLDER = "registration/"
"""Where in the memory the settings lie that templates had before, one object a template."""
KEY_REFUSALS = 8
"""Tries when 100ms refuses the upload settings, a minute in sum: a new access key is not usable for some seconds."""
_TEMPLATE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Place:
    """What registration works on: 100ms, the bucket as the operator, its memory, and what the stack wants."""

    client: HmsClient
    operator: Store
    memory: Memory
    outputs: StackOutputs


@dataclass(frozen=True)
class Intent:
    """A plan, what it makes of each template (id → one word or phrase), and faults that it cannot mend."""

    plan: Plan
    templates: Mapping[str, str]
    faults: Sequence[str] = ()


NOT_FOUND: Final = "not found at 100ms"
"""What becomes of a template that 100ms does not know."""


def with_doubt(intent: Intent) -> Intent:
    """The same, with a fault if 100ms knows none of the templates: then it may well be another workspace."""
    if not intent.templates or set(intent.templates.values()) != {NOT_FOUND}:
        return intent
    fault = (
        f"100ms knows none of the templates ({', '.join(intent.templates)}), so nothing was put back: with the "
        "credentials of another workspace, take the right ones before `pulumi destroy`, or 100ms keeps a key that no "
        "longer works; if the templates were deleted there, there is nothing to put back"
    )
    return replace(intent, faults=(*intent.faults, fault))


@dataclass
class Refusals:
    """How often 100ms refused the upload settings of one thing."""

    count: int = 0

    def judged(self, error: HmsRefusedError) -> HmsError:
        """Count a refusal: the error itself, or for a while HmsUncertainError, as a new key may only be too new."""
        self.count += 1
        if self.count >= KEY_REFUSALS or "upload" not in str(error).lower():
            return error
        return HmsUncertainError(f"{error} (a new access key takes some seconds to become usable)")


@dataclass
class _Draft:
    steps: list[Step] = field(default_factory=list)
    templates: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def intent(self) -> Intent:
        return Intent(Plan(tuple(self.steps)), self.templates, tuple(self.faults))


def template_ids(given: Iterable[str], outputs: StackOutputs) -> tuple[str, ...]:
    """The templates to work on, each once: those given, else the stack's. Raises UsageError for none or a bad id."""
    ids = tuple(dict.fromkeys(given)) or tuple(dict.fromkeys(outputs.template_ids))
    if not ids:
        raise UsageError(
            "no template: give --template ID (repeat it for several), or set recordings:templateIds in the stack's "
            "configuration and run `pulumi up`. The dashboard shows the id of a template on its page"
        )
    bad = [repr(id_) for id_ in ids if not _TEMPLATE_ID.fullmatch(id_)]
    if bad:
        raise UsageError(f"not a template id: {', '.join(bad)}; legal: letters, digits, '-' and '_', as 100ms shows it")
    return ids


def plan_register(
    place: Place, ids: Sequence[str], *, accept_hls_vod: bool = False, accept_unrestorable: bool = False
) -> Intent:
    """Plan to make every template upload to the stack's bucket; nothing is changed until the plan is applied.

    Raises GuardError, CheckFailedError (playback or restorability would be lost, unless accepted), ConfigurationError
    (the registered key is inactive), and what 100ms and the store raise.
    """
    check_cloud(place.outputs, place.operator)
    check_key(place.outputs)
    templates = [place.client.template(id_) for id_ in ids]
    check_customer(place.outputs, templates)
    now = {id_: _settings(place.client, id_) for id_ in ids}
    wanted = Upload.from_outputs(place.outputs)
    moving = {id_: settings for id_, settings in now.items() if not points_at(settings, wanted)}
    if not accept_hls_vod:
        _check_playback([template for template in templates if template.id in moving], moving)
    if not accept_unrestorable:
        _check_restorable(moving)
    draft = _Draft()
    for id_ in ids:
        _plan_one(place, id_, now[id_], wanted, draft)
    return draft.intent()


def plan_unregister(place: Place, ids: Sequence[str] = ()) -> Intent:
    """Plan to put back what templates had before: those given, else the stack's and all that are remembered.

    A template that no longer points at the stack's bucket, or that 100ms does not know (deleted, or the credentials
    are of another workspace), is left alone, and what is remembered of it is kept. Faults are templates that point at
    the bucket and cannot be put back. Raises GuardError, and what 100ms and the store raise.
    """
    check_cloud(place.outputs, place.operator)
    if not ids:
        remembered = [name.removeprefix(FOLDER) for name in place.memory.names(FOLDER)]
        ids = tuple(dict.fromkeys([*place.outputs.template_ids, *remembered]))
    there: dict[str, Template] = {}
    draft = _Draft()
    for id_ in ids:
        try:
            there[id_] = place.client.template(id_)
        except HmsNotFoundError:
            draft.templates[id_] = NOT_FOUND
    check_customer(place.outputs, there.values())
    for id_ in there:
        _plan_back(place, id_, draft)
    return draft.intent()


def plan_withdraw(place: Place, ids: Iterable[str]) -> Intent:
    """Plan to take a bucket that is gone out of templates that still point at it: 100ms stores for them itself again.

    What they had before went with the bucket. Raises GuardError, and what 100ms raises.
    """
    draft, wanted = _Draft(), Upload.from_outputs(place.outputs)
    for id_ in ids:
        check_customer(place.outputs, [place.client.template(id_)])
        now = _settings(place.client, id_)
        if points_at(now, wanted):
            change = partial(with_original, original={"recording": None})
            draft.templates[id_] = "no longer uses the bucket that is gone"
            write = partial(_write, place.client, id_, now, change)
            title = f"take bucket {wanted.location}, which is gone, out of template {id_}"
            draft.steps.append(Step(title, write, diff_lines(now, change(now))))
    return draft.intent()


def _plan_one(place: Place, id_: str, now: Settings, wanted: Upload, draft: _Draft) -> None:
    name, title = FOLDER + id_, f"register bucket {wanted.location} with template {id_}"
    known = place.memory.read(name)
    original = _original(now)
    if known is None or (not points_at(now, wanted) and known.value != original):
        expected = known.version if known else None
        run = partial(place.memory.write, name, original, expected)
        draft.steps.append(Step(f"remember the settings that template {id_} has now", _only(run)))
    changes = differences(now, wanted)
    draft.templates[id_] = "registered" if changes else "was registered already"
    if changes:
        change = partial(with_upload, wanted=wanted)
        write = partial(_write, place.client, id_, now, change)
        draft.steps.append(Step(title, write, diff_lines(now, change(now))))


def _plan_back(place: Place, id_: str, draft: _Draft) -> None:
    now, wanted = _settings(place.client, id_), Upload.from_outputs(place.outputs)
    known = place.memory.read(FOLDER + id_)
    fault = None
    if known is None and points_at(now, wanted):
        fault = "nothing is remembered of what it had before"
    elif known is None:
        draft.templates[id_] = "does not use this bucket"
    elif is_same(now, restored := with_original(now, known.value)):
        draft.templates[id_] = "is as it was before"
        draft.steps.append(_forget(place, id_))
    elif not points_at(now, wanted):
        draft.templates[id_] = "left alone: changed since, and does not use this bucket"
    elif not is_restorable(known.value):
        fault = "100ms did not show the secret of the storage it had before, so that cannot be put back"
    else:
        draft.templates[id_] = "put back as it was before"
        write = partial(_write, place.client, id_, now, partial(with_original, original=known.value))
        draft.steps.append(Step(f"put back the settings that template {id_} had", write, diff_lines(now, restored)))
        draft.steps.append(_forget(place, id_))
    if fault:
        draft.templates[id_] = "cannot be put back"
        draft.faults.append(
            f"template {id_} still uses bucket {wanted.location}, but {fault}. Set its storage in the 100ms "
            "dashboard (template, Recording), then run the command again"
        )


def _forget(place: Place, id_: str) -> Step:
    return Step(f"forget the settings that template {id_} had", partial(place.memory.delete, FOLDER + id_))


def _write(client: HmsClient, id_: str, before: Settings, change: Callable[[Settings], dict[str, Any]]) -> None:
    """Change a template that still is as `before`; read before every try, read back after.

    Raises ConflictError if somebody else changed it, HmsRefusedError, HmsUncertainError with retries used up.
    """
    after = change(before)
    refusals = Refusals()

    def send() -> bool:
        now = _settings(client, id_)
        if is_same(now, after):
            return True
        if not is_same(now, before):
            raise ConflictError(
                f"template {id_} was changed by somebody else ({_fields(before, now)}) after it was read; nothing was "
                "overwritten. Run the command again to plan from what it is now"
            )
        try:
            client.post_template_settings(id_, change(now))
        except HmsRefusedError as error:
            raise refusals.judged(error) from None
        return True

    client.settle(send, lambda: True if is_same(_settings(client, id_), after) else None)
    now = _settings(client, id_)
    if not is_same(now, after):
        raise ConflictError(
            f"template {id_} reads back otherwise than it was written ({_fields(after, now)}): somebody else wrote at "
            "the same time, or 100ms changed it. Its present settings were left alone; look at them in the dashboard, "
            "then run the command again"
        )


def _settings(client: HmsClient, id_: str) -> dict[str, Any]:
    settings = client.template_settings(id_)
    check_form(settings)
    return settings


def _original(settings: Settings) -> dict[str, Any]:
    """What is remembered: `recording` alone, and whether it was there at all."""
    return {"recording": settings["recording"]} if "recording" in settings else {}


def _fields(one: Settings, other: Settings) -> str:
    return ", ".join(changed_fields(one, other))


def _only(run: Callable[[], object]) -> Callable[[], None]:
    def step() -> None:
        run()

    return step


def check_key(outputs: StackOutputs) -> None:
    """Raise ConfigurationError if the registered key is inactive: 100ms is never given one that does not work."""
    slot = outputs.writer_keys.get(outputs.registered_key)
    if slot is not None and slot.status is not KeyStatus.ACTIVE:
        raise ConfigurationError(
            f"the registered key slot {outputs.registered_key!r} is {slot.status.value}: 100ms could not upload with "
            "it. Set recordings:writerKeys or recordings:registeredKey to an active slot and run `pulumi up`"
        )


def _check_playback(templates: Iterable[Template], moving: Mapping[str, Settings]) -> None:
    losing = [t for t in templates if t.playable_vod and upload_of(moving[t.id]) is None]
    if losing:
        raise CheckFailedError(
            "these templates record HLS as unzipped VOD, which 100ms plays from its own storage alone; in an own "
            "bucket its link to the m3u8 is not playable:\n"
            + "\n".join(f"  {t.id} {t.name!r}: HLS destination {', '.join(map(repr, t.playable_vod))}" for t in losing)
            + "\nNothing was changed. Accept that with --accept-hls-vod (and serve the bucket by a CDN of your own), "
            "or record them by composite recording"
        )


def _check_restorable(moving: Mapping[str, Settings]) -> None:
    lost = [id_ for id_, settings in moving.items() if not is_restorable(settings)]
    if lost:
        raise CheckFailedError(
            f"100ms does not show the secret of the storage that {', '.join(lost)} use now, so `recordings unregister` "
            "could not put it back. Nothing was changed. Accept that with --accept-unrestorable: then set the storage "
            "by hand in the dashboard when you leave this bucket"
        )
