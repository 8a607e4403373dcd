"""The two who use the bucket: an IAM user each, with one inline policy and keys in named slots, or an external key.

Owns users, their policies and access keys. What the policies say is in `recordings.policies`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pulumi
from pulumi_aws.iam.access_key import AccessKey
from pulumi_aws.iam.user import User
from pulumi_aws.iam.user_policy import UserPolicy

from components.existing import imported
from components.settings import ExternalKey, Slot, StorageSettings
from recordings.adoption.parts import Part
from recordings.outputs import KeyStatus
from recordings.policies import Policy


class Role(StrEnum):
    """Which of the two."""

    WRITER = "writer"
    READER = "reader"


@dataclass(frozen=True)
class IssuedKey:
    """One access key: the id is no secret, `secret` is marked as one."""

    id: pulumi.Output[str]
    secret: pulumi.Output[str]
    status: KeyStatus


@dataclass(frozen=True)
class Identity:
    """Who it is (the ARN of an IAM user), and its keys by slot."""

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
    key = IssuedKey(
        id=pulumi.Output.from_input(external.access_key_id),
        secret=pulumi.Output.secret(external.secret_access_key.get_secret_value()),
        status=KeyStatus.ACTIVE,
    )
    return Identity(pulumi.Output.from_input(external.principal), {slot: key})


def declare_identity(
    name: str, role: Role, policy: Policy, settings: StorageSettings, parent: pulumi.Resource
) -> Identity:
    """Declare an IAM user with `policy` and a key for each slot; keys wait for the policy, so that none is idle.

    User and policy may be there already. Keys are always ours: the secret of another's cannot be read.
    """
    user_name: str | None = getattr(settings, f"{role}_name")
    policy_name: str = getattr(settings, f"{role}_policy_name") or name
    slots: Mapping[Slot, KeyStatus] = getattr(settings, f"{role}_keys")
    user = User(
        name,
        name=user_name,
        path=settings.iam_path,
        permissions_boundary=settings.permissions_boundary,
        force_destroy=settings.force_destroy,
        tags=dict(settings.tags),
        opts=pulumi.ResourceOptions(parent=parent, import_=imported(Part(role), settings.adopt, user_name)),
    )
    id_ = imported(Part(f"{role}-policy"), settings.adopt, f"{user_name}:{policy_name}")
    inline = UserPolicy(
        name,
        name=policy_name,
        user=user.name,
        policy=json.dumps(policy),
        opts=pulumi.ResourceOptions(parent=parent, import_=id_),
    )
    keys = {}
    for slot, status in slots.items():
        key = AccessKey(
            f"{name}-{slot}",
            user=user.name,
            status=status.capitalize(),
            opts=pulumi.ResourceOptions(parent=parent, depends_on=[inline]),
        )
        keys[slot] = IssuedKey(key.id, pulumi.Output.secret(key.secret), status)
    return Identity(user.arn, keys)
