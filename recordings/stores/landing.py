"""How bytes land in a bucket as a new object: in one request or in parts, checked by the store, never over another.

Owns the vocabulary (`Landing`, `Target`, `Landed`, …) that `recordings.backfill` speaks. Knows no provider: the
adapter is the module named as the provider with `_landing` after it. What is small (beginning, listing, completing)
an adapter does itself; the bytes it leaves to the caller, who gets a `Request` to send over a connection of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from recordings.errors import StoreError
from recordings.extras import needs
from recordings.outputs import StackOutputs
from recordings.stores.base import Store

if TYPE_CHECKING:
    from recordings.stores.checksums import Checksum


class DamagedError(StoreError):
    """The store joined the parts to other bytes than were sent."""


@dataclass(frozen=True)
class Target:
    """Where a recording is to lie: its key, what it is (`content_type`), and the recording asset that it is of.

    `mark` is kept with the object, so that an object is known again as a copy of that recording asset.
    """

    key: str
    content_type: str
    mark: str


@dataclass(frozen=True)
class Request:
    """A request to send, a PUT with a body. URL and headers are secrets: they hold a signature or a token."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)


@dataclass(frozen=True)
class LandedPart:
    """A part that the store has; `checksum` is None where the store does not say it."""

    number: int
    size: int
    etag: str
    checksum: int | None = None


@dataclass(frozen=True)
class Landed:
    """An object that is there: bytes, full-object checksum where the store says one, and the mark it was given."""

    size: int
    checksum: int | None
    mark: str | None


class Landing(Protocol):
    """One bucket as the operator. Every method raises only StoreError and its subclasses."""

    checksum: Checksum
    store: Store

    def look(self, target: Target) -> Landed | None:
        """What lies at the target's key, None for nothing."""

    def glance(self, target: Target) -> Request:
        """The request that asks the same, whose answer `seen` reads; it costs a tenth of `look`."""

    def seen(self, headers: Mapping[str, str]) -> Landed:
        """What the answer 200 to a `glance` says (names in lower case)."""

    def single(self, target: Target, size: int, checksum: int) -> Request:
        """The request that makes the whole object, on condition that there is none."""

    def begin(self, target: Target) -> str:
        """Begin an upload in parts; gives its id."""

    def part(self, target: Target, upload_id: str, number: int) -> Request:
        """The request that uploads a part, whose checksum is not known before its last byte."""

    def said(self, headers: Mapping[str, str]) -> int | None:
        """The checksum of what came, as the answer to a part says it (names in lower case); None if it does not."""

    def parts(self, target: Target, upload_id: str) -> Sequence[LandedPart]:
        """The parts that are there. Raises ObjectNotFoundError if there is no such upload (any more)."""

    def complete(self, target: Target, upload_id: str, parts: Sequence[LandedPart], checksum: int) -> None:
        """Make the object, at once and whole, if its bytes have `checksum` and there is none.

        Raises PreconditionError if there is one, ObjectNotFoundError if the upload is gone (doing it again after an
        answer was lost may raise either), DamagedError if they have another checksum: then there is no object.
        """

    def abort(self, target: Target, upload_id: str) -> None:
        """Throw an upload away; one that is gone is no error."""

    def refusal(self, status: int, body: bytes, what: str) -> StoreError:
        """The error that the answer to a `Request` means."""


def open_landing(outputs: StackOutputs, store: Store) -> Landing:
    """The landing of the stack's bucket; `store` is that bucket as the operator.

    Raises ConfigurationError if the extra `backfill` is not installed.
    """
    with needs("backfill"):
        adapter = import_module(f"recordings.stores.{outputs.storage_provider.value}_landing")
    return cast(Landing, adapter.open_landing(store))
