"""Is this the place that the stack's configuration expects? Asked before anything is changed, by every command.

Owns the comparison of `expectedAccount`, `expectedRegions` and `expectedCustomer` with what the cloud and 100ms say.
Changes nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from recordings.errors import GuardError
from recordings.outputs import StackOutputs
from recordings.stores.base import Store


class Owned(Protocol):
    """A template or room, which belongs to a 100ms customer."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def customer_id(self) -> str | None:
        """The customer's id, None where 100ms does not say."""


def check_cloud(outputs: StackOutputs, operator: Store) -> None:
    """Raise GuardError, naming every mismatch, if account or region is not as expected; an empty setting allows all."""
    faults = []
    regions = {region.casefold() for region in outputs.expected_regions}
    if regions and outputs.region.casefold() not in regions:
        faults.append(f"region is {outputs.region!r}; expectedRegions: {', '.join(outputs.expected_regions)}")
    if outputs.expected_account is not None and (account := operator.account()) != outputs.expected_account:
        faults.append(f"account is {account!r}; expectedAccount: {outputs.expected_account!r}")
    _stop_on(faults)


def check_customer(outputs: StackOutputs, owned: Iterable[Owned], kind: str = "template") -> None:
    """Raise GuardError, naming every template (or other `kind`) of another 100ms customer than expected."""
    if outputs.expected_customer is None:
        return
    _stop_on(
        [
            f"{kind} {each.id} belongs to 100ms customer {each.customer_id or '(not said)'!r}; "
            f"expectedCustomer: {outputs.expected_customer!r}"
            for each in owned
            if each.customer_id != outputs.expected_customer
        ]
    )


def _stop_on(faults: list[str]) -> None:
    if faults:
        raise GuardError(
            "this is not the place that the stack expects; nothing was changed:\n"
            + "\n".join(f"  {fault}" for fault in faults)
            + "\nUse the credentials of the right account and workspace, or correct the stack's configuration"
        )
