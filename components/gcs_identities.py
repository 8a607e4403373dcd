"""Writer and reader on Google Cloud: a service account each, bound to the bucket, with HMAC keys in named slots.

Owns accounts, their bindings on the bucket and their keys. What the bindings say is in `recordings.policies_gcs`. An
account that somebody else made is bound as well: the policy is the bucket's, so nobody else could.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_gcp
from pulumi_gcp.serviceaccount.account import Account
from pulumi_gcp.serviceaccount.key import Key
from pulumi_gcp.storage.bucket_iam_member import BucketIAMMember
from pulumi_gcp.storage.hmac_key import HmacKey

from components.identities import Identity, IssuedKey, external_identity
from components.settings_model import ExternalKey, Slot
from recordings.adoption.gcs_parts import import_id
from recordings.outputs import KeyStatus
from recordings.policies_gcs import Binding, member

_STATES = {KeyStatus.ACTIVE: "ACTIVE", KeyStatus.INACTIVE: "INACTIVE"}


@dataclass(frozen=True)
class Grant:
    """Bindings on one bucket."""

    name: str
    bucket: pulumi.Input[str]
    bindings: Sequence[Binding]


@dataclass(frozen=True)
class Declaration:
    """One of the two: `name` in every URN, the account's id, what it is for, what it may do, and its keys.

    `exists`: the account is there, and is taken over.
    """

    name: str
    account_id: str | None
    purpose: str
    grants: Sequence[Grant]
    slots: Mapping[Slot, KeyStatus]
    json_key: bool = False
    exists: bool = False


@dataclass(frozen=True)
class GcsIdentity:
    """An identity, and its JSON key where one was asked for (secret)."""

    identity: Identity
    json_key: pulumi.Output[str] | None = None


def declare_identity(role: Declaration, parent: pulumi.Resource) -> GcsIdentity:
    """Declare a service account, its bindings and a key for each slot; keys wait for the bindings: none is idle."""
    account = Account(
        role.name,
        account_id=role.account_id,
        display_name=role.purpose,
        opts=pulumi.ResourceOptions(parent=parent, import_=_import_id(role) if role.exists else None),
    )
    bound = _bind(role, account.member, parent)
    waiting = pulumi.ResourceOptions(parent=parent, depends_on=bound)
    keys = {}
    for slot, status in role.slots.items():
        key = HmacKey(f"{role.name}-{slot}", service_account_email=account.email, state=_STATES[status], opts=waiting)
        keys[slot] = IssuedKey(key.access_id, pulumi.Output.secret(key.secret), status)
    json_key: pulumi.Output[str] | None = None
    if role.json_key:
        made = Key(f"{role.name}-json", service_account_id=account.name, opts=waiting)
        json_key = pulumi.Output.secret(made.private_key.apply(lambda text: base64.b64decode(text).decode()))
    return GcsIdentity(Identity(account.email, keys), json_key)


def bind_external(role: Declaration, external: ExternalKey, slot: Slot, parent: pulumi.Resource) -> GcsIdentity:
    """Use an account and key that exist, and bind the account to the bucket."""
    _bind(role, pulumi.Output.from_input(member(external.principal)), parent)
    return GcsIdentity(external_identity(external, slot))


def _import_id(role: Declaration) -> str:
    """As what the account is imported. Raises RunError without a project to look in."""
    project = pulumi_gcp.config.project
    if role.account_id is None or not project:
        raise pulumi.RunError(
            "recordings:adopt names an account, and no project is configured: `pulumi config set gcp:project PROJECT`"
        )
    return import_id(role.account_id, project)


def _bind(role: Declaration, who: pulumi.Output[str], parent: pulumi.Resource) -> list[BucketIAMMember]:
    return [
        BucketIAMMember(
            f"{role.name}-{grant.name}{binding['role'].rpartition('.')[2]}",
            bucket=grant.bucket,
            role=binding["role"],
            member=who,
            condition={
                "title": binding["condition"]["title"],
                "description": binding["condition"]["description"],
                "expression": binding["condition"]["expression"],
            },
            opts=pulumi.ResourceOptions(parent=parent),
        )
        for grant in role.grants
        for binding in grant.bindings
    ]
