"""Rotations whose steps somebody undoes, or that a pipeline deploys: told, put right, and nothing is harmed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from recordings.errors import ConfigurationError, NotDueError
from recordings.rotation import Role
from tests.unit.rotation_world import BOTH, World, hours, slots, waits, write


@pytest.fixture
def s3(tmp_path: Path) -> World:
    return World(tmp_path)


def test_up_from_an_old_file_is_refused(s3: World) -> None:
    """After the hand-over a repository without the steps can't take the new key away: the settings see to it."""
    old = s3.path.read_text()
    error = waits(s3)
    committed = s3.path.read_text()
    s3.path.write_text(old)
    with pytest.raises(ConfigurationError, match="Keep green: active"):
        s3.up()
    s3.wait_for(error.until)
    s3.until_done(most=5, advance=False)
    assert "it was not committed" in " ".join(s3.told)
    s3.assert_whole("green")
    assert yaml.safe_load(s3.path.read_text())["config"].keys() == yaml.safe_load(committed)["config"].keys()


@pytest.mark.parametrize("registered", [True, False])
def test_undone_hand_over_is_done_again(s3: World, registered: bool) -> None:
    """`up` from a file of an earlier step, or a registration too: told, handed over again, and the wait begins anew."""
    first = waits(s3)
    write(s3, registeredKey="blue", writerKeys=BOTH)
    s3.up()
    if registered:
        s3.hms.settings["t1"] = s3.registered("AKIAWRITER1")
    s3.wait_for(first.until)
    again = waits(s3)
    assert hours(s3, again.until) == pytest.approx(72)
    assert "which is no step of this rotation" in " ".join(s3.told)
    s3.go_on()
    s3.assert_whole("green")


def test_template_with_the_old_key_again_is_given_the_new_one(s3: World) -> None:
    """Somebody's registration of the old key, while the rotation waits: the wait begins anew."""
    first = waits(s3)
    s3.hms.settings["t2"] = s3.registered("AKIAWRITER1")
    s3.wait_for(first.until)
    assert hours(s3, waits(s3).until) == pytest.approx(72)
    s3.go_on()
    s3.assert_whole("green")


def test_old_key_that_wakes_up_again_goes_again(s3: World) -> None:
    """Deployed from the file before the last step: the old key is put to sleep, probed and removed after all."""
    error = waits(s3)
    before = s3.path.read_text()
    s3.wait_for(error.until)
    s3.run(advance=True)
    assert not s3.cloud.keys[Role.WRITER, "blue"].active
    s3.path.write_text(before)
    s3.up()
    s3.go_on()
    s3.assert_whole("green")


def test_replaced_new_key_is_proved_and_registered(s3: World) -> None:
    """If the key in the new slot is another one now, it is proved and given to 100ms before anything else."""
    waits(s3)
    del s3.cloud.keys[Role.WRITER, "green"]
    for room in list(s3.hms.rooms):
        s3.hms.rooms.pop(room)  # nobody records while nothing works
    s3.up()
    assert "AKIAWRITER4" in str(s3.outputs().writer_keys)
    waits(s3)
    assert s3.hms.settings["t1"]["recording"]["upload"]["credentials"]["key"] == "AKIAWRITER4"


# A pipeline deploys


def test_no_deploy_changes_the_file_and_waits_for_the_outputs(s3: World) -> None:
    """The file is written, `up` is not run; every step waits with exit 4 until the outputs show it."""
    s3.deploys = False
    ups = 0
    for _ in range(30):
        try:
            s3.run(advance=s3.under_way())
        except NotDueError as error:
            if "pipeline" not in str(error):
                s3.wait_for(error.until)
            else:
                assert "pipeline has deployed" in str(waits(s3, advance=True))
                s3.up()
                ups += 1
        if not s3.under_way():
            break
    s3.assert_whole("green")
    assert ups == 4
    assert s3.told == []


def test_no_deploy_of_a_file_that_was_not_committed(s3: World) -> None:
    """A checkout without the step that was written is told so, and gets it again."""
    s3.deploys = False
    old = s3.path.read_text()
    waits(s3)
    s3.path.write_text(old)
    assert "pipeline has deployed" in str(waits(s3))
    assert "it was not committed" in s3.told[0]
    assert slots(s3)["recordings:writerKeys"] == BOTH
