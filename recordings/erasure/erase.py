"""Erasing a room, a session or a recording for good: read everything, plan, then remove.

Owns the order, by which a run that is killed at any moment is completed by the next: tombstones first (from then on
nothing writes the recording again), then objects with all their versions, then a second look for what came meanwhile,
then rows (which may be all that still names an object), then the receipt. Each step can be run again.

What belongs to the target is `recordings.erasure.target`, where it lies `recordings.erasure.places`, the database's
side `recordings.erasure.ledger`, the receipt `recordings.erasure.receipt`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Final

from recordings.erasure.ledger import Ledger, Noted, Receipt
from recordings.erasure.places import Pile, Refused, Search, search
from recordings.erasure.receipt import UPLOAD, receipt, what_stays
from recordings.erasure.target import Hms, Target, survey
from recordings.errors import CheckFailedError, CredentialsError, StoreError
from recordings.paths import Home
from recordings.plans import Plan, Step
from recordings.shown import counted, size
from recordings.stores.base import ObjectVersion, Store, Upload

BATCH: Final = 500
"""Versions that are written down, then removed."""
_LOOKS: Final = 3


@dataclass(frozen=True)
class Place:
    """What an erasure works on; `open_bucket` gives a bucket as the operator, `former` whether former ones count."""

    hms: Hms
    ledger: Ledger
    home: Home
    open_bucket: Callable[[Home], Store]
    former: bool = True
    tick: Callable[[int], None] = lambda _: None
    """Called with the number of versions that were removed."""

    @property
    def homes(self) -> tuple[Home, ...]:
        """The buckets that are looked at."""
        return (self.home, *self.home.former) if self.former else (self.home,)


@dataclass
class Erasure:
    """A plan; `receipt` is there after it was applied, or from the start where all was erased before."""

    plan: Plan
    search: Search
    versions: int = 0
    bytes: int = 0
    receipt: Receipt | None = None
    left: list[Refused] = field(default_factory=list)


def plan_erasure(place: Place, target: Target, *, thorough: bool = False) -> Erasure:
    """Find everything that belongs to `target`, and plan to remove it; nothing is changed yet.

    A target that was erased before, and of which nothing came back, gives an empty plan and its receipt. Raises
    CheckFailedError where nothing at all is known of it, and what 100ms, the database and the store raise.
    """
    scope = survey(target, place.hms, place.ledger.rows, place.home, place.ledger.now())
    found = search(scope, place.home, thorough=thorough)
    run = _Run(place, found)
    piles = [run.look(home) for home in place.homes]
    before = place.ledger.receipt(target)
    is_open = place.ledger.open_erasure(target) is not None
    is_there = any(not pile.is_empty for pile in piles) or scope.rows or scope.unfinished
    if not is_there and not is_open and before is not None:
        return Erasure(Plan(()), found, receipt=before)
    if not is_there and not is_open and not scope.is_known:
        raise CheckFailedError(
            f"nothing is known of {target}: no recording at 100ms, no row, no object. Nothing was changed. Look at the "
            "id, and at the stack, whose bucket and 100ms workspace were asked"
            + ("" if thorough else "; --thorough looks through the whole bucket")
        )
    erasure = Erasure(
        Plan(()),
        found,
        versions=sum(len(pile.versions) for pile in piles),
        bytes=sum(version.size for pile in piles for version in pile.versions),
    )
    erasure.plan, erasure.left = Plan(tuple(run.steps(piles, erasure))), run.left
    return erasure


class _Run:
    """One erasure, from its plan to its receipt."""

    def __init__(self, place: Place, found: Search) -> None:
        self._place, self._search, self._scope = place, found, found.scope
        self._stores: dict[str, Store] = {}
        self._id = ""
        self._left = {item.path: item for item in found.refused}
        self._soft_delete: dict[str, timedelta] = {}

    @property
    def left(self) -> list[Refused]:
        """What was left alone so far."""
        return list(self._left.values())

    def look(self, home: Home) -> Pile:
        """What lies in a bucket now. Raises StoreError, with what to do where a former bucket is out of reach."""
        try:
            pile, left = self._search.look(home, self._store(home))
            if home.bucket not in self._soft_delete:
                self._soft_delete[home.bucket] = self._store(home).guards().soft_delete
        except StoreError as error:
            if home is not self._place.home:
                error.add_note(
                    f"{home.bucket} is a former bucket of the stack: log in as somebody who may delete there, or leave "
                    "it out with --without-former and erase there by hand. Nothing was changed"
                )
            raise
        self._left.update({item.path: item for item in left})
        return pile

    def steps(self, piles: Sequence[Pile], erasure: Erasure) -> Iterator[Step]:
        """The steps in their order."""
        scope = self._scope
        details = [f"room {scope.target.id}: what was recorded until {scope.until:%Y-%m-%d %H:%M:%S} UTC"]
        yield Step(
            f"leave tombstones: {scope.target}, {counted(len(scope.jobs), 'recording')}, "
            f"{counted(len(scope.assets), 'recording asset')}",
            self._begin,
            details if scope.target.kind.value == "room" else (),
        )
        for pile in piles:
            if pile.uploads:
                title = f"abort {len(pile.uploads)} unfinished uploads in {pile.home.path('')}"
                yield Step(title, partial(self._abort, pile.home, pile.uploads), [up.key for up in pile.uploads])
            if pile.versions:
                yield Step(_removal(pile), partial(self._remove, pile), list(_listed(pile)))
        yield Step("look again, and remove what came meanwhile", self._look_again)
        yield Step(f"delete {counted(scope.rows, 'row')} of public.meeting_recordings", self._delete_rows)
        yield Step("keep the receipt", partial(self._end, erasure))

    def _begin(self) -> None:
        self._id = self._place.ledger.begin(self._scope)

    def _abort(self, home: Home, uploads: Sequence[Upload]) -> None:
        store = self._store(home)
        for upload in uploads:
            self._place.ledger.note(self._id, [Noted(home.path(upload.key), upload.upload_id, UPLOAD)])
            store.abort_upload(upload.key, upload.upload_id)

    def _remove(self, pile: Pile) -> None:
        store, versions = self._store(pile.home), iter(pile.versions)
        while batch := list(islice(versions, BATCH)):
            self._place.ledger.note(
                self._id,
                [
                    Noted(pile.home.path(v.key), v.version_id, pile.kinds[v.key], v.size)
                    for v in batch
                    if not v.is_marker
                ],
            )
            store.delete_versions(batch)
            self._place.tick(len(batch))

    def _look_again(self) -> None:
        """An upload that ended while we removed, or a copy: removed too; the tombstones let nothing more in."""
        for home in self._place.homes:
            for _ in range(_LOOKS):
                pile = self.look(home)
                if pile.is_empty:
                    break
                self._abort(home, pile.uploads)
                self._remove(pile)
            else:
                raise CheckFailedError(
                    f"objects of {self._scope.target} keep coming back into {home.path('')}: something writes there. "
                    "Stop it, then run the command again"
                )

    def _delete_rows(self) -> None:
        self._place.ledger.delete_rows(self._id, self._scope)

    def _end(self, erasure: Erasure) -> None:
        place, account = self._place, self._account()
        skipped = [home.bucket for home in place.home.former if not place.former]
        erasure.left = self.left

        def make(noted: Sequence[Noted], begun: datetime, ended: datetime) -> Receipt:
            return receipt(
                self._id,
                self._search,
                noted,
                account=account,
                buckets=[home.path("") for home in place.homes],
                begun=begun,
                ended=ended,
                stays=what_stays(self._search, self._soft_delete, skipped, ended),
                left=erasure.left,
            )

        erasure.receipt = place.ledger.end(self._id, make, close=not self._scope.unfinished)

    def _account(self) -> str:
        try:
            return self._store(self._place.home).account()
        except CredentialsError:  # a login on Google need not name a project
            return "not named by the login"

    def _store(self, home: Home) -> Store:
        if home.bucket not in self._stores:
            self._stores[home.bucket] = self._place.open_bucket(home)
        return self._stores[home.bucket]


def _removal(pile: Pile) -> str:
    keys = {version.key for version in pile.versions}
    return f"remove {counted(len(keys), 'object')} for good from {pile.home.path('')}: {_amount(pile.versions)}"


def _amount(versions: Sequence[ObjectVersion]) -> str:
    markers = sum(version.is_marker for version in versions)
    held = len(versions) - markers
    beside = f" and {counted(markers, 'delete marker')}" if markers else ""
    return f"{counted(held, 'version')}{beside}, {size(sum(version.size for version in versions))}"


def _listed(pile: Pile) -> Iterator[str]:
    """One line an object: its kind, key, versions."""
    grouped: dict[str, list[ObjectVersion]] = {}
    for version in pile.versions:
        grouped.setdefault(version.key, []).append(version)
    for key, versions in grouped.items():
        yield f"{pile.kinds[key]}: {key} ({_amount(versions)})"
