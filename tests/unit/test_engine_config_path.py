"""A path names one value: setting it changes that one and keeps its neighbours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.engine.config_path import parse_path, put, typed
from sandbox.engine.errors import UsageError

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


def spelled(steps: list[str]) -> str:
    """A path in its most careful spelling."""
    quoted = (step.replace("\\", "\\\\").replace('"', '\\"') for step in steps[1:])
    return steps[0] + "".join(f'["{step}"]' for step in quoted)


def found(holder: Any, steps: list[str | int]) -> Any:
    for step in steps:
        holder = holder[step]
    return holder


@given(first=st.from_regex(r"[a-z]{1,5}:[a-zA-Z]{1,5}", fullmatch=True), rest=st.lists(NAMES, max_size=3))
def test_any_name_can_be_quoted(first: str, rest: list[str]) -> None:
    """Whatever characters a key has, a path leads to it."""
    assert parse_path(spelled([first, *rest])) == [first, *rest]


@given(steps=st.lists(NAMES, min_size=1, max_size=3), value=st.integers(), other=st.dictionaries(NAMES, st.none()))
def test_value_is_put_where_it_is_looked_for(steps: list[Any], value: int, other: dict[str, None]) -> None:
    """The value is there, and everything beside it as it was."""
    before = json.dumps(other)
    after = put(other, steps, value)
    assert found(after, steps) == value
    assert {key: after[key] for key in other if key != steps[0]} == {k: v for k, v in other.items() if k != steps[0]}
    assert json.dumps(other) == before


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("recordings:writerExternal.secretAccessKey", ["recordings:writerExternal", "secretAccessKey"]),
        ("names[0]", ["names", 0]),
        ('a["b.c"][2].d', ["a", "b.c", 2, "d"]),
        ("plain", ["plain"]),
    ],
)
def test_path_as_pulumi_spells_it(path: str, steps: list[str | int]) -> None:
    """The forms of Pulumi's documentation."""
    assert parse_path(path) == steps


@pytest.mark.parametrize("path", ["", ".a", "a.", "a..b", "a[", "a[x]", "a[-1]", '["a', "[0]", "a]"])
def test_what_is_no_path_is_refused(path: str) -> None:
    """By name, with the legal forms."""
    with pytest.raises(UsageError, match="no path"):
        parse_path(path)


@pytest.mark.parametrize(
    ("holder", "steps"),
    [("text", ["a"]), ({"secure": "v1:…"}, ["a"]), ({"a": 1}, ["a", "b"]), ([], [1]), ({}, [0])],
)
def test_value_that_holds_nothing_is_kept(holder: Any, steps: list[str | int]) -> None:
    """A text, a secret or a number is not made an object; a list grows only at its end."""
    with pytest.raises(UsageError):
        put(holder, steps, "x")


def test_types_are_those_of_pulumi() -> None:
    """true, false and whole numbers have a type; what only looks like a number is text."""
    assert [typed(text) for text in ("true", "false", "12", "-3", "0")] == [True, False, 12, -3, 0]
    assert [typed(text) for text in ("True", "012", "1.5", "", "null")] == ["True", "012", "1.5", "", "null"]
