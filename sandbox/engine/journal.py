"""The state of a stack while a run changes it.

Owns merging what the run has finished with what it has not reached yet, in an order in which nothing comes before
what it depends on, and having it written before and after every operation. Does not decide operations (`deployment`).
"""

from __future__ import annotations

from collections.abc import Callable, Set
from threading import Lock, RLock
from typing import Any

from sandbox.engine.state import Checkpoint, Operation, Resource


class Journal:
    """Starts from a checkpoint; `save` is called with each new one (None: a preview, nothing is written)."""

    def __init__(self, base: Checkpoint, save: Callable[[Checkpoint], None] | None) -> None:
        self._base = base
        self._save = save
        self._lock = RLock()
        self._writing = Lock()
        self._changes = 0
        self._written = 0
        self._fresh: list[Resource] = []
        self._gone: set[int] = set()
        self._pending: list[Operation] = list(base.pending)
        self._renamed: dict[str, str] = {}

    def begin(self, resource: Resource, kind: str) -> None:
        """Note that an operation begins, durably, before the provider is called."""
        with self._lock:
            self._pending.append(Operation(resource, kind))
        self.write()

    def abandon(self, resource: Resource) -> None:
        """Note that an operation ended and changed nothing."""
        with self._lock:
            self._settle(resource)
        self.write()

    def finish(
        self, subject: Resource, *, add: Resource | None = None, drop: Resource | None = None, write: bool = True
    ) -> None:
        """Note that the operation on `subject` ended: `add` is in the state now, `drop` is not any more."""
        with self._lock:
            self._settle(subject)
            if drop is not None:
                self._gone.add(id(drop))
            if add is not None:
                self._fresh.append(add)
                self._renamed.update(dict.fromkeys(add.aliases, add.urn))
        if write:
            self.write()

    def write(self) -> None:
        """Return when all that was noted before this call is in the state file.

        Operations run side by side: while one write is under way others wait, and one more write does for all of them.
        """
        if self._save is None:
            return
        with self._lock:
            self._changes += 1
            mine = self._changes
        with self._writing:
            if self._written >= mine:
                return
            with self._lock:
                covered, checkpoint = self._changes, self.checkpoint()
            self._save(checkpoint)
            self._written = covered

    def checkpoint(self) -> Checkpoint:
        """The stack as it stands: finished resources, then those not reached, each list in its own order."""
        with self._lock:
            both = [*self._fresh, *self._base.resources]
            remaining = [resource for resource in both if id(resource) not in self._gone]
            there = {resource.reference for resource in remaining if resource.is_provider}
            renamed = [self._rename(item, there) for item in remaining]
            return Checkpoint(self._base.stack, renamed, list(self._pending), self._base.metadata)

    def leftover(self) -> list[Resource]:
        """What the base has and the run neither took over nor deleted, in the state's order."""
        with self._lock:
            return [resource for resource in self._base.resources if id(resource) not in self._gone]

    def _settle(self, resource: Resource) -> None:
        self._pending = [item for item in self._pending if item.resource is not resource]

    def _rename(self, resource: Resource, there: Set[str]) -> Resource:
        """Point references at the new URN of a resource that was found under an alias.

        A provider that is `there` under its old URN, replaced and not deleted yet, keeps what it serves.
        """
        if not self._renamed:
            return resource

        def new(urn: str) -> str:
            return self._renamed.get(urn, urn)

        changes: dict[str, Any] = {
            "parent": new(resource.parent),
            "dependencies": [new(urn) for urn in resource.dependencies],
            "property_dependencies": {
                key: [new(urn) for urn in urns] for key, urns in resource.property_dependencies.items()
            },
            "aliases": [],
        }
        if resource.provider not in ("", *there):
            urn, _, identity = resource.provider.rpartition("::")
            changes["provider"] = f"{new(urn)}::{identity}"
        return resource.copy(**changes)
