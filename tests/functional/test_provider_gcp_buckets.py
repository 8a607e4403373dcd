"""Buckets and their members of the stand-in Google provider: what others change, or forbid, meanwhile."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from sandbox.providers.base import Provider, ProviderError
from sandbox.providers.gcp.bucket_member import BucketMember
from sandbox.providers.gcp.cloud import Cloud
from sandbox.servers import Sandbox
from tests.functional.gcp_stand_in import BUCKET, MEMBER, new_bucket, new_email
from tests.functional.stand_in import assert_same, configured

if TYPE_CHECKING:
    from tests.functional.google_lab import Lab

KMS = "projects/p/locations/europe/keyRings/r/cryptoKeys/k"


@pytest.fixture(scope="module")
def provider(sandbox: Sandbox) -> Iterator[Provider]:
    with configured(sandbox, "gcp") as provider:
        yield provider


@pytest.fixture
def bucket(provider: Provider) -> Iterator[str]:
    with new_bucket(provider) as name:
        yield name


@pytest.fixture
def email(provider: Provider) -> Iterator[str]:
    with new_email(provider) as email:
        yield email


class MeddledCloud(Cloud):
    """Somebody else changes the bucket's policy each time before it is written, as often as `meddle` is there to."""

    meddle: list[Callable[[], None]]

    def call(self, doing: str, method: str, service: str, path: str, *more: Any, **further: Any) -> Any:
        if method == "PUT" and self.meddle:
            self.meddle.pop()()
        return super().call(doing, method, service, path, *more, **further)


def held(lab: Lab, bucket: str, email: str) -> set[str]:
    policy = lab.operator.get(f"/storage/v1/b/{bucket}/iam").json()
    return {b["role"].rpartition(".")[2] for b in policy["bindings"] if f"serviceAccount:{email}" in b["members"]}


def test_member_and_a_change_in_between_are_both_there(provider: Provider, lab: Lab, bucket: str, email: str) -> None:
    """A bucket's policy is one document: what somebody else wrote between read and write is not overwritten."""
    cloud = MeddledCloud()
    cloud.configure({})
    who = f"serviceAccount:{email}"
    roles = ("objectCreator", "objectUser")
    cloud.meddle = [partial(lab.grant, bucket, (role, who, None)) for role in roles]
    inputs = {"bucket": bucket, "role": "roles/storage.objectViewer", "member": who}
    state = BucketMember(cloud).create(inputs)
    assert held(lab, bucket, email) == {*roles, "objectViewer"}
    cloud.meddle = [partial(lab.grant, bucket, ("objectAdmin", who, None))]
    BucketMember(cloud).delete(state)
    assert held(lab, bucket, email) == {*roles, "objectAdmin"}


def test_policy_that_never_rests_is_given_up(provider: Provider, lab: Lab, bucket: str, email: str) -> None:
    """With Google's words, after a number of tries."""
    cloud = MeddledCloud()
    cloud.configure({})
    who = f"serviceAccount:{email}"
    roles = itertools.cycle(("objectCreator", "objectUser", "objectAdmin"))
    cloud.meddle = [lambda: lab.grant(bucket, (next(roles), who, "resource.type == 'x'"))] * 20
    with pytest.raises(ProviderError, match=r"granting roles/storage.objectViewer .*412 .*concurrent policy changes"):
        BucketMember(cloud).create({"bucket": bucket, "role": "roles/storage.objectViewer", "member": who})
    assert len(cloud.meddle) == 12


def test_member_leaves_others_where_they_are(provider: Provider, lab: Lab, bucket: str, email: str) -> None:
    """Only this member of this binding comes and goes, whoever made the rest."""
    lab.grant(bucket, ("objectViewer", f"serviceAccount:{lab.account()}", None))
    before = lab.operator.get(f"/storage/v1/b/{bucket}/iam").json()["bindings"]
    inputs = {"bucket": bucket, "role": "roles/storage.objectViewer", "member": f"serviceAccount:{email}"}
    state = provider.create(MEMBER, inputs, preview=False)
    assert len(lab.operator.get(f"/storage/v1/b/{bucket}/iam").json()["bindings"]) == len(before)
    provider.delete(MEMBER, state)
    assert lab.operator.get(f"/storage/v1/b/{bucket}/iam").json()["bindings"] == before


def test_bucket_with_objects_is_kept_unless_forced(provider: Provider, lab: Lab) -> None:
    """Objects are never deleted by accident; forced, all generations go."""
    name = f"b-{uuid4().hex[:12]}"
    inputs = {"name": name, "location": "EU", "versioning": {"enabled": True}}
    state = provider.create(BUCKET, inputs, preview=False)
    for key in ("a", "a", "b/c d?#", "ü"):
        lab.put(name, key)
    with pytest.raises(ProviderError, match=rf"{name}.*not empty.*forceDestroy"):
        provider.delete(BUCKET, state)
    forced = provider.update(BUCKET, state, {**inputs, "forceDestroy": True}, preview=False)
    provider.delete(BUCKET, forced)
    assert provider.read(BUCKET, name, None, None) is None


def test_drift_by_hand_is_found(provider: Provider, lab: Lab, bucket: str) -> None:
    """What another client changed shows as a difference by property."""
    state = provider.read(BUCKET, bucket, None, None)
    assert state is not None
    lab.operator.patch(
        f"/storage/v1/b/{bucket}",
        json={"versioning": {"enabled": True}, "cors": [{"origin": ["*"], "method": ["GET"]}], "labels": {"a": "b"}},
    )
    found = provider.read(BUCKET, bucket, state.inputs, state.outputs)
    assert found is not None
    assert set(provider.diff(BUCKET, found, state.inputs, []).detailed) == {"cors", "labels", "versioning"}


def test_what_was_deleted_by_hand_is_gone(provider: Provider, lab: Lab, email: str) -> None:
    """Refresh finds neither, and deleting what is gone is no error."""
    name = f"b-{uuid4().hex[:12]}"
    whole = provider.create(BUCKET, {"name": name, "location": "EU", "uniformBucketLevelAccess": True}, preview=False)
    inputs = {"bucket": name, "role": "roles/storage.objectViewer", "member": f"serviceAccount:{email}"}
    member = provider.create(MEMBER, inputs, preview=False)
    lab.operator.delete(f"/storage/v1/b/{name}")
    assert provider.read(BUCKET, name, whole.inputs, whole.outputs) is None
    assert provider.read(MEMBER, member.id, member.inputs, member.outputs) is None
    provider.delete(MEMBER, member)
    provider.delete(BUCKET, whole)


@pytest.fixture
def organisation(lab: Lab) -> Iterator[Lab]:
    """The sandbox's organisation policies, off again afterwards."""
    yield lab
    lab.switch(constraints=[], kmsKeys=[])


def test_key_that_storage_may_not_use_is_explained(organisation: Lab, provider: Provider) -> None:
    """The bucket is not made, and the message says who has to allow what; with the right it is."""
    name = f"b-{uuid4().hex[:12]}"
    inputs = {"name": name, "location": "EU", "encryption": {"defaultKmsKeyName": KMS}}
    with pytest.raises(ProviderError, match=rf"{name}.*Cloud KMS key.*authorize-cmek"):
        provider.create(BUCKET, inputs, preview=False)
    organisation.switch(kmsKeys=[KMS])
    state = provider.create(BUCKET, inputs, preview=False)
    assert_same(provider, BUCKET, state, inputs)
    provider.delete(BUCKET, state)
