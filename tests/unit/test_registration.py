"""Registering and unregistering templates: what is changed, in which order, and what stops it."""

from __future__ import annotations

import copy
from typing import Any

import httpx
import pytest

from recordings.errors import (
    CheckFailedError,
    ConfigurationError,
    ConflictError,
    GuardError,
    HmsError,
    HmsNotFoundError,
    HmsRefusedError,
    UsageError,
)
from recordings.registration import Intent, plan_register, plan_unregister, template_ids, with_doubt
from recordings.upload_settings import Upload, differences
from tests.unit.hms_fake import CUSTOMER, FakeHms, MemoryStore, foreign_settings, place, stack_outputs, unset_settings

VOD = {"hlsDestinations": {"main": {"recording": {"hlsVod": True}}}}


@pytest.fixture
def hms() -> FakeHms:
    return FakeHms(settings={"t1": foreign_settings(), "t2": unset_settings(), "t3": {"region": "us"}})


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def register(hms: FakeHms, store: MemoryStore, *ids: str, **options: Any) -> Intent:
    outputs = options.pop("outputs", None)
    intent = plan_register(place(hms, store, outputs), ids or ("t1",), **options)
    intent.plan.apply()
    return intent


def unregister(hms: FakeHms, store: MemoryStore, *ids: str, **options: Any) -> Intent:
    intent = plan_unregister(place(hms, store, options.get("outputs")), ids)
    intent.plan.apply()
    return intent


def is_registered(hms: FakeHms, id_: str, **outputs: Any) -> bool:
    return differences(hms.settings[id_], Upload.from_outputs(stack_outputs(**outputs))) == []


@pytest.mark.parametrize("id_", ["t1", "t2", "t3"])
def test_register_and_unregister_leave_the_template_as_it_was(id_: str, hms: FakeHms, store: MemoryStore) -> None:
    """After both, the settings are as before: other storage, null and absent alike; nothing is remembered any more."""
    before = copy.deepcopy(hms.settings[id_])
    register(hms, store, id_)
    assert is_registered(hms, id_)
    unregister(hms, store, id_)
    assert hms.settings[id_] == before
    assert store.objects == {}


def test_register_changes_the_upload_alone(hms: FakeHms, store: MemoryStore) -> None:
    """Unknown fields survive at every level of the document that is sent."""
    register(hms, store)
    now = hms.settings["t1"]
    assert now["unknownTop"] == [1, 2, 3]
    assert now["recording"]["unknownRecording"] == "kept"
    assert now["recording"]["upload"]["unknownUpload"] == {"deep": [1, {"er": True}]}
    assert now["recording"]["upload"]["options"] == {"region": "eu-central-1", "unknownOption": 1}


def test_register_twice_writes_nothing_the_second_time(hms: FakeHms, store: MemoryStore) -> None:
    """A second run plans no step and writes neither template nor memory."""
    register(hms, store, "t1", "t2", "t3")
    writes = hms.posts(), store.writes
    again = register(hms, store, "t1", "t2", "t3")
    assert again.plan.steps == ()
    assert set(again.templates.values()) == {"was registered already"}
    assert (hms.posts(), store.writes) == writes


def test_register_remembers_before_it_writes(hms: FakeHms, store: MemoryStore) -> None:
    """The first write of all is the memory; the template follows."""
    order: list[str] = []
    store.before = order.append
    hms.before = lambda what: order.append(what) if what.startswith("POST") else None
    register(hms, store)
    assert order == ["put .recordings/registration/t1", "POST /templates/t1/settings"]


def test_register_plans_without_writing(hms: FakeHms, store: MemoryStore) -> None:
    """A plan that is not applied changes nothing, and shows the steps that apply runs, with no secret."""
    intent = plan_register(place(hms, store), ("t1",))
    assert (hms.posts(), store.writes) == (0, 0)
    assert [step.title for step in intent.plan.steps] == [
        "remember the settings that template t1 has now",
        "register bucket our-bucket with template t1",
    ]
    shown = "\n".join(line for step in intent.plan.steps for line in step.details)
    assert "'their-bucket' => 'our-bucket'" in shown
    assert "secret-of" not in shown


def test_register_after_a_rotation_keeps_the_first_original(hms: FakeHms, store: MemoryStore) -> None:
    """Registering our new key over our old one forgets nothing: unregister still gives the first settings back."""
    before = copy.deepcopy(hms.settings["t1"])
    register(hms, store)
    rotated = stack_outputs(key="AKIANEW")
    register(hms, store, outputs=rotated)
    assert is_registered(hms, "t1", key="AKIANEW")
    unregister(hms, store, outputs=rotated)
    assert hms.settings["t1"] == before


def test_register_again_after_somebody_moved_the_template(hms: FakeHms, store: MemoryStore) -> None:
    """What is remembered is what was there before the last move to our bucket."""
    register(hms, store)
    moved = unset_settings()
    hms.settings["t1"] = copy.deepcopy(moved)
    register(hms, store)
    unregister(hms, store)
    assert hms.settings["t1"] == moved


def test_register_where_answers_mask_secrets(hms: FakeHms, store: MemoryStore) -> None:
    """Where 100ms shows no secrets, the key id decides: the second run still writes nothing."""
    hms.mask_secrets = True
    register(hms, store, "t2")
    assert is_registered(hms, "t2")
    assert register(hms, store, "t2").plan.steps == ()


def test_register_refuses_what_it_could_not_put_back(hms: FakeHms, store: MemoryStore) -> None:
    """Other storage whose secret is not shown stops it, unless accepted; unregister then says that it can't."""
    hms.mask_secrets = True
    with pytest.raises(CheckFailedError, match="--accept-unrestorable"):
        register(hms, store, "t1", "t2")
    assert (hms.posts(), store.writes) == (0, 0)
    register(hms, store, "t1", accept_unrestorable=True)
    back = unregister(hms, store, "t1")
    assert "cannot be put back" in back.faults[0]
    assert is_registered(hms, "t1")
    assert store.objects


def test_register_many_stops_at_the_first_failure(hms: FakeHms, store: MemoryStore) -> None:
    """What was done is said, the rest is named, and the second run completes it."""
    refusal = hms.refusal(400, "Invalid body param")
    hms.before = lambda what: refusal if what == "POST /templates/t2/settings" else None
    with pytest.raises(HmsRefusedError) as caught:
        register(hms, store, "t1", "t2", "t3")
    done, rest, _ = caught.value.__notes__[0].splitlines()
    assert "done: " in done
    assert "with template t1" in done
    assert "with template t2" in rest
    assert "with template t3" in rest
    hms.before = lambda _: None
    register(hms, store, "t1", "t2", "t3")
    assert all(is_registered(hms, id_) for id_ in ("t1", "t2", "t3"))


# Somebody else


def somebody_else(hms: FakeHms, **change: Any) -> None:
    hms.settings["t1"] = {**copy.deepcopy(hms.settings["t1"]), **change}


def test_register_change_between_plan_and_write(hms: FakeHms, store: MemoryStore) -> None:
    """A change that the second read shows is not overwritten, and is named by field."""
    intent = plan_register(place(hms, store), ("t1",))
    somebody_else(hms, region="in")
    theirs = copy.deepcopy(hms.settings["t1"])
    with pytest.raises(ConflictError, match="region"):
        intent.plan.apply()
    assert hms.settings["t1"] == theirs
    assert hms.posts() == 0


def test_register_somebody_registers_the_same_in_between(hms: FakeHms, store: MemoryStore) -> None:
    """If the second read shows what we want, there is nothing to write and no conflict."""
    intent = plan_register(place(hms, store), ("t1",))
    plan_register(place(hms, MemoryStore()), ("t1",)).plan.apply()
    posts = hms.posts()
    intent.plan.apply()
    assert hms.posts() == posts


def test_register_change_right_after_the_write(hms: FakeHms, store: MemoryStore) -> None:
    """A change that reading back shows is reported and left alone."""

    def overwrite(what: str) -> None:
        if what.startswith("POST"):
            hms.settings["t1"] = foreign_settings(region="in")

    hms.after = overwrite
    with pytest.raises(ConflictError, match="reads back otherwise"):
        register(hms, store)
    assert hms.settings["t1"] == foreign_settings(region="in")


def test_unregister_change_between_plan_and_write(hms: FakeHms, store: MemoryStore) -> None:
    """Putting back is as careful as registering, and forgets nothing when it stops."""
    register(hms, store)
    intent = plan_unregister(place(hms, store), ("t1",))
    somebody_else(hms, region="in")
    with pytest.raises(ConflictError):
        intent.plan.apply()
    assert hms.settings["t1"]["region"] == "in"
    assert store.objects


def test_unregister_leaves_a_template_that_moved_on(hms: FakeHms, store: MemoryStore) -> None:
    """A template that no longer uses our bucket is left alone, and what is remembered stays for later."""
    register(hms, store)
    hms.settings["t1"] = unset_settings()
    back = unregister(hms, store)
    assert "left alone" in back.templates["t1"]
    assert hms.settings["t1"] == unset_settings()
    assert store.objects


def test_unregister_keeps_fields_that_changed_since(hms: FakeHms, store: MemoryStore) -> None:
    """Only the upload goes back; what else was configured since stays."""
    register(hms, store, "t2")
    hms.settings["t2"]["recording"]["newSince"] = 1
    hms.settings["t2"]["region"] = "eu"
    unregister(hms, store, "t2")
    assert hms.settings["t2"] == {**unset_settings(), "region": "eu", "recording": {"newSince": 1}}


def test_unregister_twice(hms: FakeHms, store: MemoryStore) -> None:
    """The second run finds nothing to do."""
    register(hms, store, "t1", "t2")
    unregister(hms, store, "t1", "t2")
    assert unregister(hms, store, "t1", "t2").plan.steps == ()


def test_unregister_without_ids_takes_all_that_are_remembered(hms: FakeHms, store: MemoryStore) -> None:
    """Templates that were registered by --template are found again, beside those of the stack."""
    register(hms, store, "t1", "t2")
    back = unregister(hms, store, outputs=stack_outputs(templateIds=["t3"]))
    assert set(back.templates) == {"t1", "t2", "t3"}
    assert store.objects == {}


def test_unregister_nothing(hms: FakeHms, store: MemoryStore) -> None:
    """A stack that never was registered has nothing to put back."""
    assert unregister(hms, store).templates == {}


def test_unregister_where_100ms_knows_no_template_is_doubted(hms: FakeHms, store: MemoryStore) -> None:
    """With the credentials of another workspace nobody may think that the bucket's key can go now."""
    register(hms, store, "t1", "t2")
    kept = dict(hms.settings)
    hms.settings.clear()
    intent = with_doubt(plan_unregister(place(hms, store)))
    assert "another workspace" in "".join(intent.faults)
    hms.settings["t2"] = kept["t2"]
    assert not with_doubt(plan_unregister(place(hms, store))).faults


def test_unregister_a_template_that_is_not_found(hms: FakeHms, store: MemoryStore) -> None:
    """The others are put back; what is remembered of it stays: it may only be that the workspace is another one."""
    register(hms, store, "t1", "t2")
    del hms.settings["t1"]
    back = unregister(hms, store)
    assert back.templates == {"t1": "not found at 100ms", "t2": "put back as it was before"}
    assert hms.settings["t2"] == unset_settings()
    assert list(store.objects) == [".recordings/registration/t1"]


def test_unregister_without_a_memory(hms: FakeHms, store: MemoryStore) -> None:
    """A template that uses our bucket and of which nothing is remembered is a fault, with the way out."""
    register(hms, store)
    back = unregister(hms, MemoryStore(), "t1")
    assert "dashboard" in back.faults[0]
    assert is_registered(hms, "t1")


# What stops it before any change


def test_register_stops_for_hls_vod(hms: FakeHms, store: MemoryStore) -> None:
    """A template that would lose its playable links is listed and stops all, unless accepted."""
    hms.destinations["t2"] = VOD
    with pytest.raises(CheckFailedError, match=r"t2.*'main'[^T]*--accept-hls-vod"):
        register(hms, store, "t1", "t2")
    assert (hms.posts(), store.writes) == (0, 0)
    register(hms, store, "t1", "t2", accept_hls_vod=True)
    assert is_registered(hms, "t2")


@pytest.mark.parametrize(
    "destinations",
    [
        None,
        {},
        {"hlsDestinations": None},
        {"hlsDestinations": {"main": None}},
        {"hlsDestinations": {"main": {"recording": {"hlsVod": False, "singleFilePerLayer": True}}}},
        {"hlsDestinations": {"main": {"recording": {"hlsVod": True, "enableZipUpload": True}}}},
        {"rtmpDestinations": {"main": {"recordingEnabled": True}}},
    ],
)
def test_register_goes_on_where_no_playback_is_lost(destinations: Any, hms: FakeHms, store: MemoryStore) -> None:
    """Zipped VOD is played from nowhere, single files are files: neither stops it."""
    hms.destinations["t2"] = destinations
    register(hms, store, "t2")
    assert is_registered(hms, "t2")


def test_register_vod_that_lies_in_an_own_bucket_already(hms: FakeHms, store: MemoryStore) -> None:
    """From one own bucket to another nothing is lost by the move."""
    hms.destinations["t1"] = VOD
    register(hms, store, "t1")
    assert is_registered(hms, "t1")


@pytest.mark.parametrize(
    "outputs",
    [
        {"expectedAccount": "999999999999"},
        {"expectedRegions": ["us-east-1"]},
        {"expectedCustomer": "another"},
    ],
)
def test_guards_stop_before_any_change(outputs: dict[str, Any], hms: FakeHms, store: MemoryStore) -> None:
    """The wrong account, region or customer stops register and unregister with nothing written."""
    register(hms, store)
    writes, objects = hms.posts(), dict(store.objects)
    wrong = stack_outputs(**outputs)
    with pytest.raises(GuardError):
        register(hms, store, "t2", outputs=wrong)
    with pytest.raises(GuardError):
        unregister(hms, store, "t1", outputs=wrong)
    assert hms.posts() == writes
    assert store.objects == objects


def test_guards_pass_in_the_right_place(hms: FakeHms, store: MemoryStore) -> None:
    """With everything as expected the work is done."""
    right = stack_outputs(expectedAccount="000000000000", expectedRegions=["eu-central-1"], expectedCustomer=CUSTOMER)
    register(hms, store, outputs=right)
    assert is_registered(hms, "t1")


def test_register_with_an_inactive_key(hms: FakeHms, store: MemoryStore) -> None:
    """100ms is never given a key that cannot upload."""
    slot = {"id": "AKIAOURS", "secret": "s", "status": "inactive"}
    with pytest.raises(ConfigurationError, match="inactive"):
        register(hms, store, outputs=stack_outputs(writerKeys={"blue": slot}))
    assert hms.posts() == 0


def test_register_an_unknown_template(hms: FakeHms, store: MemoryStore) -> None:
    """One unknown template among many stops before anything is changed, and is named."""
    with pytest.raises(HmsNotFoundError, match="t9"):
        register(hms, store, "t1", "t9")
    assert (hms.posts(), store.writes) == (0, 0)


@pytest.mark.parametrize("body", [[], None, "text", 1, {"recording": 1}, {"recording": {"upload": []}}])
def test_register_settings_of_another_form(body: Any, hms: FakeHms, store: MemoryStore) -> None:
    """An answer that is no settings document is an error, and never becomes the base of a write."""
    hms.before = lambda what: httpx.Response(200, json=body) if what == "GET /templates/t1/settings" else None
    with pytest.raises(HmsError, match="100ms gave"):
        register(hms, store)
    assert (hms.posts(), store.writes) == (0, 0)


# Ids


def test_template_ids_given_win_over_the_stack() -> None:
    """Given ids are taken, each once and in order; else the stack's."""
    outputs = stack_outputs(templateIds=["t1", "t2", "t1"])
    assert template_ids(["b", "a", "b"], outputs) == ("b", "a")
    assert template_ids([], outputs) == ("t1", "t2")


def test_template_ids_none() -> None:
    """With no template both ways to name one are told."""
    with pytest.raises(UsageError, match=r"--template ID.*recordings:templateIds"):
        template_ids([], stack_outputs())


@pytest.mark.parametrize("bad", ["", " ", "a/b", "..", "t1?x=1", "t1\n", "ü", "x" * 65])
def test_template_ids_bad(bad: str) -> None:
    """What cannot be an id is refused before it becomes part of a URL or an object key."""
    with pytest.raises(UsageError, match="not a template id"):
        template_ids(["t1", bad], stack_outputs())
