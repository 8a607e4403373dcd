"""Witnesses: clients other than the project's own, that tell the demo what the cloud and 100ms really hold."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Mapping
from typing import Any, Protocol

import httpx
import jwt

_CLOUD_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class CloudWitness(Protocol):
    """What the demo asks a cloud, through that cloud's official client."""

    def size(self, bucket: str, key: str) -> int:
        """Bytes of an object."""

    def sha256(self, bucket: str, key: str) -> str:
        """SHA-256 of an object's bytes, in hexadecimal, read as the operator."""

    def remains(self) -> list[str]:
        """Names of the buckets and identities that exist."""


class AwsWitness:
    """boto3 with the sandbox's operator credentials."""

    def __init__(self, env: dict[str, str]) -> None:
        import boto3

        session = boto3.Session(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], region_name=env["AWS_REGION"])
        options: dict[str, Any] = {"endpoint_url": env["AWS_ENDPOINT_URL"], "verify": env["AWS_CA_BUNDLE"]}
        self._s3 = session.client("s3", **options)
        self._iam = session.client("iam", **options)

    def size(self, bucket: str, key: str) -> int:
        """Bytes of an object."""
        return self._s3.head_object(Bucket=bucket, Key=key)["ContentLength"]

    def sha256(self, bucket: str, key: str) -> str:
        """SHA-256 of an object's bytes, in hexadecimal."""
        return hashlib.sha256(self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()).hexdigest()

    def remains(self) -> list[str]:
        """Buckets and IAM users that exist; the fake 100ms' own bucket is not ours and not counted."""
        buckets = [f"bucket {bucket['Name']}" for bucket in self._s3.list_buckets()["Buckets"]]
        users = [f"user {user['UserName']}" for user in self._iam.list_users()["Users"]]
        return [name for name in buckets + users if "100ms-own" not in name]


class GoogleWitness:
    """google-cloud-storage with the sandbox's operator credentials; IAM by its REST API."""

    def __init__(self, env: dict[str, str]) -> None:
        import requests
        from google.api_core.client_options import ClientOptions
        from google.auth.transport.requests import Request
        from google.cloud import storage
        from google.oauth2 import service_account

        untyped: Any = service_account.Credentials
        credentials = untyped.from_service_account_file(env["GOOGLE_APPLICATION_CREDENTIALS"], scopes=[_CLOUD_SCOPE])
        self._session = requests.Session()
        self._session.verify = env["SSL_CERT_FILE"]
        self._session.trust_env = False
        credentials.refresh(Request(self._session))
        # A session of ours: Google's own asks a host off this machine for the account's regions.
        self._session.headers["Authorization"] = f"Bearer {credentials.token}"
        self._url, self._project = env["GOOGLE_ENDPOINT_URL"], env["GOOGLE_CLOUD_PROJECT"]
        options = ClientOptions(api_endpoint=self._url)
        self._storage = storage.Client(self._project, credentials, _http=self._session, client_options=options)
        self._before = set(self._accounts())

    def size(self, bucket: str, key: str) -> int:
        """Bytes of an object."""
        blob = self._storage.bucket(bucket).get_blob(key)
        return 0 if blob is None else int(blob.size or 0)

    def sha256(self, bucket: str, key: str) -> str:
        """SHA-256 of an object's bytes, in hexadecimal."""
        return hashlib.sha256(self._storage.bucket(bucket).blob(key).download_as_bytes()).hexdigest()

    def remains(self) -> list[str]:
        """Buckets, and service accounts that were not there at the start."""
        buckets = [f"bucket {bucket.name}" for bucket in self._storage.list_buckets()]
        return buckets + [f"service account {email}" for email in self._accounts() if email not in self._before]

    def _accounts(self) -> list[str]:
        answer = self._session.get(f"{self._url}/v1/projects/{self._project}/serviceAccounts", timeout=10)
        answer.raise_for_status()
        return [account["email"] for account in answer.json().get("accounts", [])]


class HmsWitness:
    """Plain httpx and PyJWT against the fake 100ms API."""

    def __init__(self, env: dict[str, str]) -> None:
        self._env = env
        self._http = httpx.Client(verify=trust(env), timeout=10)

    def get(self, path: str, **query: str) -> Any:
        """GET a path of the API as the owner of the app, as JSON."""
        answer = self._http.get(self._env["HMS_API_URL"] + path, params=query, headers=self._headers())
        return answer.raise_for_status().json()

    def _headers(self) -> dict[str, str]:
        now = int(time.time())
        claims = {"access_key": self._env["HMS_ACCESS_KEY"], "type": "management", "version": 2}
        claims |= {"jti": str(uuid.uuid4()), "iat": now, "nbf": now, "exp": now + 300}
        return {"Authorization": f"Bearer {jwt.encode(claims, self._env['HMS_APP_SECRET'], 'HS256')}"}


class Visitor:
    """Somebody with a URL and nothing else."""

    def __init__(self, env: dict[str, str]) -> None:
        self._http = httpx.Client(verify=trust(env), timeout=30)

    def get(self, url: str) -> httpx.Response:
        """GET a URL with no credentials."""
        return self._http.get(url)


def trust(env: Mapping[str, str]) -> Any:
    """TLS that trusts the sandbox's authority."""
    import ssl

    return ssl.create_default_context(cafile=env["SSL_CERT_FILE"])
