"""Taking a stack down in the order in which nothing is lost and 100ms is never left with a key that does not work.

    templates back → recordings done → keys inactive → objects and versions deleted → `destroy` → stack removed

Owns what may be taken down, the order, and the list of steps, which is planned against what is there now: a run that
was killed after any step is ended by the next. What it must know between runs (which templates recorded here, when they
were put back) is remembered in the bucket, and is the last object to go. Does not know how a recording is waited for
(`recordings.teardown_waiting`), nor how a bucket is emptied (`recordings.teardown_bucket`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from recordings.errors import BucketNotFoundError, CheckFailedError, HmsError, ObjectNotFoundError, UsageError
from recordings.guards import check_cloud
from recordings.outputs import KeySlot, KeyStatus, StackOutputs
from recordings.plans import Plan, Step
from recordings.registration import NOT_FOUND, Intent, Place, plan_unregister, plan_withdraw
from recordings.stacks import Character, Listed, Stacks
from recordings.stores import deactivate_key
from recordings.teardown_bucket import Contents, contents, empty
from recordings.teardown_waiting import NAME as MEMORY
from recordings.teardown_waiting import Recorders, Waiting, wait_for_recordings, wait_title
from recordings.upload_settings import Upload, check_form, points_at


@dataclass(frozen=True)
class Target:
    """A stack that is there: what it says of itself; `outputs` is None where nothing (or nothing any more) is deployed.

    `known_test` says that our own records have it for a test stack, whatever is left of it.
    """

    listed: Listed
    character: Character
    outputs: StackOutputs | None = None
    known_test: bool = False

    @property
    def name(self) -> str:
        """The stack's name."""
        return self.listed.name

    @property
    def must_be_named(self) -> list[str]:
        """Why nobody takes it down without typing its name; empty where anybody may."""
        if self.outputs is None and (self.listed.resources == 0 or self.known_test):
            return []
        return self.character.kept_because


@dataclass(frozen=True)
class Wish:
    """How to go about it, as the command line says."""

    stop_recordings: bool = False
    accept_missing_templates: bool = False
    leave_rooms: bool = False


@dataclass(frozen=True)
class Teardown:
    """Everything that a tear-down works on. `place` is None where the stack has no outputs."""

    target: Target
    stacks: Stacks
    place: Place | None
    wish: Wish = Wish()
    waiting: Waiting = field(default_factory=Waiting)
    tick: Callable[[int], None] = lambda _: None
    deactivate: Callable[[StackOutputs, str, str], bool] = deactivate_key

    def plan(self) -> Plan:
        """Every step that is left, planned against what is there now.

        Raises, before anything is changed, CheckFailedError (recordings that the configuration does not let go, a
        template that cannot be put back, a room that would keep a dead key), GuardError, and what 100ms and the store
        raise.
        """
        return Plan((*self._of_storage(), *self._of_stack()))

    def _of_storage(self) -> Iterator[Step]:
        if self.place is None:
            return
        check_cloud(self.place.outputs, self.place.operator)
        users, is_there = templates_using(self.place), bucket_is_there(self.place)
        if is_there:
            yield from self._of_bucket(self.place, users)
        else:
            yield from plan_withdraw(self.place, users).plan.steps
        yield from self._of_keys(self.place.outputs)
        if is_there:
            found = contents(self.place.operator, self.place.outputs)
            self._check_contents(found)
            run = partial(empty, self.place.operator, MEMORY, self.tick)
            yield Step(f"delete every object and version in bucket {self.place.operator.bucket}", run, [str(found)])

    def _of_bucket(self, place: Place, users: Sequence[str]) -> Iterator[Step]:
        known = place.memory.read(MEMORY)
        before: Mapping[str, Any] = known.value if known else {}
        intent = self._unregister(place, users)
        recorders = Recorders(place, before, intent.templates, self.waiting)
        self._check(intent, recorders)
        if not recorders.is_remembered:
            yield Step("note which templates recorded here", recorders.remember)
        yield from intent.plan.steps
        if intent.plan.steps or recorders.back is None:
            yield Step("note when they were put back", recorders.note_back)
        wait = partial(wait_for_recordings, recorders, stop=self.wish.stop_recordings)
        yield Step(wait_title(stop=self.wish.stop_recordings), wait)

    def _unregister(self, place: Place, users: Sequence[str]) -> Intent:
        remembered = plan_unregister(place)
        more = [id_ for id_ in users if id_ not in remembered.templates]
        if not more:
            return remembered
        further = plan_unregister(place, more)
        return Intent(
            Plan((*remembered.plan.steps, *further.plan.steps)),
            {**remembered.templates, **further.templates},
            (*remembered.faults, *further.faults),
        )

    def _of_keys(self, outputs: StackOutputs) -> Iterator[Step]:
        roles = {
            "writer": (outputs.writer_principal, outputs.writer_keys),
            "reader": (outputs.reader_principal, outputs.reader_keys),
        }
        for role, (principal, slots) in roles.items():
            for slot, key in slots.items() if role not in outputs.external_identities else ():
                if key.status is KeyStatus.ACTIVE:
                    yield self._of_key(outputs, principal, f"{role}, {slot}", key)

    def _of_key(self, outputs: StackOutputs, principal: str, which: str, key: KeySlot) -> Step:
        def run() -> None:
            self.deactivate(outputs, principal, key.id)

        return Step(f"make key {key.id} inactive ({which})", run)

    def _of_stack(self) -> Iterator[Step]:
        name, character = self.target.name, self.target.character
        if self.target.listed.resources != 0:
            if character.protect:
                yield Step(
                    f"let the protected resources of stack {name} be deleted", partial(self.stacks.unprotect, name)
                )
            yield Step(f"destroy stack {name}", partial(self.stacks.destroy, name))
        # a test stack's file was made for it alone; any other is its owner's, and in version control
        keep = character.expires is None
        yield Step(f"remove stack {name}", partial(self.stacks.remove, name, keep_file=keep))

    def _check_contents(self, found: Contents) -> None:
        outputs = self.place.outputs if self.place else None
        if outputs is not None and found.recordings and not outputs.force_destroy:
            raise CheckFailedError(
                f"bucket {outputs.bucket_name} holds {found}, and recordings:forceDestroy is not true: nothing was "
                "changed. Copy what you want to keep; then set recordings:forceDestroy to true (and protect to false), "
                "run `pulumi up`, and run the command again"
            )

    def _check(self, intent: Intent, recorders: Recorders) -> None:
        faults = list(intent.faults)
        missing = [id_ for id_, state in intent.templates.items() if state == NOT_FOUND]
        if missing and not self.wish.accept_missing_templates:
            faults.append(
                f"100ms does not know {', '.join(missing)}: are these the credentials of another workspace, whose "
                "templates would keep a key that no longer works? If they were deleted, --accept-missing-templates"
            )
        rooms = () if self.wish.leave_rooms else recorders.rooms_of_their_own()
        if rooms:
            faults.append(
                f"rooms with storage settings of their own record into this bucket: {', '.join(rooms)}. Move them "
                "elsewhere with `recordings rooms`, or, if nobody uses them any more, --leave-rooms"
            )
        if faults:
            raise CheckFailedError("nothing was changed:\n" + "\n".join(f"  {fault}" for fault in faults))


def look(stacks: Stacks, name: str, *, known_test: bool = False) -> Target | None:
    """What there is of a stack; None if it does not exist. Secrets are read as they are needed to put things back."""
    listed = stacks.find(name)
    if listed is None:
        return None
    raw = stacks.outputs(listed.name, secrets=True)
    outputs = StackOutputs.from_mapping(raw) if raw else None
    return Target(listed, stacks.character(listed.name, raw), outputs, known_test)


def check_named(target: Target, typed: str | None) -> None:
    """Raise UsageError unless the stack is a test stack, or its name was typed."""
    reasons = target.must_be_named
    if reasons and typed != target.name:
        wrong = f"{typed!r} is not its name; " if typed is not None else ""
        raise UsageError(
            f"stack {target.name!r} is not taken down just like that: {wrong}{'; '.join(reasons)}. Nothing was "
            f"changed. If you mean it: --confirm {target.name}"
        )


def bucket_is_there(place: Place) -> bool:
    """Whether the bucket still exists."""
    try:
        place.operator.bucket_region()
    except (BucketNotFoundError, ObjectNotFoundError):
        return False
    return True


def templates_using(place: Place) -> list[str]:
    """Every template of the workspace that points at the bucket, whoever registered it."""
    wanted = Upload.from_outputs(place.outputs)
    settings = ((template.id, place.client.template_settings(template.id)) for template in place.client.templates())
    return [id_ for id_, document in settings if _has_form(document) and points_at(document, wanted)]


def _has_form(settings: Mapping[str, Any]) -> bool:
    """Whether they are of the documented form; others are another's fault, and no reason to keep a stack."""
    try:
        check_form(settings)
    except HmsError:
        return False
    return True
