"""The last look before anything is declared: is this the account and the region that the stack expects?

Owns that comparison alone. The 100ms customer is compared by `recordings`, which holds the credentials for it. The
SDK of the provider is imported when it is asked: the others need not be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from components.faults import listed
from components.settings_model import Settings
from recordings.errors import GuardError
from recordings.outputs import StorageProvider


@dataclass(frozen=True)
class _Cloud:
    """How a provider is asked for the account that would be changed, and what to say about the answer."""

    account: Callable[[], str]
    is_another: str
    switch: str
    says_nothing: str


def check_place(settings: Settings) -> None:
    """Raise GuardError that names every mismatch with `expectedRegions` and `expectedAccount`.

    The cloud is asked only when an account is expected: a preview without one waits for nobody.
    """
    faults = []
    if settings.expected_regions and settings.region not in settings.expected_regions:
        faults.append(
            f"{settings.cloud}:region = {settings.region!r}: recordings:expectedRegions has "
            f"{', '.join(settings.expected_regions)}"
        )
    cloud = _CLOUDS[settings.provider]
    if settings.expected_account and (account := _account(cloud)) != settings.expected_account:
        faults.append(
            f"{cloud.is_another} {account!r}: recordings:expectedAccount is {settings.expected_account!r}; "
            f"{cloud.switch}"
        )
    if faults:
        raise GuardError(f"stack {settings.stack!r} does not belong here; nothing was declared:\n{listed(faults)}")


def _account(cloud: _Cloud) -> str:
    try:
        return cloud.account()
    except Exception as error:  # the SDK raises Exception itself when an invoke fails
        raise GuardError(
            f"recordings:expectedAccount is set, and {cloud.says_nothing}. Nothing was declared.\n{error}"
        ) from None


def _aws_account() -> str:
    from pulumi_aws.get_caller_identity import get_caller_identity

    return get_caller_identity().account_id


def _google_project() -> str:
    from pulumi_gcp.organizations.get_client_config import get_client_config

    return get_client_config().project


_CLOUDS: Final[Mapping[StorageProvider, _Cloud]] = {
    StorageProvider.S3: _Cloud(
        _aws_account,
        "the credentials belong to AWS account",
        "switch to its credentials (AWS_PROFILE)",
        "AWS does not say whose credentials these are: give valid ones (AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY)",
    ),
    StorageProvider.GCS: _Cloud(
        _google_project,
        "everything would be made in Google project",
        "set gcp:project, and log in where you may change it",
        "Google does not know who you are: log in (`gcloud auth application-default login`) and set gcp:project",
    ),
}
