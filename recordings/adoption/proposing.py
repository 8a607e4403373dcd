"""From a wish to a proposal: which configuration takes it over, and what stands in the way.

Owns the wish, and the choice of who looks and judges: the module of this package that is named as the provider of the
stack's file. Nothing else here asks which provider it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import cast

from recordings.adoption.findings import Proposal
from recordings.adoption.stack_file import StackFile
from recordings.errors import ConfigurationError
from recordings.outputs import StorageProvider


@dataclass(frozen=True)
class Wish:
    """What is to be taken over, as the command line names it."""

    stack: str
    bucket: str
    user: str | None = None
    user_policy: str | None = None
    reader_user: str | None = None
    reader_policy: str | None = None
    prefix: str | None = None

    @property
    def stack_name(self) -> str:
        """The name alone, of a stack that may be given as organisation/project/name."""
        return self.stack.rpartition("/")[2]


def propose(wish: Wish, file: StackFile) -> Proposal:
    """Look at everything and judge it.

    Raises StoreError, UsageError, GuardError for the wrong account, and ConfigurationError for an unknown provider.
    """
    given = file.value("provider") or StorageProvider.S3
    legal = [provider.value for provider in StorageProvider]
    if given not in legal:
        raise ConfigurationError(f"recordings:provider is {given!r}; legal: {', '.join(legal)}")
    return cast(Proposal, import_module(f"recordings.adoption.{given}").propose(wish, file))
