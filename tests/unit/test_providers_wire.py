"""Values survive the wire; URNs are taken apart as Pulumi writes them."""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st

from sandbox.providers import wire
from sandbox.values import UNKNOWN, Properties

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**50), 2**50) | st.text() | st.just(UNKNOWN),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_values_come_back_as_they_went(values: Properties) -> None:
    """Unknowns included, at every depth."""
    assert wire.properties(wire.struct(values)) == values


@given(VALUES)
def test_secret_is_marked_on_the_way_out_and_unwrapped_on_the_way_in(value: Any) -> None:
    """A secret output carries the engine's signature, and is a plain value for the provider."""
    sent = wire.struct({"secret": value, "user": "u"}, secret=["secret", "absent"])
    plain = MessageToDict(sent)
    assert plain["secret"]["4dabf18193072939515e22adb298388d"] == "1b47061264138c4ac30d75fd1eb44270"
    assert plain["user"] == "u"
    assert wire.properties(sent) == {"secret": value, "user": "u"}


def test_type_below_a_parent_is_the_last_link() -> None:
    """The type part of a URN below a component is the chain of types down to the resource."""
    urn = "urn:pulumi:dev::golden::golden:index:Store$aws:s3/bucket:Bucket::recordings-bucket"
    assert wire.urn_type(urn) == "aws:s3/bucket:Bucket"
    assert wire.urn_type("urn:pulumi:dev::golden::aws:iam/user:User::u") == "aws:iam/user:User"


@given(st.text(min_size=1))
def test_name_is_all_that_follows_the_type(name: str) -> None:
    """A name may hold whatever the separators are made of."""
    assert wire.urn_name(f"urn:pulumi:dev::golden::a:b:C$aws:iam/user:User::{name}") == name
