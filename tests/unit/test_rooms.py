"""Rooms with storage of their own: found, judged, brought up to date, and nothing else of them touched."""

from __future__ import annotations

import copy
import json
from functools import partial
from typing import Any

import httpx
import pytest

from recordings.errors import ConflictError, GuardError, HmsNotFoundError, HmsRefusedError
from recordings.registration import Place
from recordings.rooms import FOLDER, State, plan_update, survey
from tests.unit.hms_fake import CUSTOMER, KilledError, MemoryStore, place, stack_outputs
from tests.unit.hms_workspace import Workspace
from tests.unit.rotation_world import Fuse, no_fuse

FORMER = {"bucketName": "former-bucket", "region": "eu-central-1", "pathPrefix": ""}


def info(location: str = "our-bucket", prefix: str | None = "recordings/room", key: str = "AKIAOLD") -> dict[str, Any]:
    upload: dict[str, Any] = {
        "type": "s3",
        "location": location,
        "options": {"region": "eu-central-1", "more": 1},
        "credentials": {"key": key, "secret": f"secret-of-{key}"},
        "unknown": {"deep": [1]},
    }
    if prefix is not None:
        upload["prefix"] = prefix
    return {"enabled": True, "unknown": "kept", "upload_info": upload}


class Site:
    """A workspace with rooms, and a bucket to remember in."""

    def __init__(self, **outputs: Any) -> None:
        self.hms, self.store = Workspace(), MemoryStore()
        self.outputs = stack_outputs(formerBuckets=[FORMER], **outputs)

    def place(self, **outputs: Any) -> Place:
        made = self.outputs.model_copy(update=outputs) if outputs else self.outputs
        return place(self.hms, self.store, made)

    def add(self, id_: str, own: dict[str, Any] | None, **fields: Any) -> None:
        self.hms.add_room(id_, "t1", own, **fields)

    def states(self, **outputs: Any) -> dict[str, State]:
        return {room.id: room.state for room in survey(self.place(**outputs))}

    def update(self, *ids: str) -> dict[str, str]:
        intent = plan_update(self.place(), ids)
        intent.plan.apply()
        return dict(intent.rooms)

    def key(self, id_: str) -> str:
        return str(self.hms.rooms[id_]["_credentials"]["key"])


@pytest.fixture
def site() -> Site:
    made = Site()
    made.add("follows", None)
    made.add("ours", info())
    made.add("disabled", info(), enabled=False)
    made.add("former", info("former-bucket"))
    made.add("theirs", info("their-bucket"))
    made.add("outside", info(prefix="elsewhere"))
    made.add("default", info(prefix=None))
    made.add("none", {"enabled": False, "upload_info": {}})
    return made


STATES = {
    "ours": State.UNKNOWN,
    "disabled": State.UNKNOWN,
    "former": State.FORMER,
    "theirs": State.ELSEWHERE,
    "outside": State.OUTSIDE,
    "default": State.OUTSIDE,
    "none": State.NONE,
}


def test_survey_finds_all_and_judges_each(site: Site) -> None:
    """Disabled rooms too; a room that follows its template is none; a key that is not shown is not guessed at."""
    found = {room.id: room for room in survey(site.place())}
    assert {id_: room.state for id_, room in found.items()} == STATES
    assert found["ours"].location == "s3://our-bucket/recordings/room"
    assert (found["ours"].key, found["ours"].enabled, found["disabled"].enabled) == (None, True, False)
    assert "secret" not in repr(found)


def test_update_brings_what_is_ours_and_only_its_storage(site: Site) -> None:
    """Key, or bucket and key; the room's other fields and the rest of its settings stay. A second run does nothing."""
    before = copy.deepcopy(site.hms.rooms)
    states = site.update()
    assert {id_ for id_, state in states.items() if state == "brought up to date"} == {"ours", "disabled", "former"}
    for id_, room in site.hms.rooms.items():
        was = before[id_]
        if id_ not in ("ours", "disabled", "former"):
            assert room == was
            continue
        assert site.key(id_) == "AKIAOURS"
        upload = {**was["recording_info"]["upload_info"], "location": "our-bucket"}
        assert room["recording_info"] == {**was["recording_info"], "upload_info": upload}
        assert {**room, "updated_at": 0, "recording_info": 0, "_credentials": 0} == {
            **was, "updated_at": 0, "recording_info": 0, "_credentials": 0,
        }  # fmt: skip
    posts = site.hms.posts()
    assert site.update()["ours"] == "up to date"
    assert site.hms.posts() == posts == 3


def test_key_is_known_while_nobody_writes(site: Site) -> None:
    """What was written here is remembered; after a rotation it is stale, and after another's change unknown again."""
    site.update()
    assert site.states()["ours"] is State.CURRENT
    assert {room.id: room.key for room in survey(site.place())}["ours"] == "AKIAOURS"
    assert site.states(writer_access_key_id="AKIANEW")["ours"] is State.STALE
    site.hms.rooms["ours"]["updated_at"] = "later"
    assert site.states()["ours"] is State.UNKNOWN


def test_first_settings_are_remembered(site: Site) -> None:
    """What a room had at first is kept through later updates, encrypted."""
    before = copy.deepcopy(site.hms.rooms["former"]["recording_info"])
    site.update()
    site.outputs = stack_outputs(key="AKIANEW", formerBuckets=[FORMER])
    site.update()
    known = site.place().memory.read(f"{FOLDER}former")
    assert known is not None
    assert known.value["before"] == {"recording_info": before, "recording_source_template": False}
    assert known.value["written"]["key"] == "AKIANEW"
    assert b"former-bucket" not in site.store.objects[f".recordings/{FOLDER}former"][0]


def test_named_rooms_are_moved_from_anywhere(site: Site) -> None:
    """--room moves a room from whatever storage; its prefix becomes ours where the writer could not write."""
    states = site.update("theirs", "outside", "none", "follows", "gone")
    assert states == {
        "theirs": "brought up to date", "outside": "brought up to date", "none": "brought up to date",
        "follows": "records as its template says", "gone": "not found at 100ms",
    }  # fmt: skip
    prefixes = {
        id_: site.hms.rooms[id_]["recording_info"]["upload_info"]["prefix"] for id_ in ("theirs", "outside", "none")
    }
    assert prefixes == {"theirs": "recordings/room", "outside": "recordings", "none": "recordings"}
    assert site.hms.rooms["none"]["recording_info"]["enabled"] is False
    assert site.key("ours") == "AKIAOLD"
    assert plan_update(site.place(), ["gone"]).faults


def test_list_that_shows_less_is_looked_into() -> None:
    """ "List rooms" may name the settings otherwise: `recording_source_template: false` alone is reason to ask."""
    site = Site()
    site.add("ours", info())
    whole = site.hms.page

    def brief(items: list[dict[str, Any]]) -> httpx.Response:
        return whole([{k: v for k, v in item.items() if k != "recording_info"} for item in items])

    site.hms.page = brief  # type: ignore[method-assign]
    assert site.states() == {"ours": State.UNKNOWN}


def test_room_that_is_listed_and_not_shown_is_not_taken_to_be_gone(site: Site) -> None:
    """Or a rotation would take away the key that 100ms has for it."""
    site.hms.before = lambda what: site.hms.refusal(404, "no") if what == "GET /rooms/ours" else None
    with pytest.raises(HmsNotFoundError, match="ours"):
        site.states()


def test_shown_key_is_believed() -> None:
    """If 100ms shows the key of a room, no memory is asked."""
    site = Site()
    site.add("new", info(key="AKIAOURS"))
    site.add("old", info())
    for room in site.hms.rooms.values():
        room["recording_info"]["upload_info"]["credentials"] = room["_credentials"]
    assert site.states() == {"new": State.CURRENT, "old": State.STALE}


def test_other_customer_is_refused() -> None:
    """A room of another workspace is not touched."""
    site = Site(expectedCustomer="0" * 24)
    site.add("ours", info())
    with pytest.raises(GuardError, match=f"room ours belongs to 100ms customer '{CUSTOMER}'"):
        site.update()
    assert site.key("ours") == "AKIAOLD"


def test_change_of_another_is_not_overwritten(site: Site) -> None:
    """Between our reading and our writing somebody moved the room: theirs stays, and it is said."""
    plan = plan_update(site.place(), ["ours"]).plan
    site.hms.rooms["ours"]["recording_info"]["upload_info"]["location"] = "moved"
    with pytest.raises(ConflictError, match="changed by somebody else"):
        plan.apply()
    assert site.hms.rooms["ours"]["recording_info"]["upload_info"]["location"] == "moved"


def test_other_field_that_changes_meanwhile_is_told(site: Site) -> None:
    """Reading back, a description that changed at the same moment is a conflict; nothing is put back over it."""

    def meddle(what: str) -> None:
        if what == "POST /rooms/ours":
            site.hms.rooms["ours"]["description"] = "theirs"

    site.hms.after = meddle
    with pytest.raises(ConflictError, match="reads back otherwise"):
        site.update("ours")
    assert site.hms.rooms["ours"]["description"] == "theirs"


def test_new_key_that_100ms_refuses_at_first(site: Site) -> None:
    """A new key is tried again for a while; another refusal is not."""
    left = [site.hms.refusal(400, "Invalid upload configuration")] * 3
    site.hms.before = lambda what: left.pop() if what == "POST /rooms/ours" and left else None
    site.update("ours")
    assert site.key("ours") == "AKIAOURS"
    site.hms.before = lambda what: site.hms.refusal(400, "no") if what.startswith("POST") else None
    with pytest.raises(HmsRefusedError, match="400: no"):
        site.update("theirs")


@pytest.mark.parametrize("lost", ["before", "after"])
def test_lost_answers_are_outlived(site: Site, lost: str) -> None:
    """A POST whose answer is lost, before or after its effect, ends in the right settings, read before each try."""
    left = [1, 2]

    def lose(what: str) -> httpx.Response | None:
        return httpx.Response(503) if what == "POST /rooms/ours" and left and left.pop() else None

    setattr(site.hms, lost, lose)
    site.update("ours")
    assert site.key("ours") == "AKIAOURS"
    places = [n for n, entry in enumerate(site.hms.log) if entry == "POST /rooms/ours"]
    assert len(places) == 3
    assert all(site.hms.log[n - 1] == "GET /rooms/ours" for n in places)


def _burn(fuse: Fuse, verb: str, what: str) -> None:
    if what.startswith(verb):
        fuse(f"after {what}")


def test_update_killed_after_every_effect() -> None:
    """The next run completes it, and what the rooms had at first is remembered all the same."""
    for effects in range(40):
        site = Site()
        for id_ in ("one", "two"):
            site.add(id_, info("former-bucket"))
        fuse = Fuse(effects)
        site.hms.after, site.store.after = partial(_burn, fuse, "POST"), partial(_burn, fuse, "put")
        try:
            site.update()
            finished = True
        except KilledError:
            finished = False
        site.hms.after = site.store.after = no_fuse
        site.update()
        assert site.states() == {"one": State.CURRENT, "two": State.CURRENT}
        for id_ in ("one", "two"):
            known = site.place().memory.read(FOLDER + id_)
            assert known is not None
            assert "former-bucket" in json.dumps(known.value["before"])
        if finished:
            break
    assert effects == 6


def test_steps_show_no_secret(site: Site) -> None:
    """Details name the key's id alone."""
    steps = plan_update(site.place()).plan.steps
    told = json.dumps([[step.title, *step.details] for step in steps])
    assert "~ recording_info.upload_info.credentials.key: 'not shown' => 'AKIAOURS'" in told
    assert "~ recording_info.upload_info.location: 'former-bucket' => 'our-bucket'" in told
    assert "secret" not in told
