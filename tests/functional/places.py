"""A bucket with writer and reader on each provider, made by other means than the project's own."""

from __future__ import annotations

import json
import secrets
from typing import Any

import google.auth
import httpx
from google.auth.transport.requests import AuthorizedSession

from recordings.outputs import StackOutputs, WriterAccess
from recordings.policies import reader_policy, writer_policy
from recordings.policies_gcs import reader_bindings, writer_bindings
from sandbox.servers import Sandbox
from tests.functional.clients import aws


def outputs_of(
    provider: str, bucket: str, region: str, prefix: str, endpoint: str, keys: Any, **more: Any
) -> StackOutputs:
    """Outputs as a stack of the project would give them."""
    (writer, reader) = keys
    return StackOutputs.from_mapping(
        {
            "storageProvider": provider,
            "bucketName": bucket,
            "region": region,
            "pathPrefix": prefix,
            "writerAccessKeyId": writer[0],
            "writerSecretAccessKey": writer[1],
            "readerAccessKeyId": reader[0],
            "readerSecretAccessKey": reader[1],
            "writerKeys": {"blue": {"id": writer[0], "secret": writer[1], "status": "active"}},
            "readerKeys": {"blue": {"id": reader[0], "secret": reader[1], "status": "active"}},
            "registeredKey": "blue",
            "writerAccess": "full",
            "environment": "test",
            "endpointUrl": endpoint,
            **more,
        }
    )


def s3_place(sandbox: Sandbox, prefix: str) -> StackOutputs:
    """A versioned bucket, and two users with the project's policies."""
    name, region = "contract-" + secrets.token_hex(6), sandbox.env["AWS_REGION"]
    s3, iam = aws("s3", sandbox), aws("iam", sandbox)
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    policies = (writer_policy(name, region, prefix, WriterAccess.FULL), reader_policy(name, region, prefix))
    keys = []
    for role, policy in zip(("writer", "reader"), policies, strict=True):
        user = f"{name}-{role}"
        iam.create_user(UserName=user)
        iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=user)["AccessKey"]
        keys.append((key["AccessKeyId"], key["SecretAccessKey"]))
    return outputs_of("s3", name, region, prefix, sandbox.env["AWS_ENDPOINT_URL"], keys)


def google_place(sandbox: Sandbox, prefix: str) -> StackOutputs:
    """A versioned bucket with uniform access, and two service accounts with the project's bindings and an HMAC key."""
    name, region = "contract-" + secrets.token_hex(6), "EUROPE-WEST3"
    url, project = sandbox.env["GOOGLE_ENDPOINT_URL"], sandbox.env["GOOGLE_CLOUD_PROJECT"]
    credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    with AuthorizedSession(credentials) as session:
        ask = _asker(session, url)
        access = {"uniformBucketLevelAccess": {"enabled": True}, "publicAccessPrevention": "enforced"}
        bucket = {"name": name, "location": region, "versioning": {"enabled": True}, "iamConfiguration": access}
        ask("POST", f"/storage/v1/b?project={project}", bucket)
        emails, keys = [], []
        for role in ("writer", "reader"):
            account = ask("POST", f"/v1/projects/{project}/serviceAccounts", {"accountId": f"{role}-{name[-12:]}"})
            emails.append(account["email"])
            key = ask("POST", f"/storage/v1/projects/{project}/hmacKeys?serviceAccountEmail={account['email']}")
            keys.append((key["metadata"]["accessId"], key["secret"]))
        policy = ask("GET", f"/storage/v1/b/{name}/iam?optionsRequestedPolicyVersion=3")
        policy["version"] = 3
        policy["bindings"] += writer_bindings(name, prefix, WriterAccess.FULL, emails[0])
        policy["bindings"] += reader_bindings(name, prefix, emails[1])
        ask("PUT", f"/storage/v1/b/{name}/iam", policy)
    principals = {"writerPrincipal": emails[0], "readerPrincipal": emails[1]}
    return outputs_of("gcs", name, region, prefix, url, keys, **principals)


def _asker(session: AuthorizedSession, url: str) -> Any:
    def ask(method: str, path: str, body: Any = None) -> Any:
        answer = session.request(method, url + path, json=body)
        assert answer.status_code in (httpx.codes.OK, httpx.codes.NO_CONTENT), answer.text
        return answer.json() if answer.content else None

    return ask
