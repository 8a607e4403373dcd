"""Carry out one decided step: call the provider, keep the journal, tell the display.

Owns the order that makes a killed run recoverable: note the operation in the state, call, note the result. Does not
decide what to do (`deployment`).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from sandbox.engine import registry
from sandbox.engine.errors import DeploymentError
from sandbox.engine.journal import Journal
from sandbox.engine.registry import Registry
from sandbox.engine.state import Resource, now
from sandbox.engine.values import mark_secrets, unwrap
from sandbox.providers.base import DiffKind, DiffResult, Provider, ProviderError, ResourceState


class Op(StrEnum):
    """What a step does, in the words of `preview --json`."""

    SAME = "same"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    REPLACE = "replace"
    CREATE_REPLACEMENT = "create-replacement"
    DELETE_REPLACED = "delete-replaced"
    READ = "read"
    READ_REPLACEMENT = "read-replacement"
    DISCARD = "discard"
    DISCARD_REPLACED = "discard-replaced"
    IMPORT = "import"
    IMPORT_REPLACEMENT = "import-replacement"
    REFRESH = "refresh"


@dataclass(frozen=True)
class Step:
    """One thing to do to one resource; `diff` says which properties are the reason."""

    op: Op
    old: Resource | None = None
    new: Resource | None = None
    diff: DiffResult | None = None

    @property
    def resource(self) -> Resource:
        """The resource after the step, or the one that goes."""
        resource = self.new or self.old
        assert resource is not None
        return resource

    @property
    def urn(self) -> str:
        """The URN of the resource."""
        return self.resource.urn

    @property
    def detailed(self) -> dict[str, tuple[DiffKind, bool]] | None:
        """The differences by property path, or None if this kind of step has none."""
        return dict(self.diff.detailed) if self.diff is not None else None


class Sink(Protocol):
    """Where steps and messages are shown."""

    def started(self, step: Step) -> None:
        """A step begins."""

    def finished(self, step: Step) -> None:
        """A step has been done."""

    def failed(self, step: Step, message: str) -> None:
        """A step failed."""

    def diagnostic(self, severity: str, urn: str, message: str) -> None:
        """A message about a resource, or about the stack; `severity` is info, warning or error."""


@dataclass
class Runner:
    """Carries out steps of one run; with `dry_run` the providers only preview and nothing is written.

    `olds` are the live resources of the last run, by URN, in the state's order.
    """

    journal: Journal
    providers: Registry
    sink: Sink
    dry_run: bool
    olds: dict[str, Resource]

    def run(self, step: Step) -> None:
        """Do the step. Raises DeploymentError after the state is in order."""
        self.sink.started(step)
        with self._reported(step):
            {
                Op.SAME: self._same,
                Op.CREATE: self._create,
                Op.CREATE_REPLACEMENT: self._create,
                Op.UPDATE: self._update,
                Op.REPLACE: self._note,
                Op.DELETE: self._delete,
                Op.DELETE_REPLACED: self._delete,
                Op.DISCARD: self._delete,
                Op.DISCARD_REPLACED: self._delete,
                Op.READ: self._read,
                Op.READ_REPLACEMENT: self._read,
                Op.IMPORT: self._import,
                Op.IMPORT_REPLACEMENT: self._import,
            }[step.op](step)
        self.sink.finished(step)

    @contextmanager
    def _reported(self, step: Step) -> Iterator[None]:
        try:
            yield
        except ProviderError as error:
            self.sink.failed(step, str(error))
            raise DeploymentError(f"{step.resource.type} {step.resource.name!r}: {error}") from None

    def provider(self, resource: Resource) -> Provider:
        """The provider that serves the resource."""
        return self.providers.get(resource.provider)

    def propose(self, step: Step) -> None:
        """In a preview, show a step that is going to be refused."""
        if self.dry_run:
            self.sink.started(step)
            self.sink.finished(step)

    def _note(self, step: Step) -> None:
        """Nothing to do: the step stands for others."""

    def _same(self, step: Step) -> None:
        old, new = step.old, step.new
        assert old is not None
        assert new is not None
        # a value that became a secret is the same value, and must no longer be seen
        new.id, new.outputs = old.id, mark_secrets(old.outputs, new.inputs, new.additional_secret_outputs)
        if new.is_provider:
            self.providers.add(new)
        unchanged = _said(new) == _said(old)
        self.journal.finish(new, add=new, drop=old, write=not unchanged)

    def _create(self, step: Step) -> None:
        new = step.new
        assert new is not None
        # what is older than this was not made by this run, should it be killed
        new.created = now()
        self.journal.begin(new, "creating")
        with self._partial(step):
            if new.is_provider:
                new.id = "" if self.dry_run else str(uuid.uuid4())
                self._set_up(new)
            elif new.custom:
                self._take(new, self.provider(new).create(new.type, unwrap(new.inputs), preview=self.dry_run))
        self._created(step)

    def _created(self, step: Step) -> None:
        new, old = step.new, step.old
        assert new is not None
        new.created = new.modified = now()
        drop = None
        if step.op is Op.CREATE_REPLACEMENT and old is not None:
            if old.pending_replacement:
                drop = old
            else:
                old.delete = True
        self.journal.finish(new, add=new, drop=drop)

    def _update(self, step: Step) -> None:
        old, new = step.old, step.new
        assert old is not None
        assert new is not None
        new.id = old.id
        self.journal.begin(new, "updating")
        with self._partial(step):
            if new.is_provider:
                self._set_up(new)
            elif new.custom:
                before = ResourceState(old.id, unwrap(old.inputs), unwrap(old.outputs))
                provider = self.provider(new)
                self._take(new, provider.update(new.type, before, unwrap(new.inputs), preview=self.dry_run))
        new.modified = now()
        self.journal.finish(new, add=new, drop=old)

    def _set_up(self, new: Resource) -> None:
        new.outputs = registry.outputs(new.inputs)
        self.providers.add(new)

    @contextmanager
    def _partial(self, step: Step) -> Iterator[None]:
        """Keep a resource that exists although its creation or update failed, and forget one that does not."""
        new = step.new
        assert new is not None
        try:
            yield
        except ProviderError as error:
            if error.partial is None and error.uncertain:
                raise
            if error.partial is None:
                self.journal.abandon(new)
            else:
                self._take(new, error.partial)
                new.init_errors = [str(error)]
                new.modified = now()
                new.created = new.created or new.modified
                drop = step.old if step.op is Op.UPDATE else None
                self.journal.finish(new, add=new, drop=drop)
            raise

    def _take(self, new: Resource, state: ResourceState) -> None:
        secret_names = {*new.additional_secret_outputs, *self.provider(new).secret_outputs(new.type)}
        new.id = state.id
        new.outputs = mark_secrets(state.outputs, new.inputs, secret_names)
        if not new.id and not self.dry_run:
            raise ProviderError("the provider returned no id")

    def _read(self, step: Step) -> None:
        new, old = step.new, step.old
        assert new is not None
        self.journal.begin(new, "reading")
        if new.id:
            found = self.provider(new).read(new.type, new.id, unwrap(new.inputs), None)
            if found is None:
                self.journal.abandon(new)
                raise ProviderError(f"resource {new.id!r} does not exist")
            self._take(new, found)
        replaced = old is not None and not old.external and old.id != new.id
        if old is not None and replaced:
            old.delete = True
        self.journal.finish(new, add=new, drop=None if replaced else old)

    def _import(self, step: Step) -> None:
        new = step.new
        assert new is not None
        self.journal.begin(new, "importing")
        new.created = new.modified = now()
        if step.old is not None:
            step.old.delete = True
        self.journal.finish(new, add=new)

    def _delete(self, step: Step) -> None:
        old = step.old
        assert old is not None
        if old.protect and step.op not in (Op.DELETE_REPLACED, Op.DISCARD_REPLACED):
            raise ProviderError(
                "cannot be deleted because it is protected; remove the `protect` flag in the program and run `up` first"
            )
        self.journal.begin(old, "deleting")
        kept = old.is_provider or old.external or old.retain_on_delete or old.pending_replacement
        if old.custom and not kept and not self.dry_run:
            try:
                state = ResourceState(old.id, unwrap(old.inputs), unwrap(old.outputs))
                self.provider(old).delete(old.type, state)
            except ProviderError as error:
                if not error.uncertain:
                    self.journal.abandon(old)
                raise
        if step.op is Op.DELETE_REPLACED and not old.delete:
            old.pending_replacement = True
            self.journal.finish(old)
        else:
            self.journal.finish(old, drop=old)


def _said(resource: Resource) -> dict[str, Any]:
    """What the state says of it, but when it was made and changed and what another engine noted."""
    return vars(resource.copy(created="", modified="", kept={}))
