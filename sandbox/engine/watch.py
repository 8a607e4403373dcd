"""A provider under watch: one that hangs, or dies of an error of its own, ends in a clear message.

Owns telling a refusal (ProviderError: the provider says what became of it) from an unknown outcome (one that is
`uncertain`: the operation stays pending in the state, and the next run finds out).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Final, TypeVar

from sandbox.providers.base import CheckResult, DiffResult, Provider, ProviderError, ResourceState
from sandbox.values import Properties

PATIENCE: Final = 300.0
"""Seconds that a call may take: several times what the clients of the stand-in providers allow for all their tries."""

_T = TypeVar("_T")


class UncertainError(ProviderError):
    """The provider did not say whether the operation took place."""

    def __init__(self, message: str) -> None:
        super().__init__(message, uncertain=True)


class Watched:
    """A provider whose calls end within `patience` seconds, and raise nothing but ProviderError."""

    def __init__(self, provider: Provider, patience: float = PATIENCE) -> None:
        self._provider = provider
        self._patience = patience
        self.package = provider.package
        self.version = provider.version

    def configure(self, config: Mapping[str, str]) -> None:
        """See `Provider.configure`."""
        self._ask("configure", lambda: self._provider.configure(config))

    def check(self, type_: str, name: str, old: Properties | None, new: Properties) -> CheckResult:
        """See `Provider.check`."""
        return self._ask("check", lambda: self._provider.check(type_, name, old, new))

    def diff(self, type_: str, state: ResourceState, new: Properties, ignore_changes: Sequence[str]) -> DiffResult:
        """See `Provider.diff`."""
        return self._ask("diff", lambda: self._provider.diff(type_, state, new, ignore_changes))

    def create(self, type_: str, inputs: Properties, *, preview: bool) -> ResourceState:
        """See `Provider.create`."""
        return self._ask("create", lambda: self._provider.create(type_, inputs, preview=preview))

    def read(self, type_: str, id_: str, inputs: Properties | None, outputs: Properties | None) -> ResourceState | None:
        """See `Provider.read`."""
        return self._ask("read", lambda: self._provider.read(type_, id_, inputs, outputs))

    def update(self, type_: str, state: ResourceState, new: Properties, *, preview: bool) -> ResourceState:
        """See `Provider.update`."""
        return self._ask("update", lambda: self._provider.update(type_, state, new, preview=preview))

    def delete(self, type_: str, state: ResourceState) -> None:
        """See `Provider.delete`."""
        self._ask("delete", lambda: self._provider.delete(type_, state))

    def invoke(self, token: str, args: Properties) -> Properties:
        """See `Provider.invoke`."""
        return self._ask(token, lambda: self._provider.invoke(token, args))

    def secret_outputs(self, type_: str) -> Sequence[str]:
        """See `Provider.secret_outputs`."""
        return self._provider.secret_outputs(type_)

    def find(self, type_: str, inputs: Properties, known_ids: Collection[str]) -> ResourceState | None:
        """See `Provider.find`."""
        return self._ask("find", lambda: self._provider.find(type_, inputs, known_ids))

    def _ask(self, what: str, call: Callable[[], _T]) -> _T:
        answers: SimpleQueue[tuple[_T | None, BaseException | None]] = SimpleQueue()

        def run() -> None:
            try:
                answers.put((call(), None))
            except BaseException as error:
                answers.put((None, error))

        # a daemon: one that never ends must not keep the process from ending
        threading.Thread(target=run, name=f"{self.package}.{what}", daemon=True).start()
        try:
            answer, error = answers.get(timeout=self._patience)
        except Empty:
            raise UncertainError(
                f"the {self.package} provider has not answered {what} for {self._patience:g} seconds; "
                "see whether its endpoint is up, then run again"
            ) from None
        if error is None:
            return answer  # type: ignore[return-value]
        if isinstance(error, ProviderError):
            raise error
        raise UncertainError(
            f"the {self.package} provider broke down in {what}: {type(error).__name__}: {error}; run again"
        ) from error
