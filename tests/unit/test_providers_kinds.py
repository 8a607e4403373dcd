"""What all stand-ins share: automatic names, previews, replacements, ignored changes, drift in the program's words."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.providers import load
from sandbox.providers.aws import AwsProvider
from sandbox.providers.base import DiffKind, ProviderError, ResourceState
from sandbox.providers.compare import Rules, key_path
from sandbox.providers.kinds import AutoName, Kind, TableProvider, top_level
from sandbox.values import UNKNOWN, Properties

USER = "aws:iam/user:User"
POLICY = "aws:iam/userPolicy:UserPolicy"
KEY = "aws:iam/accessKey:AccessKey"
BUCKET = "aws:s3/bucket:Bucket"
PROVIDER = AwsProvider()
DOCUMENT = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})


class Shelf(Kind):
    """A kind whose cloud is a dictionary."""

    type_ = USER
    args = "pulumi_aws.iam.user:UserArgs"
    replace_on = frozenset({"name"})
    rules = Rules(json=frozenset({"permissionsBoundary"}), defaults={"path": "/", "tags": {}})
    computed = ("arn",)
    unobserved = frozenset({"forceDestroy"})
    auto_name = AutoName("name", max_length=20)

    def __init__(self) -> None:
        self.held: dict[str, Properties] = {}

    def create(self, inputs: Properties) -> ResourceState:
        self.held[inputs["name"]] = {"path": "/", "tags": {}, **inputs}
        return ResourceState(inputs["name"], inputs, {**inputs, "arn": "arn:x"})

    def read(self, id_: str, outputs: Properties | None) -> ResourceState | None:
        found = self.held.get(id_)
        return None if found is None else ResourceState(id_, dict(found), dict(found))

    def update(self, state: ResourceState, new: Properties) -> ResourceState:
        return self.create(new)

    def delete(self, state: ResourceState) -> None:
        self.held.pop(state.id, None)

    def find(self, inputs: Properties, known_ids: Collection[str]) -> ResourceState | None:
        return None if inputs["name"] in known_ids else self.read(inputs["name"], None)


def shelf() -> tuple[Shelf, TableProvider]:
    kind = Shelf()
    return kind, TableProvider("aws", "0", [kind], {})


def state(inputs: Properties, outputs: Properties | None = None) -> ResourceState:
    return ResourceState("an-id", inputs, outputs or inputs)


def test_unknown_package_is_refused_by_name() -> None:
    """The message names the package and the legal ones."""
    with pytest.raises(ProviderError, match=r"'azure'; legal: .*aws"):
        load("azure")


def test_unknown_type_and_function_are_refused_by_name() -> None:
    """What has no stand-in is refused, with what has one."""
    with pytest.raises(ProviderError, match=r"aws:ec2/vpc:Vpc is not supported; legal: .*aws:s3/bucket:Bucket"):
        PROVIDER.check("aws:ec2/vpc:Vpc", "x", None, {})
    with pytest.raises(ProviderError, match=r"getZones is not supported; legal: .*getRegion"):
        PROVIDER.invoke("aws:index/getZones:getZones", {})


@given(st.text("abcXYZ-", min_size=1, max_size=100))
def test_automatic_name_is_the_resources_own_and_seven_random_digits(name: str) -> None:
    """As the official providers make it, cut to what the cloud allows, and noted as made up."""
    inputs = PROVIDER.check(USER, name, None, {}).inputs
    assert inputs["name"].startswith(name[:56])
    assert len(inputs["name"]) == len(name[:56]) + 8
    assert inputs["__defaults"] == ["name"]


def test_automatic_name_stays_while_the_program_gives_none() -> None:
    """A second check keeps the name that the first made up; a given name that is taken away is not kept."""
    first = PROVIDER.check(USER, "writer", None, {}).inputs
    assert PROVIDER.check(USER, "writer", first, {}).inputs == first
    assert PROVIDER.check(USER, "writer", {"name": "given"}, {}).inputs["name"] != "given"
    assert PROVIDER.check(USER, "writer", first, {"name": "given"}).inputs == {"name": "given"}


def test_automatic_bucket_name_is_lower_case() -> None:
    """A bucket name has no capitals."""
    assert PROVIDER.check(BUCKET, "MyBucket", None, {}).inputs["bucket"].startswith("mybucket-")


def test_replacement_that_takes_the_same_name_deletes_first() -> None:
    """Two resources cannot hold one given name; an automatic one is made anew, so the old may stay until the end."""
    old = {"user": "a", "name": "writer", "policy": DOCUMENT}
    given_name = PROVIDER.diff(POLICY, state(old), {**old, "user": "b"}, [])
    assert given_name.replaces == ["user"]
    assert given_name.delete_before_replace
    made_up = PROVIDER.diff(POLICY, state(old), {**old, "user": "b", "__defaults": ["name"]}, [])
    assert not made_up.delete_before_replace


def test_unknown_value_of_a_fixed_property_replaces() -> None:
    """If it may change it must be planned so."""
    diff = PROVIDER.diff(KEY, state({"user": "a"}), {"user": UNKNOWN}, [])
    assert diff.replaces == ["user"]
    assert diff.detailed == {"user": (DiffKind.UPDATE_REPLACE, True)}


def test_status_of_a_key_changes_in_place() -> None:
    """A key is made inactive, not replaced, and 'Active' is what a key without status is."""
    assert not PROVIDER.diff(KEY, state({"user": "a"}), {"user": "a", "status": "Active"}, []).changed
    diff = PROVIDER.diff(KEY, state({"user": "a"}), {"user": "a", "status": "Inactive"}, [])
    assert (list(diff.changed), list(diff.replaces)) == (["status"], [])


@pytest.mark.parametrize(
    ("ignored", "left"), [("tags", []), ("tags.env", ["tags"]), ("tag", ["tags"]), ("name", ["tags"])]
)
def test_ignored_changes_are_not_told(ignored: str, left: list[str]) -> None:
    """An ignored path covers all below it, and nothing that merely begins with the same letters."""
    old, new = {"bucket": "b", "tags": {"env": "a"}}, {"bucket": "b", "tags": {"env": "b", "team": "x"}}
    assert list(PROVIDER.diff(BUCKET, state(old), new, [ignored]).changed) == left


def test_preview_of_a_create_knows_the_inputs_alone() -> None:
    """As officially: what the cloud gives is unknown, the id too; defaults and inputs are known; nothing is created."""
    kind, provider = shelf()
    planned = provider.create(USER, {"name": "u", "__defaults": ["name"]}, preview=True)
    assert planned.id == ""
    assert planned.outputs == {"arn": UNKNOWN, "path": "/", "tags": {}, "name": "u"}
    assert kind.held == {}


def test_preview_of_an_update_keeps_what_no_input_bears_on() -> None:
    """Outputs that the cloud gave stay, an input taken away goes, nothing is changed."""
    kind, provider = shelf()
    created = provider.create(USER, {"name": "u", "permissionsBoundary": "b"}, preview=False)
    planned = provider.update(USER, created, {"name": "u", "path": "/x/"}, preview=True)
    assert planned.outputs == {"arn": "arn:x", "name": "u", "path": "/x/", "tags": {}}
    assert kind.held["u"]["path"] == "/"


def test_drift_is_read_in_the_words_of_the_program() -> None:
    """What means the same keeps the program's spelling, what the cloud has otherwise shows, defaults stay unsaid."""
    kind, provider = shelf()
    inputs = {"name": "u", "permissionsBoundary": '{"b":  1}', "forceDestroy": True, "__defaults": ["name"]}
    provider.create(USER, inputs, preview=False)
    kind.held["u"]["permissionsBoundary"] = '{"b": 1}'
    kind.held["u"]["tags"] = {"by": "hand"}
    found = provider.read(USER, "u", inputs, inputs)
    assert found is not None
    assert found.inputs == {**inputs, "tags": {"by": "hand"}}
    assert provider.diff(USER, found, inputs, []).detailed == {"tags": (DiffKind.DELETE, True)}


def test_property_taken_away_by_hand_is_drift() -> None:
    """An input that the cloud no longer has is not in what is read, so that the next run puts it back."""
    kind, provider = shelf()
    inputs = {"name": "u", "tags": {"a": "b"}}
    provider.create(USER, inputs, preview=False)
    kind.held["u"]["tags"] = {}
    found = provider.read(USER, "u", inputs, inputs)
    assert found is not None
    assert provider.diff(USER, found, inputs, []).detailed == {"tags": (DiffKind.ADD, True)}


def test_import_shows_no_difference_to_the_program_that_describes_it() -> None:
    """Read with no old values, inputs are whole but for defaults."""
    kind, provider = shelf()
    kind.held["u"] = {"name": "u", "path": "/", "tags": {"a": "b"}}
    found = provider.read(USER, "u", None, None)
    assert found is not None
    assert found.inputs == {"name": "u", "tags": {"a": "b"}}
    assert not provider.diff(USER, found, {"name": "u", "tags": {"a": "b"}, "path": "/"}, []).changed


def test_find_gives_what_no_state_knows() -> None:
    """A resource that some state knows is not what the interrupted create left."""
    kind, provider = shelf()
    kind.create({"name": "u"})
    found = provider.find(USER, {"name": "u", "__defaults": ["name"]}, [])
    assert found is not None
    assert found.inputs == {"name": "u", "__defaults": ["name"]}
    assert provider.find(USER, {"name": "u"}, ["u"]) is None
    assert provider.find(USER, {"name": "other"}, []) is None


@given(st.text(min_size=1), st.sampled_from(["", "[0]", ".x", '["y"]', ".a[3].b"]))
def test_top_level_of_a_path_is_its_first_key(key: str, rest: str) -> None:
    """Whatever the key is made of."""
    assert top_level(key_path(key, first=True) + rest) == key


def test_secret_outputs_are_the_official_ones() -> None:
    """The SDK marks the same, but not under mocks."""
    assert set(PROVIDER.secret_outputs(KEY)) == {"secret", "sesSmtpPasswordV4"}
    secret: Any = PROVIDER.secret_outputs(BUCKET)
    assert list(secret) == []
