"""The resource kind `aws:iam/accessKey:AccessKey`: a user's access key, whose secret is given once.

Besides the calls it owns the limit of two keys a user, which emulators do not hold
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html), and the derived SMTP password.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Collection, Iterable, Mapping
from typing import ClassVar, Final

from sandbox.providers.aws.bucket_parts import one_of
from sandbox.providers.aws.cloud import GONE, Cloud, CloudError
from sandbox.providers.base import CheckFailure, ProviderError, ResourceState
from sandbox.providers.compare import Rules
from sandbox.providers.kinds import Kind
from sandbox.values import Properties

_KEYS_PER_USER: Final = 2


class AccessKey(Kind):
    """An access key; id: the access key id."""

    type_ = "aws:iam/accessKey:AccessKey"
    args = "pulumi_aws.iam.access_key:AccessKeyArgs"
    replace_on = frozenset({"user"})
    rules = Rules(defaults={"status": "Active"})
    computed = ("createDate", "secret", "sesSmtpPasswordV4")
    secret_outputs = ("secret", "sesSmtpPasswordV4")
    unsupported: ClassVar[Mapping[str, str]] = {"pgpKey": "the state's own encryption keeps the secret"}

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def faults(self, inputs: Properties) -> Iterable[CheckFailure]:
        """The two states of a key."""
        return one_of("status", inputs.get("status"), ("Active", "Inactive"))

    def create(self, inputs: Properties) -> ResourceState:
        """CreateAccessKey, and its status; the third key of a user is refused."""
        user, iam = inputs["user"], self._cloud.iam
        with self._cloud.asking(f"creating an access key of IAM user {user!r}"):
            keys = iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
            if len(keys) >= _KEYS_PER_USER:
                held = ", ".join(key["AccessKeyId"] for key in keys)
                raise CloudError(
                    f"creating an access key of IAM user {user!r}: LimitExceeded: it has {held}; "
                    f"legal: {_KEYS_PER_USER} keys a user. Delete one that is no longer used first.",
                    "LimitExceeded",
                )
            key = iam.create_access_key(UserName=user)["AccessKey"]
        secret, created = key["SecretAccessKey"], key["CreateDate"].strftime("%Y-%m-%dT%H:%M:%SZ")
        outputs: Properties = {
            "createDate": created,
            "secret": secret,
            "sesSmtpPasswordV4": smtp_password(secret, self._cloud.region),
            "status": "Active",
            "user": user,
        }
        state = ResourceState(key["AccessKeyId"], {"user": user}, outputs)
        if inputs.get("status", "Active") == "Active":
            return ResourceState(state.id, inputs, outputs)
        try:
            return self.update(state, inputs)
        except ProviderError as error:
            raise ProviderError(str(error), partial=state) from None

    def read(self, id_: str, outputs: Properties | None) -> ResourceState | None:
        """The key's user and status; its secret cannot be read and stays as the state has it."""
        known = outputs or {}
        user = known.get("user") or self._user_of(id_)
        found = None
        if user:
            try:
                with self._cloud.asking(f"reading access key {id_} of IAM user {user!r}"):
                    keys = self._cloud.iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
                found = next((key for key in keys if key["AccessKeyId"] == id_), None)
            except CloudError as error:
                if error.code not in GONE:
                    raise
        if found is None:
            return None
        inputs: Properties = {"user": user, "status": found["Status"]}
        created = found["CreateDate"].strftime("%Y-%m-%dT%H:%M:%SZ")
        return ResourceState(id_, inputs, {**known, **inputs, "createDate": known.get("createDate", created)})

    def update(self, state: ResourceState, new: Properties) -> ResourceState:
        """UpdateAccessKey."""
        user, status = new["user"], new.get("status", "Active")
        with self._cloud.asking(f"making access key {state.id} of IAM user {user!r} {status}"):
            self._cloud.iam.update_access_key(UserName=user, AccessKeyId=state.id, Status=status)
        return ResourceState(state.id, new, {**state.outputs, "status": status})

    def delete(self, state: ResourceState) -> None:
        """DeleteAccessKey."""
        user = state.outputs.get("user") or state.inputs["user"]
        self._remove(user, state.id)

    def find(self, inputs: Properties, known_ids: Collection[str]) -> ResourceState | None:
        """Delete the key that an interrupted create left, and give None.

        Its secret can never be read again: it is of no use, and one of only two. It is the user's newest key that no
        state knows; one that was ever used is somebody else's and stays (the emulator notes no use, AWS does).
        """
        user, iam = inputs["user"], self._cloud.iam
        try:
            with self._cloud.asking(f"looking for a lost access key of IAM user {user!r}"):
                keys = iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
                unknown = [key for key in keys if key["AccessKeyId"] not in known_ids]
                newest = max(unknown, key=lambda key: key["CreateDate"], default=None)
                if newest is None:
                    return None
                used = iam.get_access_key_last_used(AccessKeyId=newest["AccessKeyId"])["AccessKeyLastUsed"]
        except CloudError as error:
            if error.code in GONE:
                return None
            raise
        if used.get("LastUsedDate") is None:
            self._remove(user, newest["AccessKeyId"])
        return None

    def _remove(self, user: str, id_: str) -> None:
        try:
            with self._cloud.asking(f"deleting access key {id_} of IAM user {user!r}"):
                self._cloud.iam.delete_access_key(UserName=user, AccessKeyId=id_)
        except CloudError as error:
            if error.code not in GONE:
                raise

    def _user_of(self, id_: str) -> str | None:
        try:
            with self._cloud.asking(f"looking for the user of access key {id_}"):
                return self._cloud.iam.get_access_key_last_used(AccessKeyId=id_).get("UserName")
        except CloudError as error:
            if error.code in GONE | {"AccessDenied"}:  # IAM's answer for a key of no user is AccessDenied.
                return None
            raise


def smtp_password(secret: str, region: str) -> str:
    """The SES SMTP password of a secret: https://docs.aws.amazon.com/ses/latest/dg/smtp-credentials.html."""
    signature = f"AWS4{secret}".encode()
    for part in ("11111111", region, "ses", "aws4_request", "SendRawEmail"):
        signature = hmac.digest(signature, part.encode(), "sha256")
    return base64.b64encode(b"\x04" + signature).decode()
