"""What the settings of a bucket that are resources of their own have in common: one put, one get, one remove.

Their id is the bucket's name, and the bucket is what cannot change in place. Creating one overwrites what the bucket
had, as the API does.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import ClassVar

from sandbox.providers.aws.cloud import GONE, Cloud, CloudError
from sandbox.providers.base import ResourceState
from sandbox.providers.kinds import Kind, public
from sandbox.values import Properties


class BucketPart(Kind):
    """One setting of a bucket."""

    replace_on = frozenset({"bucket", "region"})
    computed = ("region",)
    unobserved = frozenset({"region"})
    unsupported: ClassVar[Mapping[str, str]] = {"expectedBucketOwner": "leave it out, it is deprecated"}
    absent: ClassVar[frozenset[str]] = frozenset()
    """Error codes that say that the bucket is there and the setting is not."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    @property
    def what(self) -> str:
        """In words, for messages: `bucketCorsConfiguration`."""
        return self.type_.split("/")[1].split(":")[0]

    @abstractmethod
    def put(self, bucket: str, inputs: Properties) -> None:
        """Set it."""

    @abstractmethod
    def get(self, bucket: str) -> Properties | None:
        """The inputs, but for `bucket`, that would make what the cloud has, or None if it is not set."""

    @abstractmethod
    def remove(self, bucket: str, state: ResourceState) -> None:
        """Take it away."""

    def create(self, inputs: Properties) -> ResourceState:
        """Set it."""
        return self._put(inputs["bucket"], inputs, "setting")

    def read(self, id_: str, outputs: Properties | None) -> ResourceState | None:
        """What the bucket has."""
        bucket = id_.split(",")[0]
        try:
            with self.cloud.asking(f"reading {self.what} of bucket {bucket!r}"):
                found = self.get(bucket)
        except CloudError as error:
            if error.code in GONE | self.absent:
                return None
            raise
        return None if found is None else self._state(bucket, {"bucket": bucket, **found})

    def update(self, state: ResourceState, new: Properties) -> ResourceState:
        """Set it anew."""
        return self._put(state.id, new, "changing")

    def delete(self, state: ResourceState) -> None:
        """Take it away; a bucket that is gone has it no more."""
        try:
            with self.cloud.asking(f"removing {self.what} of bucket {state.id!r}"):
                self.remove(state.id, state)
        except CloudError as error:
            if error.code not in GONE | self.absent:
                raise

    def find(self, inputs: Properties, known_ids: Collection[str]) -> ResourceState | None:
        """Its id is the bucket's name."""
        bucket = inputs["bucket"]
        return None if bucket in known_ids else self.read(bucket, None)

    def _put(self, bucket: str, inputs: Properties, doing: str) -> ResourceState:
        with self.cloud.asking(f"{doing} {self.what} of bucket {bucket!r}"):
            self.put(bucket, inputs)
        return self._state(bucket, inputs)

    def _state(self, bucket: str, inputs: Properties) -> ResourceState:
        region = inputs.get("region") or self.cloud.region
        outputs = {**self.rules.defaults, **public(inputs), "bucket": bucket, "region": region}
        return ResourceState(bucket, inputs, outputs)
