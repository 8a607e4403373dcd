"""The resource kinds of an IAM user: the user itself, and a policy written into it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from sandbox.providers.aws.cloud import GONE, Cloud, CloudError
from sandbox.providers.aws.policy import policy_faults, policy_text
from sandbox.providers.base import CheckFailure, ResourceState
from sandbox.providers.compare import Rules
from sandbox.providers.kinds import AutoName, Kind
from sandbox.values import UNKNOWN, Properties

if TYPE_CHECKING:
    from mypy_boto3_iam.type_defs import UserTypeDef

_NAME = re.compile(r"[\w+=,.@-]+", re.ASCII)
_PATH = re.compile(r"/|/[!-\x7e]*/")


class User(Kind):
    """An IAM user; id: its name.

    The official provider renames a user in place. The emulator has no UpdateUser, so here a new name or path replaces
    it, as the reference recording has it too.
    """

    type_ = "aws:iam/user:User"
    args = "pulumi_aws.iam.user:UserArgs"
    replace_on = frozenset({"name", "path"})
    rules = Rules(defaults={"forceDestroy": False, "path": "/", "tags": {}})
    computed = ("arn", "tagsAll", "uniqueId")
    unobserved = frozenset({"forceDestroy"})
    auto_name = AutoName("name", max_length=64)

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def faults(self, inputs: Properties) -> Iterable[CheckFailure]:
        """Names and paths: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateUser.html."""
        yield from name_faults(inputs["name"], 64)
        path = inputs.get("path", "/")
        if path is not UNKNOWN and not _PATH.fullmatch(path):
            yield CheckFailure("path", f"{path!r} is no path; legal: '/', or text that begins and ends with '/'")

    def create(self, inputs: Properties) -> ResourceState:
        """CreateUser, with everything in one call."""
        request: Any = {"UserName": inputs["name"], "Path": inputs.get("path", "/")}
        if inputs.get("permissionsBoundary"):
            request["PermissionsBoundary"] = inputs["permissionsBoundary"]
        if inputs.get("tags"):
            request["Tags"] = _tag_list(inputs["tags"])
        with self._cloud.asking(f"creating IAM user {inputs['name']!r}"):
            user = self._cloud.iam.create_user(**request)["User"]
        return ResourceState(user["UserName"], inputs, _user_outputs(user, inputs))

    def read(self, id_: str, outputs: Properties | None) -> ResourceState | None:
        """GetUser and its tags."""
        try:
            with self._cloud.asking(f"reading IAM user {id_!r}"):
                user = self._cloud.iam.get_user(UserName=id_)["User"]
                pages = self._cloud.iam.get_paginator("list_user_tags").paginate(UserName=id_)
                tags = {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
        except CloudError as error:
            if error.code in GONE:
                return None
            raise
        boundary = user.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
        force = bool((outputs or {}).get("forceDestroy"))
        inputs: Properties = {"name": id_, "path": user["Path"], "tags": tags, "forceDestroy": force}
        if boundary:
            inputs["permissionsBoundary"] = boundary
        return ResourceState(id_, inputs, _user_outputs(user, inputs))

    def update(self, state: ResourceState, new: Properties) -> ResourceState:
        """Boundary and tags, whatever differs."""
        old, name = state.inputs, state.id
        with self._cloud.asking(f"changing IAM user {name!r}"):
            if old.get("permissionsBoundary") != new.get("permissionsBoundary"):
                self._bound(name, new.get("permissionsBoundary"))
            self._retag(name, old.get("tags") or {}, new.get("tags") or {})
            user = self._cloud.iam.get_user(UserName=name)["User"]
        return ResourceState(name, new, _user_outputs(user, new))

    def delete(self, state: ResourceState) -> None:
        """DeleteUser, out of all groups; with forceDestroy its access keys and password first."""
        name, iam = state.id, self._cloud.iam
        try:
            with self._cloud.asking(f"deleting IAM user {name!r}"):
                for group in iam.list_groups_for_user(UserName=name)["Groups"]:
                    iam.remove_user_from_group(UserName=name, GroupName=group["GroupName"])
                if state.inputs.get("forceDestroy"):
                    self._disarm(name)
                self._refuse_if_in_use(name)
                iam.delete_user(UserName=name)
        except CloudError as error:
            if error.code not in GONE:
                raise

    def find(self, inputs: Properties, known_ids: Collection[str]) -> ResourceState | None:
        """Its name is its id."""
        name = inputs["name"]
        found = None if name in known_ids else self.read(name, None)
        if found is None:
            return None
        with self._cloud.asking(f"looking when IAM user {name!r} was made"):
            return replace(found, made=self._cloud.iam.get_user(UserName=name)["User"]["CreateDate"])

    def _bound(self, name: str, boundary: str | None) -> None:
        if boundary:
            self._cloud.iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=boundary)
        else:
            self._cloud.iam.delete_user_permissions_boundary(UserName=name)

    def _retag(self, name: str, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        if gone := [key for key in old if key not in new]:
            self._cloud.iam.untag_user(UserName=name, TagKeys=gone)
        if changed := {key: value for key, value in new.items() if old.get(key) != value}:
            self._cloud.iam.tag_user(UserName=name, Tags=_tag_list(changed))

    def _disarm(self, name: str) -> None:
        iam = self._cloud.iam
        for page in iam.get_paginator("list_access_keys").paginate(UserName=name):
            for key in page["AccessKeyMetadata"]:
                iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        try:
            iam.delete_login_profile(UserName=name)
        except iam.exceptions.NoSuchEntityException:
            return

    def _refuse_if_in_use(self, name: str) -> None:
        """Told before DeleteUser is called, since emulators delete a user with all it has."""
        iam = self._cloud.iam
        keys = [key["AccessKeyId"] for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]]
        policies = iam.list_user_policies(UserName=name)["PolicyNames"]
        attached = [
            policy["PolicyArn"] for policy in iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]
        ]
        if keys or policies or attached:
            held = [f"access key {key}" for key in keys] + [f"policy {policy}" for policy in (*policies, *attached)]
            raise CloudError(
                f"deleting IAM user {name!r}: DeleteConflict: it still has {', '.join(held)}. "
                "Remove them first, or set forceDestroy for access keys.",
                "DeleteConflict",
            )


class UserPolicy(Kind):
    """A policy written into a user; id: `user:name`."""

    type_ = "aws:iam/userPolicy:UserPolicy"
    args = "pulumi_aws.iam.user_policy:UserPolicyArgs"
    replace_on = frozenset({"name", "user"})
    rules = Rules(json=frozenset({"policy"}))
    unsupported: ClassVar[Mapping[str, str]] = {"namePrefix": "give `name`, or neither for an automatic name"}
    auto_name = AutoName("name", max_length=128)

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def faults(self, inputs: Properties) -> Iterable[CheckFailure]:
        """A name and a policy document."""
        yield from name_faults(inputs["name"], 128)
        yield from policy_faults(inputs["policy"])

    def create(self, inputs: Properties) -> ResourceState:
        """PutUserPolicy."""
        user, name = inputs["user"], inputs["name"]
        with self._cloud.asking(f"writing policy {name!r} of IAM user {user!r}"):
            self._cloud.iam.put_user_policy(
                UserName=user, PolicyName=name, PolicyDocument=policy_text(inputs["policy"])
            )
        return _policy_state(user, name, inputs, policy_text(inputs["policy"]))

    def read(self, id_: str, outputs: Properties | None) -> ResourceState | None:
        """GetUserPolicy."""
        user, _, name = id_.partition(":")
        try:
            with self._cloud.asking(f"reading policy {name!r} of IAM user {user!r}"):
                document = self._cloud.iam.get_user_policy(UserName=user, PolicyName=name)["PolicyDocument"]
        except CloudError as error:
            if error.code in GONE:
                return None
            raise
        text = document if isinstance(document, str) else json.dumps(document)
        return _policy_state(user, name, {"user": user, "name": name, "policy": text}, text)

    def update(self, state: ResourceState, new: Properties) -> ResourceState:
        """PutUserPolicy, over what is there."""
        return self.create(new)

    def delete(self, state: ResourceState) -> None:
        """DeleteUserPolicy."""
        user, _, name = state.id.partition(":")
        try:
            with self._cloud.asking(f"deleting policy {name!r} of IAM user {user!r}"):
                self._cloud.iam.delete_user_policy(UserName=user, PolicyName=name)
        except CloudError as error:
            if error.code not in GONE:
                raise

    def find(self, inputs: Properties, known_ids: Collection[str]) -> ResourceState | None:
        """User and name are its id."""
        id_ = f"{inputs['user']}:{inputs['name']}"
        return None if id_ in known_ids else self.read(id_, None)


def name_faults(name: object, longest: int) -> Iterable[CheckFailure]:
    """IAM's alphabet for names."""
    if isinstance(name, str) and (not _NAME.fullmatch(name) or len(name) > longest):
        yield CheckFailure("name", f"{name!r} is no name; legal: 1 to {longest} of A-Z, a-z, 0-9 and _+=,.@-")


def _policy_state(user: str, name: str, inputs: Properties, text: str) -> ResourceState:
    return ResourceState(f"{user}:{name}", inputs, {"name": name, "policy": text, "user": user})


def _user_outputs(user: UserTypeDef, inputs: Properties) -> Properties:
    tags = inputs.get("tags") or {}
    outputs: Properties = {
        "arn": user["Arn"],
        "forceDestroy": inputs.get("forceDestroy", False),
        "name": user["UserName"],
        "path": user["Path"],
        "tagsAll": tags,
        "uniqueId": user["UserId"],
    }
    if tags:
        outputs["tags"] = tags
    if inputs.get("permissionsBoundary"):
        outputs["permissionsBoundary"] = inputs["permissionsBoundary"]
    return outputs


def _tag_list(tags: Mapping[str, str]) -> Any:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
