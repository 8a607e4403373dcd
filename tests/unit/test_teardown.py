"""Taking a stack down: the order, what stops it, and that a run killed anywhere is ended by the next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recordings.errors import CheckFailedError, GuardError, NotDueError, UsageError
from recordings.plans import Plan, Step
from recordings.stacks import Character, Listed
from recordings.teardown import Target, Wish, check_named
from tests.unit.hms_fake import KilledError
from tests.unit.teardown_world import EXPIRES, NAME, World

STOP = Wish(stop_recordings=True)


def apply(plan: Plan, *, killed_before: int | None = None) -> None:
    """Run it; as SIGKILL does, end before the step with this number."""
    left = [*plan.steps]

    def before(_: Step) -> None:
        if killed_before is not None and len(plan.steps) - len(left) == killed_before:
            raise KilledError
        left.pop(0)

    plan.apply(before=before)


def check_gone(world: World, before: Any) -> None:
    """Nothing is left: not in 100ms, not in the bucket, no key, no stack."""
    assert world.settings() == before
    assert world.stacks == {}
    assert world.store.gone
    assert world.store.is_empty()


@pytest.fixture
def world() -> World:
    return World.deployed()


@pytest.fixture
def before(world: World) -> Any:
    """The template's settings as they were before it was registered."""
    return {**world.settings(), "recording": None}


def test_order_is_that_in_which_nothing_is_lost(world: World, before: Any) -> None:
    """Templates, then keys, then objects, then the stack; the memory is the last object to go."""
    apply(world.teardown().plan())
    check_gone(world, before)
    assert world.inactive == {"AKIAOURS", "AKIAREADER"}
    deletions = [number for number, event in enumerate(world.events) if event.startswith("delete ")]
    assert [event.split()[0] for event in world.events[: deletions[0]]] == ["deactivate", "deactivate"]
    assert world.events[deletions[-1]] == "delete .recordings/teardown"
    assert world.events[deletions[-1] + 1 :] == ["destroy", "rm"]


def test_killed_before_every_step(world: World, before: Any) -> None:
    """However often it is killed, one step further each time, the last run ends clean."""
    for number in range(len(world.teardown().plan().steps)):
        one = World.deployed()
        settings = {**one.settings(), "recording": None}
        for _ in range(2):
            with pytest.raises(KilledError):
                apply(one.teardown().plan(), killed_before=min(number, len(one.teardown().plan().steps) - 1))
        apply(one.teardown().plan())
        check_gone(one, settings)


def test_killed_and_the_bucket_deleted_by_hand(world: World) -> None:
    """Whatever was done before, a bucket that somebody deleted leaves no template that points at it, and no stack."""
    for number in range(len(world.teardown().plan().steps) - 1):
        one = World.deployed()
        settings = {**one.settings(), "recording": None}
        with pytest.raises(KilledError):
            apply(one.teardown().plan(), killed_before=number)
        one.store.gone = True
        one.store.objects.clear()
        one.store.old.clear()
        one.store.uploads.clear()
        apply(one.teardown().plan())
        check_gone(one, settings)


def test_dry_run_plans_the_steps_that_apply_runs(world: World) -> None:
    """Planning changes nothing, so a second plan is the same, and running it runs those steps."""
    kept = dict(world.store.objects)
    first, second = world.teardown().plan(), world.teardown().plan()
    assert world.store.objects == kept
    assert world.events == []
    assert [(step.title, step.details) for step in first.steps] == [(step.title, step.details) for step in second.steps]
    titles = " > ".join(step.title for step in first.steps)
    for word in ("put back", "wait until", "inactive (writer, blue)", "delete every object", "destroy", "remove"):
        assert word in titles


def test_recordings_stay_without_force_destroy() -> None:
    """Where the configuration does not let them go they are counted, and nothing at all is changed."""
    world = World.deployed(forceDestroy=False)
    settings, kept = world.settings(), dict(world.store.objects)
    with pytest.raises(CheckFailedError, match=r"2 versions of recordings \(14 B\).*forceDestroy") as refused:
        world.teardown().plan()
    assert refused.value.exit_code == 1
    assert (world.settings(), world.store.objects, world.events) == (settings, kept, [])


def test_bucket_without_recordings_needs_no_force_destroy() -> None:
    """What commands keep in the bucket is no recording, nor is a delete marker."""
    world = World.deployed(forceDestroy=False)
    world.store.objects = {key: value for key, value in world.store.objects.items() if key.startswith(".recordings/")}
    world.store.old = [version for version in world.store.old if version.is_marker]
    apply(world.teardown().plan())
    assert world.stacks == {}


@pytest.mark.parametrize("status", ["starting", "running", "stopping", "post_processing"])
def test_recording_on_its_way_is_waited_for(status: str, world: World, before: Any) -> None:
    """Templates are back, and nothing else is done: exit code 4 and the time to come back; then the rest is done."""
    id_ = world.record(status)
    with pytest.raises(NotDueError, match=id_) as waits:
        apply(world.teardown().plan())
    assert waits.value.until > datetime.now(UTC)
    assert world.settings() == before
    assert world.events == []
    world.api.state.recordings[id_]["status"] = "completed"
    apply(world.teardown().plan())
    check_gone(world, before)


def test_running_recording_is_stopped_where_wanted(world: World) -> None:
    """`--stop-recordings` stops it, and waits for what it leaves; without it, it runs on."""
    id_ = world.record("running")
    with pytest.raises(NotDueError, match="--stop-recordings"):
        apply(world.teardown().plan())
    assert world.api.state.recordings[id_]["status"] == "running"
    with pytest.raises(NotDueError, match="stopping"):
        apply(world.teardown(STOP).plan())
    assert world.api.state.recordings[id_]["status"] == "stopping"


def test_waiting_ends_when_it_is_delivered(world: World) -> None:
    """Within `--wait` it looks again and again, and goes on as soon as nothing is left."""
    id_ = world.record("post_processing")
    sleep = world.clock.sleep

    def deliver(seconds: float) -> None:
        sleep(seconds)
        if len(world.clock.slept) == 3:
            world.api.state.recordings[id_]["status"] = "completed"

    world.clock.sleep = deliver  # type: ignore[method-assign]
    apply(world.teardown(wait=timedelta(minutes=30)).plan())
    assert world.stacks == {}
    assert len(world.clock.slept) == 3


def test_others_recordings_are_not_waited_for(world: World) -> None:
    """Of another template, in a room with other storage, begun after the templates were back, or lost for a day."""
    other = world.api.seed(templates=[{}])["templates"][0]
    world.record("running", template=other)
    elsewhere = {"type": "s3", "location": "elsewhere", "credentials": {"key": "k", "secret": "s"}}
    world.record("running", room={"recording_info": {"enabled": True, "upload_info": elsewhere}})
    world.record("running", created_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    yesterday = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    world.record("post_processing", created_at=yesterday, stopped_at=yesterday)
    apply(world.teardown().plan())
    assert world.stacks == {}


def test_room_of_its_own_stops_it(world: World) -> None:
    """A room that has the bucket in settings of its own would keep a dead key: refused, unless accepted by name."""
    own = {"type": "s3", "location": world.store.bucket, "credentials": {"key": "k", "secret": "s"}}
    room = world.api.seed(rooms=[{"recording_info": {"enabled": True, "upload_info": own}}])["rooms"][0]
    with pytest.raises(CheckFailedError, match=room):
        world.teardown().plan()
    assert world.events == []
    apply(world.teardown(Wish(leave_rooms=True)).plan())
    assert world.stacks == {}


def test_template_registered_by_hand_stops_it(world: World) -> None:
    """A template that points at the bucket and of which nothing is remembered would keep a dead key."""
    other = world.api.seed(templates=[{}])["templates"][0]
    world.api.state.templates[other]["settings"] = world.api.state.templates[world.template]["settings"]
    with pytest.raises(CheckFailedError, match=other):
        world.teardown().plan()
    assert world.events == []


def test_unknown_template_stops_it() -> None:
    """Credentials of another workspace know none of the stack's templates: nothing is changed, unless accepted."""
    world = World.deployed()
    del world.api.state.templates[world.template]
    with pytest.raises(CheckFailedError, match="another workspace"):
        world.teardown().plan()
    apply(world.teardown(Wish(accept_missing_templates=True)).plan())
    assert world.stacks == {}


def test_keys_of_others_stay_as_they_are() -> None:
    """A key that somebody else made and looks after is never touched."""
    world = World.deployed(externalIdentities=["writer"])
    apply(world.teardown().plan())
    assert world.inactive == {"AKIAREADER"}


def test_wrong_account_stops_it() -> None:
    """The guards of the configuration hold here too."""
    world = World.deployed()
    world.raw["expectedAccount"] = "999999999999"
    with pytest.raises(GuardError, match="expectedAccount"):
        world.teardown().plan()


def test_protected_stack_is_unprotected_once_named() -> None:
    """With its name typed, an empty protected stack goes: its resources are let go before `destroy`."""
    world = World.deployed(forceDestroy=False, protect=True)
    world.store.objects = {key: value for key, value in world.store.objects.items() if key.startswith(".recordings/")}
    world.store.old.clear()
    apply(world.teardown().plan())
    assert world.events[-3:] == ["unprotect", "destroy", "rm"]


def test_stack_file_of_a_lasting_stack_is_kept() -> None:
    """Only a test stack's file was made for it alone."""
    world = World.deployed(expiresAt=None)
    apply(world.teardown().plan())
    assert world.events[-1] == "rm and keep file"


# who may be taken down just like that


@pytest.mark.parametrize(
    ("character", "word"),
    [
        (Character("prod", False, True, EXPIRES), "environment is prod"),
        (Character("production", False, True, EXPIRES), "environment is production"),
        (Character("staging", False, True, EXPIRES), "environment is staging"),
        (Character("test", True, False, EXPIRES), "protected"),
        (Character("dev", False, True, None), "expiresAt"),
        (Character("dev", False, True, "soon"), "expiresAt"),
        (Character(), "expiresAt"),
    ],
)
def test_lasting_stack_must_be_named(character: Character, word: str, world: World) -> None:
    """Each reason alone is enough; another name is none, the right one is."""
    target = Target(Listed(NAME, 16), character, world.outputs)
    for typed in (None, "", "pr-8"):
        with pytest.raises(UsageError, match=word):
            check_named(target, typed)
    check_named(target, NAME)


def test_test_stack_and_empty_stack_need_no_name(world: World) -> None:
    """A stack with an end, one in which nothing is left, and one that our records have for a test stack."""
    check_named(Target(Listed(NAME, 16), Character("test", False, True, EXPIRES), world.outputs), None)
    check_named(Target(Listed(NAME, 0), Character()), None)
    check_named(Target(Listed(NAME, 3), Character(), known_test=True), None)
    with pytest.raises(UsageError):
        check_named(Target(Listed(NAME, 3), Character()), None)
    with pytest.raises(UsageError, match="protected"):
        check_named(Target(Listed(NAME, 3), Character(protect=True), world.outputs, known_test=True), None)
