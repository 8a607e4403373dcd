"""Writer and reader on AWS: an IAM user each, with one inline policy and access keys in named slots.

Owns users, their policies and access keys. What the policies say is in `recordings.policies`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import pulumi
from pulumi_aws.iam.access_key import AccessKey
from pulumi_aws.iam.user import User
from pulumi_aws.iam.user_policy import UserPolicy

from components.existing import imported
from components.identities import Identity, IssuedKey, Role
from components.s3_settings import S3StorageSettings
from components.settings_model import Slot
from recordings.adoption.parts import Part
from recordings.outputs import KeyStatus
from recordings.policies import Policy


def declare_identity(
    name: str, role: Role, policy: Policy, settings: S3StorageSettings, parent: pulumi.Resource
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
