"""Slots in the stack's file: read with every default, written with every comment kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from recordings.adoption.stack_file import StackFile
from recordings.outputs import KeyStatus
from recordings.rotation.slots import Role, Slots, write, written

ACTIVE, INACTIVE = KeyStatus.ACTIVE, KeyStatus.INACTIVE
PROJECT = """\
name: recordings
config:
  writerKeys: {type: object, default: {blue: active}}
  readerKeys: {type: object, default: {blue: active}}
  registeredKey: {type: string, default: blue}
  signingKey: {type: string, default: ""}
"""
COURSE = [
    Slots({"blue": ACTIVE, "green": ACTIVE}, "blue"),
    Slots({"blue": ACTIVE, "green": ACTIVE}, "green"),
    Slots({"blue": INACTIVE, "green": ACTIVE}, "green"),
    Slots({"green": ACTIVE}, "green"),
    Slots({"green": ACTIVE, "blue": ACTIVE}, "green"),
    Slots({"green": INACTIVE, "blue": ACTIVE}, "blue"),
    Slots({"blue": ACTIVE}, "blue"),
]
COMMENTED = """\
# first line
config:
  aws:region: us-east-1  # beside the region
  recordings:writerKeys:
    # of the first key
    blue: active  # since March
  # of the tags, which come after the slots
  recordings:tags:
    team: video
  # the last one
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text(PROJECT)
    return tmp_path / "Pulumi.dev.yaml"


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("text", ["", "config: {}\n", COMMENTED, COMMENTED.replace("writerKeys", "readerKeys")])
def test_every_step_is_read_as_it_was_written(path: Path, role: Role, text: str) -> None:
    """Twice round the course: what is written is read again, and nothing else in the file changes."""
    path.write_text(text)
    rest = _without_slots(text, role)
    for slots in COURSE * 2:
        write(StackFile.open(path), role, slots)
        assert written(StackFile.open(path), role) == slots
        assert _without_slots(path.read_text(), role) == rest


def _without_slots(text: str, role: Role) -> dict[str, Any]:
    config = (yaml.safe_load(text) or {}).get("config") or {}
    own = {f"recordings:{role.keys_name}", f"recordings:{role.pointer_name}"}
    return {key: value for key, value in config.items() if key not in own}


def test_comments_stay(path: Path) -> None:
    """A whole rotation loses no comment, but the one beside a slot that is removed; and none moves to another key."""
    path.write_text(COMMENTED)
    for slots in COURSE[:4]:
        write(StackFile.open(path), Role.WRITER, slots)
        lines = path.read_text().splitlines()
        for comment in ("# first line", "# of the tags, which come after the slots", "# the last one"):
            assert comment in [line.strip() for line in lines], path.read_text()
        place = next(n for n, line in enumerate(lines) if "# of the tags" in line)
        assert lines[place + 1].strip() == "recordings:tags:"
        assert "  aws:region: us-east-1  # beside the region" in lines
    assert "since March" not in path.read_text()


def test_comments_beside_both_slots_stay_apart(path: Path) -> None:
    """Where the slot that stays has a comment of its own, what follows the map is put below it."""
    path.write_text(
        "config:\n  recordings:writerKeys:\n    green: active  # new\n    blue: active  # old\n  # next\n  a:b: c\n"
    )
    write(StackFile.open(path), Role.WRITER, Slots({"green": ACTIVE}, "green"))
    assert "    green: active  # new\n  # next\n  a:b: c\n" in path.read_text()


@pytest.mark.parametrize(
    ("config", "role", "pointer"),
    [
        ({}, Role.WRITER, "blue"),
        ({"registeredKey": "green"}, Role.WRITER, "green"),
        ({}, Role.READER, "blue"),
        ({"readerKeys": {"green": "active"}}, Role.READER, "green"),
        ({"registeredKey": "green"}, Role.READER, "blue"),
        ({"registeredKey": "green", "readerKeys": {"blue": "active", "green": "active"}}, Role.READER, "green"),
        ({"signingKey": "blue", "registeredKey": "green", "readerKeys": {"blue": "active", "green": "active"}},
         Role.READER, "blue"),
        ({"readerKeys": '{"green": "active"}'}, Role.READER, "green"),
    ],
)  # fmt: skip
def test_slot_in_use_is_the_one_that_the_settings_choose(
    path: Path, config: dict[str, Any], role: Role, pointer: str
) -> None:
    """Defaults, and text as `pulumi config set` writes it, mean here what they mean there."""
    path.write_text(yaml.safe_dump({"config": {f"recordings:{key}": value for key, value in config.items()}}))
    assert written(StackFile.open(path), role).pointer == pointer


@given(
    order=st.permutations(["blue", "green"]),
    comments=st.lists(
        st.sampled_from(["", "  # beside", "\n    # below", "  # beside\n    # below"]), min_size=2, max_size=2
    ),
    steps=st.lists(st.sampled_from(COURSE), max_size=5),
)
def test_any_file_stays_one(
    tmp_path_factory: pytest.TempPathFactory, order: list[str], comments: list[str], steps: list[Slots]
) -> None:
    """Whatever order and comments the slots have, each step is read back, and what follows them is untouched."""
    folder = tmp_path_factory.mktemp("file")
    (folder / "Pulumi.yaml").write_text("name: recordings\n")
    path = folder / "Pulumi.dev.yaml"
    slots = "".join(f"    {slot}: active{comment}\n" for slot, comment in zip(order, comments, strict=True))
    path.write_text(f"config:\n  recordings:writerKeys:\n{slots}  # after\n  a:b: c\n")
    for step in steps:
        write(StackFile.open(path), Role.WRITER, step)
        assert written(StackFile.open(path), Role.WRITER) == step
        assert "  # after\n  a:b: c\n" in path.read_text()
