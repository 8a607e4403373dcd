"""The stand-in Google provider set up on the sandbox, and what its tests share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest

from sandbox.providers import load
from sandbox.providers.base import Provider, ResourceState
from sandbox.servers import Sandbox
from sandbox.values import Properties

BUCKET = "gcp:storage/bucket:Bucket"
MEMBER = "gcp:storage/bucketIAMMember:BucketIAMMember"
ACCOUNT = "gcp:serviceaccount/account:Account"
HMAC = "gcp:storage/hmacKey:HmacKey"
JSON_KEY = "gcp:serviceaccount/key:Key"
CONDITION = {
    "title": "under the prefix",
    "expression": "resource.name.startsWith('projects/_/buckets/{bucket}/objects/p/')",
}


def filled(value: Any, bucket: str, email: str) -> Any:
    """The value with the names put in."""
    return json.loads(json.dumps(value).replace("{bucket}", bucket).replace("{email}", email))


def assert_same(provider: Provider, type_: str, state: ResourceState, inputs: Properties) -> None:
    """A refresh finds the inputs and outputs that creation or update gave."""
    found = provider.read(type_, state.id, state.inputs, state.outputs)
    assert found is not None
    assert found.id == state.id
    assert not provider.diff(type_, found, inputs, []).changed
    assert found.outputs == state.outputs


@contextmanager
def configured(sandbox: Sandbox) -> Iterator[Provider]:
    """The provider, configured for the sandbox while the context lasts."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sandbox.env.items():
            patch.setenv(name, value)
        loaded = load("gcp")
        loaded.configure({"region": "europe-west1"})
        yield loaded


@contextmanager
def new_bucket(provider: Provider) -> Iterator[str]:
    """The name of a new bucket, removed with what it holds."""
    name = f"b-{uuid4().hex[:12]}"
    inputs = {"name": name, "location": "EU", "uniformBucketLevelAccess": True, "forceDestroy": True}
    state = provider.create(BUCKET, inputs, preview=False)
    yield name
    provider.delete(BUCKET, state)


@contextmanager
def new_email(provider: Provider) -> Iterator[str]:
    """The e-mail of a new service account, removed again."""
    state = provider.create(ACCOUNT, {"accountId": f"a-{uuid4().hex[:12]}"}, preview=False)
    yield state.outputs["email"]
    provider.delete(ACCOUNT, state)
