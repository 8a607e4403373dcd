"""IAM conditions as the sandbox's Google reads them: what they mean, and that nothing else is taken."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.google.conditions import Context, compiled, holds
from sandbox.google.errors import GoogleError

NAME = "projects/_/buckets/b/objects/p/x"
OBJECT = Context(NAME, "storage.googleapis.com/Object", datetime(2026, 1, 1, tzinfo=UTC))
LISTING = Context(
    "projects/_/buckets/b", "storage.googleapis.com/Bucket", datetime(2026, 1, 1, tzinfo=UTC), list_prefix="p/"
)
PREFIX = "api.getAttribute('storage.googleapis.com/objectListPrefix', '')"


@pytest.mark.parametrize(
    ("expression", "on_object", "on_listing"),
    [
        ('resource.name.startsWith("projects/_/buckets/b/objects/p/")', True, False),
        ("resource.name.endsWith('/x')", True, False),
        (f"{PREFIX}.startsWith('p/')", False, True),
        (f"{PREFIX}.startsWith('')", True, True),
        ("api.getAttribute('storage.googleapis.com/objectListPrefix', 'other') == 'other'", True, False),
        ("resource.type == 'storage.googleapis.com/Object'", True, False),
        ("resource.type != 'storage.googleapis.com/Object'", False, True),
        ("resource.service == 'storage.googleapis.com'", True, True),
        ("request.time < timestamp('2026-01-01T00:00:01Z')", True, True),
        ("request.time >= timestamp('2026-01-01T01:00:00+00:59')", False, False),
        ("!(resource.type == 'storage.googleapis.com/Object')", False, True),
        ("true || false && false", True, True),
        ("(true || false) && false", False, False),
        ("!!true", True, True),
        ("!true == false", True, True),
        (f"resource.type == 'storage.googleapis.com/Object' || {PREFIX}.startsWith('p/')", True, True),
        ("resource.name == 'it\\'s'", False, False),
        ("  true\n&&\ttrue ", True, True),
    ],
)
def test_condition_means_what_cel_says(expression: str, on_object: bool, on_listing: bool) -> None:
    """Precedence, negation, comparison, attributes and their defaults."""
    assert (holds(expression, OBJECT), holds(expression, LISTING)) == (on_object, on_listing)


@pytest.mark.parametrize(
    ("expression", "word"),
    [
        ("", "too early"),
        ("resource.nam == 'x'", "resource.nam"),
        ("principal == 'x'", "principal"),
        ("true || unknown.thing", "unknown.thing"),
        ("resource.name.matches('x')", "matches"),
        ("resource.name.startsWith(resource.type)", "resource"),
        ("resource.name.startsWith('a', 'b')", "1 arguments"),
        ("resource.name", "true or false"),
        ("resource.name == true", "compares"),
        ("true < false", "compares"),
        ("'a' && true", "neither true nor false"),
        ("!'a'", "neither true nor false"),
        ("request.time < '2026-01-01T00:00:00Z'", "compares"),
        ("request.time < timestamp('yesterday')", "yesterday"),
        ("request.time < timestamp('2026-01-01T00:00:00')", "time zone"),
        ("api.getAttribute('iam.googleapis.com/x', '') == ''", "iam.googleapis.com/x"),
        ("api.getAttribute('storage.googleapis.com/objectListPrefix') == ''", "2 arguments"),
        ("true true", "true"),
        ("(true", ")"),
        ("true ? true : false", "?"),
        ("1 == 1", "1"),
        ("true && ", "too early"),
        ("'unclosed", "'"),
        ("true" + " " * 5000 + "&& true", "4096"),
    ],
)
def test_condition_that_is_not_understood_is_refused_by_name(expression: str, word: str) -> None:
    """A part that is not known is named, wherever it stands; nothing is taken for true or false in silence."""
    with pytest.raises(GoogleError) as refusal:
        compiled(expression)
    assert (refusal.value.http, refusal.value.reason) == (400, "invalid")
    assert word in refusal.value.message


leaves = st.sampled_from(
    [("true", True), ("false", False), ("resource.name.startsWith('projects/')", True), ("resource.type == ''", False)]
)
trees: st.SearchStrategy[tuple[str, Any]] = st.recursive(
    leaves,
    lambda below: st.one_of(
        st.tuples(below, below).map(lambda pair: (f"({pair[0][0]} && {pair[1][0]})", pair[0][1] and pair[1][1])),
        st.tuples(below, below).map(lambda pair: (f"({pair[0][0]} || {pair[1][0]})", pair[0][1] or pair[1][1])),
        below.map(lambda one: (f"!({one[0]})", not one[1])),
    ),
    max_leaves=8,
)


@given(trees)
def test_any_combination_is_evaluated_as_python_would(tree: tuple[str, bool]) -> None:
    """And, or, not, nested as deep as one likes."""
    assert holds(tree[0], OBJECT) is tree[1]


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30))
def test_any_prefix_survives_quoting(prefix: str) -> None:
    """A literal with quotes and backslashes in it is read as it was meant."""
    literal = '"' + prefix.replace("\\", "\\\\").replace('"', '\\"') + '"'
    context = Context(f"projects/_/buckets/b/objects/{prefix}x", "", OBJECT.time)
    assert holds(f"resource.name == {literal}", Context(prefix, "", OBJECT.time))
    assert not holds(f"resource.name == {literal}", context)


@given(st.text(max_size=40))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Whatever is written: a condition, or a refusal."""
    with suppress(GoogleError):
        compiled(text)
