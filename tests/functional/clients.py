"""Clients for the sandbox that tests look at it with; none of them is the project's own."""

from __future__ import annotations

import ssl
import time
import uuid
from collections.abc import Callable
from typing import Any, Final, Literal, overload

import boto3
import botocore.session
import httpx
import jwt
from botocore.config import Config
from botocore.exceptions import ClientError
from mypy_boto3_iam import IAMClient
from mypy_boto3_s3 import S3Client
from mypy_boto3_sts import STSClient

from sandbox.servers import Sandbox

_NO_FILES: Final = dict.fromkeys(("profile", "config_file", "credentials_file"), (None, None, None, None))
_SESSION: Final = boto3.Session(botocore_session=botocore.session.Session(session_vars=_NO_FILES))
"""One for all: it keeps what boto3 is slow to load. It knows no profile: it is older than the sandbox's."""

Key = tuple[str, str]
"""Access key id and secret."""


def client_tls(sandbox: Sandbox) -> ssl.SSLContext:
    """TLS that trusts the sandbox's authority and no other."""
    return ssl.create_default_context(cafile=sandbox.env["SSL_CERT_FILE"])


def browser(sandbox: Sandbox) -> httpx.Client:
    """A client without credentials."""
    return httpx.Client(verify=client_tls(sandbox), trust_env=False, timeout=30)


@overload
def aws(service: Literal["s3"], sandbox: Sandbox, key: Key | None = None, **how: Any) -> S3Client: ...
@overload
def aws(service: Literal["iam"], sandbox: Sandbox, key: Key | None = None, **how: Any) -> IAMClient: ...
@overload
def aws(service: Literal["sts"], sandbox: Sandbox, key: Key | None = None, **how: Any) -> STSClient: ...
@overload
def aws(service: Literal["kms"], sandbox: Sandbox, key: Key | None = None, **how: Any) -> Any: ...
def aws(service: Any, sandbox: Sandbox, key: Key | None = None, **how: Any) -> Any:
    """A boto3 client; the operator's unless `key` is given. It does not try again and does not mend a wrong region."""
    env = sandbox.env
    key_id, secret = key or (env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"])
    config = Config(signature_version="s3v4" if service == "s3" else "v4", retries={"total_max_attempts": 1})
    where: dict[str, Any] = {"endpoint_url": env["AWS_ENDPOINT_URL"], "region_name": env["AWS_REGION"], **how}
    where |= {"aws_access_key_id": key_id, "aws_secret_access_key": secret, "verify": env["AWS_CA_BUNDLE"]}
    client = _SESSION.client(service, config=config, **where)
    client.meta.events.register("before-call.s3", _stay_in_region)
    return client


def _stay_in_region(context: dict[str, Any], **_: Any) -> None:
    context.setdefault("s3_redirect", {})["redirected"] = True


def refused(call: Callable[[], object]) -> tuple[int, str]:
    """Status and code of the error that a boto3 call ends with; (200, '') if it does not."""
    try:
        call()
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
    return 200, ""


def management_token(sandbox: Sandbox, *, secret: str | None = None, **claims: Any) -> str:
    """A management token as 100ms' documentation makes it; `claims` replace or, with None, remove some."""
    now = int(time.time())
    good = {
        "access_key": sandbox.env["HMS_ACCESS_KEY"],
        "type": "management",
        "version": 2,
        "jti": str(uuid.uuid4()),
        "iat": now,
        "nbf": now,
        "exp": now + 600,
    }
    given = {name: value for name, value in {**good, **claims}.items() if value is not None}
    return jwt.encode(given, secret or sandbox.env["HMS_APP_SECRET"], algorithm="HS256")


def hms(sandbox: Sandbox) -> httpx.Client:
    """A client of the 100ms API with a good token, at its base address."""
    headers = {"Authorization": f"Bearer {management_token(sandbox)}"}
    tls = client_tls(sandbox)
    return httpx.Client(base_url=sandbox.env["HMS_API_URL"], headers=headers, verify=tls, trust_env=False, timeout=30)


def control(sandbox: Sandbox, server: Literal["aws", "hms"], method: str, path: str, body: Any = None) -> Any:
    """Call one of the sandbox's own means (`/_sandbox/…`) and give its answer."""
    base = sandbox.env["AWS_ENDPOINT_URL"] if server == "aws" else sandbox.env["HMS_API_URL"].removesuffix("/v2")
    with browser(sandbox) as client:
        answer = client.request(method, f"{base}/_sandbox/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def eventually(look: Callable[[], Any], seconds: float = 60) -> Any:
    """What `look` gives as soon as it is true; the limit is for what never comes, not for what comes late."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)
    return found
