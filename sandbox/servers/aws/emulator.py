"""The one place that knows ministack: how it is set up, its private parts that we use, and how to call it from inside.

Its version is locked, for these parts have no promise. `load` must run before anything else imports ministack, which
reads its environment at import. Its own server, its lifespan and its control paths are not used.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from xml.etree.ElementTree import ParseError

from defusedxml.ElementTree import fromstring

from sandbox.servers.files import make_private
from sandbox.servers.serving import Application
from sandbox.servers.settings import Settings

ACCOUNT: Final = "000000000000"
"""The operator's account."""

HMS_ACCOUNT: Final = "100100100100"
"""100ms' own account, in which its own storage lies; no listing of the operator's shows it."""

Headers = dict[str, str]
Query = dict[str, list[str]]
Answer = tuple[int, Headers, Any]
Handler = Callable[[str, str, Headers, bytes, Query], Awaitable[Answer]]


def _policy(**statement: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


_SAVE_SECONDS: Final = 0.5
_OPERATOR_ROLE: Final = "sandbox-operator"
_OPERATOR_TRUST: Final = _policy(Principal={"AWS": "*"}, Action="sts:AssumeRole")
_OPERATOR_POLICY: Final = _policy(Action="*", Resource="*")


class Emulator:
    """ministack in this process."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self.root = f"root-{secrets.token_hex(16)}"
        _configure(settings, folder, self.root)
        from ministack import app
        from ministack.core import iam_evaluator, persistence, router
        from ministack.services import iam, s3, sts

        self._app: Any = app
        self.evaluator: Any = iam_evaluator
        self.iam: Any = iam
        self.s3: Any = s3
        self._sts: Any = sts
        self._persistence: Any = persistence
        self._router: Any = router
        self.changed = asyncio.Event()

    @property
    def application(self) -> Application:
        """The ASGI application."""
        application: Application = self._app.app
        return application

    async def open(self) -> None:
        """Take up the saved state and let in the operator and 100ms' own account."""
        self._app._load_persisted_state()
        await self._iam("CreateRole", HTTPStatus.CONFLICT, AssumeRolePolicyDocument=_OPERATOR_TRUST)
        await self._iam("PutRolePolicy", PolicyName="everything", PolicyDocument=_OPERATOR_POLICY)
        settings = self._settings
        operator = f"arn:aws:sts::{ACCOUNT}:assumed-role/{_OPERATOR_ROLE}/operator"
        hms = f"arn:aws:iam::{HMS_ACCOUNT}:root"
        self._admit(settings.aws_access_key_id, settings.aws_secret_access_key, operator, "AssumedRole")
        self._admit(settings.hms_own_access_key_id, settings.hms_own_secret_access_key, hms, "Root")

    def _admit(self, key: str, secret: str, arn: str, kind: str) -> None:
        """Make an access key known for a principal that is no IAM user, so that ministack checks its signature."""
        account = arn.split(":")[4]
        self._sts._sessions[key] = {
            "SecretAccessKey": secret,
            "Arn": arn,
            "AccountId": account,
            "UserId": account if kind == "Root" else "AROASANDBOXOPERATOR0:operator",
            "PrincipalType": kind,
        }

    async def _iam(self, action: str, tolerated: int = HTTPStatus.OK, **form: str) -> None:
        """Call ministack's IAM past its authorisation, for the operator's role must be there before the operator is."""
        body = urlencode({"Action": action, "RoleName": _OPERATOR_ROLE, **form}).encode()
        status, _, answer = await self.iam.handle_request("POST", "/", {}, body, {})
        if status not in (HTTPStatus.OK, tolerated):
            raise RuntimeError(f"ministack refused {action}: {answer!r}")

    async def keep_saved(self) -> None:
        """Save soon after every change, so that not even a kill loses much. Runs until it is cancelled."""
        while True:
            await self.changed.wait()
            await asyncio.sleep(_SAVE_SECONDS)
            self.changed.clear()
            self.save()

    def save(self) -> None:
        """Write the state that is not object data (object data is on disk as soon as it is answered)."""
        self._persistence.save_all(self._app._build_persistence_save_dict())

    def bucket_region(self, bucket: str) -> str | None:
        """Where a bucket lies, whoever owns it; None if there is none."""
        owner = self.s3._bucket_owner_account(bucket)
        record = None if owner is None else self.s3._buckets.get_scoped(owner, None, bucket)
        return None if record is None else record.get("region") or self._settings.region

    def key_created(self, key: str) -> datetime | None:
        """When an IAM user's access key was made; None for a key that is no user's."""
        for (_, key_id), record in self.iam._access_keys._data.items():
            if key_id == key:
                return datetime.fromisoformat(record["CreateDate"])
        return None

    def keys_of(self, user: str) -> list[str]:
        """A user's access keys, in the account of the current request."""
        return [key for key, record in self.iam._access_keys.items() if record["UserName"] == user]

    def part_sizes(self, upload_id: str, body: bytes) -> list[tuple[int, int]]:
        """Number and size of each part that a CompleteMultipartUpload document names; nothing if it is none."""
        parts = (self.s3._multipart_uploads.get(upload_id) or {}).get("parts", {})
        try:
            numbers = [int(e.text or "") for e in fromstring(body).iter() if e.tag.rpartition("}")[2] == "PartNumber"]
        except (ParseError, ValueError):
            return []
        return [(number, parts[number]["size"]) for number in numbers if number in parts]

    def inline_policies(self, user: str) -> dict[str, str]:
        """A user's inline policies, name to document."""
        found = self.iam._user_inline_policies.get(user) or {}
        return {name: text if isinstance(text, str) else json.dumps(text) for name, text in found.items()}

    def is_principal(self, name: str) -> bool:
        """Whether a bucket policy may name this: everybody, an account, a session, a user or role that is there."""
        if ":user/" not in name and ":role/" not in name:
            return True
        known = [*self.iam._users.values(), *self.iam._roles.values()]
        return any(record.get("Arn") == name for record in known)

    def may_list(self, bucket: str, prefix: str, headers: Headers, query: Query) -> bool:
        """Whether the current request's caller may list a bucket with this prefix."""
        if not self._router.extract_access_key_id(headers, query):
            owner = self.s3._bucket_owner_account(bucket)
            allowed: bool = self.s3._foreign_bucket_allows(owner, bucket, "", "GET", {"prefix": [prefix]}, "", headers)
            return allowed
        resource, context = f"arn:aws:s3:::{bucket}", {"s3:prefix": prefix}
        return self.denied("s3:ListBucket", resource, headers, query, context) is None

    def denied(
        self, action: str, resource: str, headers: Headers, query: Query, context: dict[str, str] | None = None
    ) -> str | None:
        """Why the current request's caller may not do something else, None if it may."""
        key, service = self._router.extract_access_key_id(headers, query), action.partition(":")[0]
        result = self.evaluator.enforce(
            key, action, service, self._settings.region, resource_arn=resource, service_context=context or {}
        )
        if result is None:
            return None
        who = getattr(result, "principal_arn", "") or "anonymous"
        return f"User: {who} is not authorized to perform: {action} on resource: {resource}"

    def kms_key(self, key: str) -> str | None:
        """The ARN of a KMS key, given as id, ARN or alias."""
        record = self._app._get_module("kms")._resolve_key(key)
        return None if record is None else str(record["Arn"])

    def default_encryption(self, bucket: str) -> Headers:
        """A bucket's default encryption, as the headers that an upload could have."""
        headers: Headers = self.s3._bucket_default_sse_headers(bucket)
        return headers

    def upload_headers(self, upload_id: str) -> Headers:
        """Encryption headers of an unfinished multipart upload."""
        return dict((self.s3._multipart_uploads.get(upload_id) or {}).get("preserved_headers") or {})

    def object_headers(self, bucket: str, key: str, version_id: str) -> Headers:
        """Encryption headers of an object, or of one version."""
        if version_id:
            versions = self.s3._object_versions.get((bucket, key)) or []
            record = next((one for one in versions if one["version_id"] == version_id), None)
        else:
            record = (self.s3._buckets.get(bucket) or {}).get("objects", {}).get(key)
        return dict((record or {}).get("preserved_headers") or {})

    def lifecycle_of(self, bucket: str) -> bytes | None:
        """A bucket's LifecycleConfiguration document."""
        status, _, body = self.s3._get_bucket_lifecycle(bucket)
        return body if status == HTTPStatus.OK else None

    def set_storage_class(self, bucket: str, key: str, version_id: str, storage_class: str) -> None:
        """Move one version to a storage class in place, which no call of S3 does."""
        record = self.s3._buckets[bucket]
        current = record["objects"].get(key)
        if current is not None and (current.get("version_id") or "null") == version_id:
            current["storage_class"] = storage_class
        for version in self.s3._object_versions.get((bucket, key)) or []:
            if version["version_id"] == version_id:
                version["storage_class"] = storage_class
        self.s3._persist_version_state(bucket, key, record)


def _configure(settings: Settings, folder: Path, root: str) -> None:
    state, data = make_private(folder / "state"), make_private(folder / "objects")
    os.environ.update(
        AUTH="true",
        SERVICES="s3,iam,sts,kms",
        PERSIST_STATE="1",
        STATE_DIR=str(state),
        S3_PERSIST="1",
        S3_DATA_DIR=str(data),
        MINISTACK_REGION=settings.region,
        MINISTACK_ACCOUNT_ID=ACCOUNT,
        AWS_ACCESS_KEY_ID=root,
        AWS_SECRET_ACCESS_KEY=secrets.token_hex(16),
        LOG_LEVEL="WARNING",
    )
    with suppress(KeyError):
        del os.environ["AWS_SESSION_TOKEN"]
