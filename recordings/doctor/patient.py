"""What the doctor looks at: a stack's outputs, the three identities, and 100ms and the database where there are any.

Owns who is asked, and why somebody can't be. Changes nothing and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final, NoReturn, cast

import httpx

from recordings.errors import ConfigurationError, CredentialsError
from recordings.hms import HmsClient
from recordings.outputs import StackOutputs, StorageProvider
from recordings.stores import Identity, Store, open_store
from recordings.stores.gcs import library, project_of
from recordings.verification.checks import NotRun
from recordings.verification.context import Context

NO_HMS: Final = "no 100ms credentials"
HMS_FIX: Final = "set HMS_ACCESS_KEY and HMS_APP_SECRET (100ms dashboard, Developer)"


@dataclass
class Patient:
    """One stack. `select` is how its user named it (`--stack prod`), for the commands that repair.

    `hms` is None where there are no credentials, or they are of no use (`no_hms` says why); `api_url` is asked for its
    clock all the same.
    """

    outputs: StackOutputs
    operator: Store
    writer: Store
    reader: Store
    http: httpx.Client
    hms: HmsClient | None = None
    no_hms: str = NO_HMS
    api_url: str = ""
    select: str = "--stack NAME"
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    tell: Callable[[str], None] = lambda _: None

    @cached_property
    def surveyor(self) -> Any:
        """Who reads the settings of bucket and identities as the operator: the one of `recordings.adoption`.

        Raises ConfigurationError where the client library of the provider is not installed.
        """
        return _SURVEYORS[self.outputs.storage_provider](self.outputs)

    def need_hms(self) -> HmsClient:
        """The client. Raises NotRun where there are no credentials."""
        if self.hms is None:
            raise NotRun(self.no_hms, HMS_FIX)
        return self.hms

    def context(self) -> Context:
        """The same for checks of `recordings.verification` that only read; with no patience for keys that are new."""
        return Context(
            outputs=self.outputs,
            slot=self.outputs.registered_key,
            writer=self.writer,
            reader=self.reader,
            operator=self.operator,
            http=self.http,
            patience=timedelta(0),
            tell=self.tell,
        )


class Absent:
    """A store that cannot be opened here: whatever is asked of it is refused, for the reason why."""

    def __init__(self, bucket: str, reason: str) -> None:
        self.bucket = bucket
        self._reason = reason

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        def refuse(*_: object, **__: object) -> NoReturn:
            raise CredentialsError(self._reason)

        return refuse


def open_operator(outputs: StackOutputs) -> Store:
    """The operator, or one that refuses everything where the client library of the provider is not installed."""
    try:
        return open_store(outputs, Identity.OPERATOR)
    except ConfigurationError as error:
        return cast(Store, Absent(outputs.bucket_name, str(error)))


def _on_aws(outputs: StackOutputs) -> Any:
    from recordings.adoption.survey import Surveyor

    return Surveyor(outputs.region)


def _on_google(outputs: StackOutputs) -> Any:
    library("gcs_operator")
    from recordings.adoption.gcs_survey import Surveyor

    return Surveyor(project_of(outputs.writer_principal))


_SURVEYORS: Final[Mapping[StorageProvider, Callable[[StackOutputs], Any]]] = {
    StorageProvider.S3: _on_aws,
    StorageProvider.GCS: _on_google,
}
