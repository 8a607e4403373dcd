"""The stand-in Google provider set up on the sandbox, and what its tests share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from sandbox.providers.base import Provider

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
