"""Which test stack has which 100ms template: leases from a fixed pool, as 100ms has no call that deletes a template.

Owns one remembered thing, `.recordings/leases` in the bucket of a stack that stays. It is written on condition that
nobody else wrote meanwhile, so two pull requests at once never get the same template, and none gets two. A lease lasts
until it is released; its end only says when the stack may be swept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

from recordings.errors import CheckFailedError, ConflictError, UsageError
from recordings.memory import Memory

NAME: Final = "leases"
ATTEMPTS: Final = 20
"""Tries when others write at the same time; each lost try means that another one succeeded."""

T = TypeVar("T")
_Entries = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Lease:
    """One template in use. `since` and `expires` are UTC.

    `encryption` is what Pulumi keeps in the stack's file beside its configuration: a job that checks the project out
    anew has no such file.
    """

    template: str
    stack: str
    since: datetime
    expires: datetime
    encryption: Mapping[str, str] = field(default_factory=dict)


class Leases:
    """The leases that the memory of one bucket holds. Every method may raise what `Memory` raises."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def all(self) -> Sequence[Lease]:
        """Every lease, by template."""
        known = self._memory.read(NAME)
        return _leases(known.value if known else {})

    def of(self, stack: str) -> Lease | None:
        """The lease of a stack."""
        return next((lease for lease in self.all() if lease.stack == stack), None)

    def take(self, pool: Sequence[str], stack: str, now: datetime, expires: datetime) -> Lease:
        """Give the stack a template of `pool`, the one that it has if it has one, until `expires`.

        Raises CheckFailedError that names who has them if none is free, UsageError for an empty pool.
        """
        if not pool:
            raise UsageError("the pool of templates is empty: name at least one template that only test stacks use")

        def change(entries: _Entries) -> Lease:
            own = next((template for template, entry in entries.items() if entry["stack"] == stack), None)
            template = own or next((each for each in pool if each not in entries), None)
            if template is None:
                holders = ", ".join(f"{lease.template} by {lease.stack}" for lease in _leases(entries))
                raise CheckFailedError(
                    f"no template of the pool is free: {holders}. Take a test stack down (close its pull request), or "
                    "add a template to the pool"
                )
            former = entries.get(template, {"since": now.isoformat()})
            entries[template] = {**former, "stack": stack, "expires": expires.isoformat()}
            return _lease(template, entries[template])

        return self._change(change)

    def note(self, stack: str, encryption: Mapping[str, str]) -> None:
        """Keep how the stack's configuration is encrypted. A stack with no lease keeps nothing."""

        def change(entries: _Entries) -> None:
            for entry in entries.values():
                if entry["stack"] == stack:
                    entry["encryption"] = dict(encryption)

        self._change(change)

    def release(self, stack: str) -> Lease | None:
        """Free the template of a stack; None if it has none, which is no error."""

        def change(entries: _Entries) -> Lease | None:
            own = next((template for template, entry in entries.items() if entry["stack"] == stack), None)
            return _lease(own, entries.pop(own)) if own else None

        return self._change(change)

    def _change(self, change: Callable[[_Entries], T]) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            known = self._memory.read(NAME)
            before: Mapping[str, Any] = known.value if known else {}
            entries = {template: dict(entry) for template, entry in before.items()}
            result = change(entries)
            if entries == before:
                return result
            try:
                self._memory.write(NAME, entries, known.version if known else None)
            except ConflictError:
                if attempt == ATTEMPTS:
                    raise
            else:
                return result
        raise AssertionError("unreachable: the last attempt returns or raises")


def _leases(entries: Mapping[str, Any]) -> list[Lease]:
    return [_lease(template, entry) for template, entry in sorted(entries.items())]


def _lease(template: str, entry: Mapping[str, Any]) -> Lease:
    since, expires = (datetime.fromisoformat(entry[name]) for name in ("since", "expires"))
    return Lease(template, str(entry["stack"]), since, expires, entry.get("encryption", {}))
