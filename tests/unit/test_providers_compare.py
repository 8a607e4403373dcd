"""Two sets of inputs are compared in the meaning that the cloud gives them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.providers.base import DiffKind
from sandbox.providers.compare import Rules, canonical_document, differences
from sandbox.values import UNKNOWN, Properties

VALUES = st.recursive(
    st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.text(min_size=1).filter(lambda name: not name.startswith("__"))
INPUTS = st.dictionaries(NAMES, VALUES, max_size=4)
STATEMENT: Properties = {
    "Sid": "a",
    "Effect": "Allow",
    "Principal": "*",
    "Action": ["s3:GetObject", "s3:PutObject"],
    "Resource": "arn:aws:s3:::b/*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def policy(**changes: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{**STATEMENT, **changes}]})


@given(INPUTS)
def test_equal_inputs_have_no_difference(inputs: Properties) -> None:
    """Whatever they hold, inputs equal themselves."""
    assert differences(inputs, json.loads(json.dumps(inputs)), Rules()) == {}


@given(INPUTS, INPUTS)
def test_difference_is_told_exactly_when_there_is_one(old: Properties, new: Properties) -> None:
    """Without rules of meaning, the comparison finds a path if and only if the values differ."""
    assert bool(differences(old, new, Rules())) == (old != new)


@given(INPUTS, INPUTS)
def test_additions_one_way_are_deletions_the_other(old: Properties, new: Properties) -> None:
    """The comparison is symmetric."""
    swap = {DiffKind.ADD: DiffKind.DELETE, DiffKind.DELETE: DiffKind.ADD, DiffKind.UPDATE: DiffKind.UPDATE}
    forth, back = differences(old, new, Rules()), differences(new, old, Rules())
    assert {path: swap[kind] for path, kind in forth.items()} == back


@given(st.lists(st.text(), min_size=1, unique=True).flatmap(lambda x: st.tuples(st.just(x), st.permutations(x))))
def test_sets_have_no_order(lists: tuple[list[str], list[str]]) -> None:
    """A list that the official provider holds as a set differs by its elements alone; any other by order too."""
    old, new = ({"rules": [{"methods": side}]} for side in lists)
    assert differences(old, new, Rules(sets=frozenset({"rules[].methods"}))) == {}
    assert bool(differences(old, new, Rules())) == (lists[0] != lists[1])


def test_paths_name_the_change_and_nothing_else() -> None:
    """Paths are Pulumi's: dots, indexes, and quotes where a key is no plain word."""
    old = {"tags": {"a": "1", "b.c": "2", "d": "3"}, "rules": [{"id": "x", "days": 1}, {"id": "y"}]}
    new = {"tags": {"a": "1", "b.c": "9", "e": "4"}, "rules": [{"id": "x", "days": 2}]}
    assert differences(old, new, Rules()) == {
        'tags["b.c"]': DiffKind.UPDATE,
        "tags.d": DiffKind.DELETE,
        "tags.e": DiffKind.ADD,
        "rules[0].days": DiffKind.UPDATE,
        "rules[1]": DiffKind.DELETE,
    }


def test_element_added_to_a_set_is_told_by_its_own_place() -> None:
    """What stayed in a set is not told, wherever it now stands."""
    old, new = {"origins": ["a", "b"]}, {"origins": ["c", "b", "a"]}
    assert differences(old, new, Rules(sets=frozenset({"origins"}))) == {"origins[0]": DiffKind.ADD}


def test_default_and_absence_are_the_same() -> None:
    """A property given with its default is no change against one left out."""
    rules = Rules(defaults={"forceDestroy": False, "tags": {}})
    assert differences({}, {"forceDestroy": False, "tags": {}}, rules) == {}
    assert differences({}, {"forceDestroy": True}, rules) == {"forceDestroy": DiffKind.ADD}


def test_unknown_is_a_change() -> None:
    """What is not known yet may differ, so it is told."""
    assert differences({"user": "a"}, {"user": UNKNOWN}, Rules()) == {"user": DiffKind.UPDATE}
    assert differences({"policy": "{}"}, {"policy": UNKNOWN}, Rules(json=frozenset({"policy"}))) == {
        "policy": DiffKind.UPDATE
    }


def test_notes_of_the_provider_are_not_compared() -> None:
    """`__defaults` is no property of the resource."""
    assert differences({"a": 1}, {"a": 1, "__defaults": ["a"]}, Rules()) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"Action": ["s3:PutObject", "s3:GetObject"]},
        {"Resource": ["arn:aws:s3:::b/*"]},
        {"Principal": {"AWS": "*"}},
        {"Principal": {"AWS": ["*"]}},
        {"Condition": {"Bool": {"aws:SecureTransport": False}}},
        {"Condition": {"Bool": {"aws:SecureTransport": ["false"]}}},
    ],
)
def test_policies_of_one_meaning_are_the_same(changes: Properties) -> None:
    """Order, a list of one and the spelling of a boolean do not change a policy."""
    rules = Rules(json=frozenset({"policy"}))
    assert differences({"policy": policy()}, {"policy": policy(**changes)}, rules) == {}
    assert differences({"policy": policy()}, {"policy": json.loads(policy(**changes))}, rules) == {}


@pytest.mark.parametrize(
    "changes", [{"Effect": "Deny"}, {"Action": "s3:GetObject"}, {"Resource": "arn:aws:s3:::b/x/*"}, {"Condition": {}}]
)
def test_policies_of_other_meaning_differ(changes: Properties) -> None:
    """What AWS would decide otherwise is a change."""
    rules = Rules(json=frozenset({"policy"}))
    assert differences({"policy": policy()}, {"policy": policy(**changes)}, rules) == {"policy": DiffKind.UPDATE}


def test_text_that_is_no_json_stands_for_itself() -> None:
    """A broken document is compared as text rather than an error here."""
    assert canonical_document("{broken") == "{broken"


def test_value_that_means_nothing_is_the_same_as_none() -> None:
    """Below the top level too: a filter that lets everything through is no filter."""
    rules = Rules(nothing={"rules[].filter": ({}, {"prefix": ""})})
    assert differences({"rules": [{"filter": {"prefix": ""}}]}, {"rules": [{}]}, rules) == {}
    assert differences({"rules": [{"filter": {}}]}, {"rules": [{"filter": {"prefix": ""}}]}, rules) == {}
    assert differences({"rules": [{}]}, {"rules": [{"filter": {"prefix": "a"}}]}, rules) == {
        "rules[0].filter": DiffKind.ADD
    }
