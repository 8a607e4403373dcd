"""A laboratory on the sandbox's Google: throw-away buckets, accounts and keys, and Google's and AWS' clients."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final

import boto3
import httpx
import requests
from botocore.config import Config
from botocore.session import Session as BotocoreSession
from google.api_core.client_options import ClientOptions
from google.auth.transport.requests import Request
from google.cloud import storage
from google.oauth2 import service_account
from mypy_boto3_s3 import S3Client

from sandbox.servers import Sandbox
from tests.functional.clients import client_tls

_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
_OWN: Final = {"profile": (None, None, None, None)}
"""No profile, whatever the environment names: the keys here are Google's."""
_SESSION: Final = boto3.Session(botocore_session=BotocoreSession(_OWN))
Key = tuple[str, str]
Grant = tuple[str, str, str | None]
"""Role (without `roles/storage.`), member, and the condition's expression or None."""


class Lab:
    """The sandbox's Google, seen by its operator."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._open = ExitStack()
        env = sandbox.env
        self.url = env["GOOGLE_ENDPOINT_URL"]
        self.project = env["GOOGLE_CLOUD_PROJECT"]
        self._ca = env["SSL_CERT_FILE"]
        self._tls = client_tls(sandbox)
        with open(env["GOOGLE_APPLICATION_CREDENTIALS"]) as file:
            self.operator_key: dict[str, Any] = json.load(file)
        self.operator = self.api(self.operator_key)

    def close(self) -> None:
        """Close every connection of every client that the laboratory gave."""
        self._open.close()

    def credentials(self, key: dict[str, Any]) -> Any:
        """Credentials of a JSON key, scoped, with a token."""
        untyped: Any = service_account.Credentials
        found: Any = untyped.from_service_account_info(key, scopes=[_SCOPE])
        with requests.Session() as session:
            session.verify = self._ca
            session.trust_env = False
            found.refresh(Request(session))
        return found

    def anonymous(self, **headers: str) -> httpx.Client:
        """A client of the endpoint without credentials."""
        client = httpx.Client(base_url=self.url, verify=self._tls, trust_env=False, headers=headers, timeout=30)
        return self._open.enter_context(client)

    def api(self, key: dict[str, Any]) -> httpx.Client:
        """A client of the endpoint with a bearer token."""
        return self.anonymous(Authorization=f"Bearer {self.credentials(key).token}")

    def storage(self, key: dict[str, Any] | None = None) -> storage.Client:
        """Google's own client, on a session of ours.

        Google's session would ask iamcredentials.googleapis.com for the account's regions: tests talk to the sandbox.
        """
        credentials = self.credentials(key or self.operator_key)
        session = self._open.enter_context(requests.Session())
        session.headers["Authorization"] = f"Bearer {credentials.token}"
        session.verify = self._ca
        session.trust_env = False
        options = ClientOptions(api_endpoint=self.url)
        return storage.Client(self.project, credentials, _http=session, client_options=options)

    def s3(self, key: Key, **config: Any) -> S3Client:
        """boto3 on the XML API, with an HMAC key and without the checksums that Google does not take."""
        settings: dict[str, Any] = {
            "signature_version": "s3v4",
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
            "retries": {"total_max_attempts": 1},
            "s3": {"addressing_style": "path"},
        }
        client: S3Client = _SESSION.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=key[0],
            aws_secret_access_key=key[1],
            region_name="auto",
            verify=self._ca,
            config=Config(**{**settings, **config}),
        )
        self._open.callback(client.close)
        return client

    def bucket(self, **fields: Any) -> str:
        """A new bucket with uniform access, prevention enforced and no soft delete, unless `fields` say otherwise."""
        name = f"lab-{uuid.uuid4().hex[:12]}"
        access = {"uniformBucketLevelAccess": {"enabled": True}, "publicAccessPrevention": "enforced"}
        body = {
            "name": name,
            "iamConfiguration": access,
            "softDeletePolicy": {"retentionDurationSeconds": "0"},
            **fields,
        }
        answer = self.operator.post("/storage/v1/b", params={"project": self.project}, json=body)
        assert answer.status_code == 200, answer.text
        return name

    def account(self) -> str:
        """The e-mail of a new service account."""
        path = f"/v1/projects/{self.project}/serviceAccounts"
        answer = self.operator.post(path, json={"accountId": f"lab-{uuid.uuid4().hex[:12]}"})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["email"])

    def key(self, email: str) -> dict[str, Any]:
        """A new JSON key."""
        answer = self.operator.post(f"/v1/projects/-/serviceAccounts/{email}/keys", json={})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = json.loads(base64.b64decode(answer.json()["privateKeyData"]))
        return found

    def hmac(self, email: str) -> Key:
        """A new HMAC key: access id and secret."""
        answer = self.operator.post(
            f"/storage/v1/projects/{self.project}/hmacKeys", params={"serviceAccountEmail": email}
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["metadata"]["accessId"], answer.json()["secret"]

    def grant(self, bucket: str, *grants: Grant) -> None:
        """Add bindings to the bucket's policy."""
        path = f"/storage/v1/b/{bucket}/iam"
        policy = self.operator.get(path, params={"optionsRequestedPolicyVersion": 3}).json()
        for role, member, expression in grants:
            binding: dict[str, Any] = {"role": f"roles/storage.{role}", "members": [member]}
            if expression is not None:
                binding["condition"] = {"title": "test", "expression": expression}
            policy["bindings"].append(binding)
        answer = self.operator.put(path, json={**policy, "version": 3})
        assert answer.status_code == 200, answer.text

    def writer(self, bucket: str, prefix: str = "p/") -> tuple[str, Key]:
        """An account that may do everything under `prefix`, as `writerAccess: full` grants it, and its HMAC key."""
        email = self.account()
        objects = f'resource.name.startsWith("projects/_/buckets/{bucket}/objects/{prefix}")'
        listing = f"api.getAttribute('storage.googleapis.com/objectListPrefix', '').startsWith('{prefix}')"
        self.grant(bucket, ("objectAdmin", f"serviceAccount:{email}", f"{objects} || {listing}"))
        return email, self.hmac(email)

    def put(self, bucket: str, name: str, content: bytes = b"content", **fields: Any) -> dict[str, Any]:
        """An object written by the operator; its resource."""
        params = {"uploadType": "media", "name": name, **fields}
        answer = self.operator.post(f"/upload/storage/v1/b/{bucket}/o", params=params, content=content)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def switch(self, **switches: Any) -> None:
        """Turn the sandbox's own switches."""
        answer = self.anonymous().post("/_sandbox/switches", json=switches)
        assert answer.status_code == 200, answer.text

    def operators(self, call: Callable[[httpx.Client], httpx.Response]) -> tuple[int, str]:
        """Status and reason of what the operator gets."""
        return fault(call(self.operator))


def fault(answer: httpx.Response) -> tuple[int, str]:
    """Status and reason (JSON), status name (IAM) or code (XML) of a refusal; (200, '') for a success."""
    if answer.status_code < 300:
        return answer.status_code, ""
    if answer.headers["content-type"].startswith("application/json"):
        error = answer.json()["error"]
        return answer.status_code, error["errors"][0]["reason"] if "errors" in error else error["status"]
    return answer.status_code, answer.text.partition("<Code>")[2].partition("</Code>")[0]
