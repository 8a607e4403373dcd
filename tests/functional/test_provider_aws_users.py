"""What is an IAM user's own in the stand-in AWS provider: what holds it, its boundary, its keys and their secrets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from sandbox.providers.base import Provider, ProviderError
from sandbox.servers import Sandbox
from tests.functional.aws_stand_in import KEY, USER, USER_POLICY, client, existing
from tests.functional.stand_in import assert_same, configured

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

DOCUMENT = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}'


@pytest.fixture(scope="module")
def provider(sandbox: Sandbox) -> Iterator[Provider]:
    """The provider under test."""
    with configured(sandbox, "aws") as ready:
        yield ready


@pytest.fixture(scope="module")
def iam(sandbox: Sandbox) -> Iterator[IAMClient]:
    """Another client than the one under test."""
    with client(sandbox, "iam") as made:
        yield made


@pytest.fixture
def user(provider: Provider) -> Iterator[str]:
    """An IAM user of the test's own."""
    with existing(provider, USER, "name") as name:
        yield name


def test_user_that_exists_is_not_taken_over(provider: Provider, user: str) -> None:
    """The same for users."""
    with pytest.raises(ProviderError, match=rf"{user}.*EntityAlreadyExists.*import"):
        provider.create(USER, {"name": user}, preview=False)


def test_boundary_of_a_user_changes_in_place(provider: Provider, iam: IAMClient, user: str) -> None:
    """Set, read back, found as drift when it is taken away by hand, and taken away."""
    boundary = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
    bare = provider.read(USER, user, None, None)
    assert bare is not None
    inputs = {"name": user, "permissionsBoundary": boundary}
    bounded = provider.update(USER, bare, inputs, preview=False)
    assert_same(provider, USER, bounded, inputs)
    assert iam.get_user(UserName=user)["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    iam.delete_user_permissions_boundary(UserName=user)
    drifted = provider.read(USER, user, bounded.inputs, bounded.outputs)
    assert drifted is not None
    assert list(provider.diff(USER, drifted, inputs, []).detailed) == ["permissionsBoundary"]
    provider.update(USER, drifted, inputs, preview=False)
    provider.update(USER, bounded, {"name": user}, preview=False)
    assert "PermissionsBoundary" not in iam.get_user(UserName=user)["User"]


def test_user_in_use_is_kept(provider: Provider, iam: IAMClient) -> None:
    """As AWS: keys and policies hold a user; forceDestroy removes keys, never policies."""
    name = f"u-{uuid4().hex[:12]}"
    state = provider.create(USER, {"name": name}, preview=False)
    key = provider.create(KEY, {"user": name}, preview=False)
    with pytest.raises(ProviderError, match=rf"DeleteConflict.*{key.id}"):
        provider.delete(USER, state)
    forced = provider.update(USER, state, {"name": name, "forceDestroy": True}, preview=False)
    held = provider.create(USER_POLICY, {"user": name, "name": "p", "policy": DOCUMENT}, preview=False)
    with pytest.raises(ProviderError, match=r"DeleteConflict.*policy p"):
        provider.delete(USER, forced)
    provider.delete(USER_POLICY, held)
    provider.delete(USER, forced)
    assert provider.read(USER, name, None, None) is None


def test_third_key_of_a_user_is_refused(provider: Provider, user: str) -> None:
    """AWS allows two; the message names both."""
    keys = [provider.create(KEY, {"user": user}, preview=False) for _ in range(2)]
    with pytest.raises(ProviderError, match="LimitExceeded") as caught:
        provider.create(KEY, {"user": user}, preview=False)
    assert all(key.id in str(caught.value) for key in keys)
    assert not any(key.outputs["secret"] in str(caught.value) for key in keys)


def test_key_comes_with_its_secret_once(provider: Provider, user: str) -> None:
    """Creation gives the secret, a refresh keeps it, an import cannot have it."""
    state = provider.create(KEY, {"user": user, "status": "Inactive"}, preview=False)
    assert state.outputs["secret"]
    assert state.outputs["status"] == "Inactive"
    refreshed = provider.read(KEY, state.id, state.inputs, state.outputs)
    imported = provider.read(KEY, state.id, None, None)
    assert refreshed is not None
    assert imported is not None
    assert refreshed.outputs == state.outputs
    assert "secret" not in imported.outputs
    assert imported.inputs == {"user": user, "status": "Inactive"}


def test_key_that_an_interrupted_create_lost_is_removed(provider: Provider, iam: IAMClient, user: str) -> None:
    """Its secret is gone for ever; the key that a state knows stays."""
    known = provider.create(KEY, {"user": user}, preview=False)
    lost = iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"]
    assert provider.find(KEY, {"user": user}, [known.id]) is None
    left = [key["AccessKeyId"] for key in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]]
    assert left == [known.id]
    assert lost not in left
    assert provider.find(KEY, {"user": "nobody-at-all"}, []) is None


def test_key_of_nobody_is_not_there(provider: Provider) -> None:
    """Import of an unknown key id finds nothing."""
    assert provider.read(KEY, "AKIAAAAAAAAAAAAAAAAA", None, None) is None
