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
from types import ModuleType
from typing import Any, Final

import httpx

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


_OPERATOR_ROLE: Final = "sandbox-operator"
_OPERATOR_TRUST: Final = _policy(Principal={"AWS": "*"}, Action="sts:AssumeRole")
_OPERATOR_POLICY: Final = _policy(Action="*", Resource="*")


class Emulator:
    """ministack in this process."""

    def __init__(self, settings: Settings, folder: os.PathLike[str]) -> None:
        self._settings = settings
        self.root = f"root-{secrets.token_hex(16)}"
        _configure(settings, str(folder), self.root)
        from ministack import app
        from ministack.core import iam_actions, iam_evaluator, persistence
        from ministack.services import iam, s3, sts

        self._app: ModuleType = app
        self.evaluator: ModuleType = iam_evaluator
        self.actions: ModuleType = iam_actions
        self.iam: ModuleType = iam
        self.s3: ModuleType = s3
        self._sts: ModuleType = sts
        self._persistence: ModuleType = persistence
        self._saved = asyncio.Event()

    @property
    def application(self) -> Application:
        """The ASGI application."""
        application: Application = self._app.app
        return application

    async def open(self) -> None:
        """Take up the saved state and let in the operator and 100ms' own account."""
        self._app._load_persisted_state()
        await self._iam("CreateRole", "EntityAlreadyExists", AssumeRolePolicyDocument=_OPERATOR_TRUST)
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

    async def _iam(self, action: str, tolerated: str = "", **form: str) -> None:
        form = {"Action": action, "Version": "2010-05-08", "RoleName": _OPERATOR_ROLE, **form}
        answer = await self.call("POST", "/", service="iam", data=form)
        if answer.status_code >= 400 and not (tolerated and tolerated in answer.text):
            raise RuntimeError(f"ministack refused {action}: {answer.text}")

    async def call(self, method: str, path: str, *, service: str = "s3", **how: Any) -> httpx.Response:
        """Send a request past the gateway, as root of the operator's account.

        In a task of its own, since ministack keeps the current caller in context variables.
        """
        scope = f"{self.root}/20200101/{self._settings.region}/{service}/aws4_request"
        signature = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
        transport = httpx.ASGITransport(app=self.application)
        async with httpx.AsyncClient(transport=transport, base_url="https://inside") as client:
            request = client.request(method, path, headers={"authorization": signature}, **how)
            return await asyncio.create_task(request)

    def save(self) -> None:
        """Write the state that is not object data (object data is on disk as soon as it is answered)."""
        self._persistence.save_all(self._app._build_persistence_save_dict())


def _configure(settings: Settings, folder: str, root: str) -> None:
    from pathlib import Path

    state, data = make_private(Path(folder) / "state"), make_private(Path(folder) / "objects")
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
