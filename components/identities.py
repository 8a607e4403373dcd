"""The two who use the bucket: who they are, and their keys in named slots, or a key that somebody else made.

Owns the form that all providers share. What is declared is in `components.s3_identities` and
`components.gcs_identities`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pulumi

from components.settings_model import ExternalKey, Slot
from recordings.outputs import KeyStatus


class Role(StrEnum):
    """Which of the two."""

    WRITER = "writer"
    READER = "reader"


@dataclass(frozen=True)
class IssuedKey:
    """One key: the id is no secret, `secret` is marked as one."""

    id: pulumi.Output[str]
    secret: pulumi.Output[str]
    status: KeyStatus


@dataclass(frozen=True)
class Identity:
    """Who it is (the ARN of an IAM user, the e-mail of a service account), and its keys by slot."""

    principal: pulumi.Output[str]
    keys: Mapping[Slot, IssuedKey]

    def secret_keys(self) -> pulumi.Output[dict[str, dict[str, str]]]:
        """All slots as the stack outputs show them: `{id, secret, status}` each, secret as a whole."""
        slots: dict[str, Any] = {
            slot.value: {"id": key.id, "secret": key.secret, "status": key.status.value}
            for slot, key in self.keys.items()
        }
        return pulumi.Output.secret(pulumi.Output.from_input(slots))


def external_identity(external: ExternalKey, slot: Slot) -> Identity:
    """Use a key that exists; nothing is declared."""
    given = external.secret_access_key
    key = IssuedKey(
        id=pulumi.Output.from_input(external.access_key_id),
        secret=pulumi.Output.secret(given if isinstance(given, pulumi.Output) else given.get_secret_value()),
        status=KeyStatus.ACTIVE,
    )
    return Identity(pulumi.Output.from_input(external.principal), {slot: key})
