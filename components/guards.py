"""The last look before anything is declared: is this the account and the region that the stack expects?

Owns that comparison alone. The 100ms customer is compared by `recordings`, which holds the credentials for it.
"""

from __future__ import annotations

from pulumi_aws.get_caller_identity import get_caller_identity

from components.faults import listed
from components.settings import Settings
from recordings.errors import GuardError


def check_place(settings: Settings) -> None:
    """Raise GuardError that names every mismatch with `expectedRegions` and `expectedAccount`.

    AWS is asked who calls only when an account is expected: a preview without one waits for nobody.
    """
    faults = []
    if settings.expected_regions and settings.region not in settings.expected_regions:
        faults.append(
            f"aws:region = {settings.region!r}: recordings:expectedRegions has {', '.join(settings.expected_regions)}"
        )
    if settings.expected_account and (account := _account()) != settings.expected_account:
        faults.append(
            f"the credentials belong to AWS account {account!r}: recordings:expectedAccount is "
            f"{settings.expected_account!r}; switch to its credentials (AWS_PROFILE)"
        )
    if faults:
        raise GuardError(f"stack {settings.stack!r} does not belong here; nothing was declared:\n{listed(faults)}")


def _account() -> str:
    try:
        return get_caller_identity().account_id
    except Exception as error:  # the SDK raises Exception itself when an invoke fails
        raise GuardError(
            f"recordings:expectedAccount is set, and AWS does not say whose credentials these are: {error}\n"
            "Give valid credentials (AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY). Nothing "
            "was declared."
        ) from None
