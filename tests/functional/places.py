"""A bucket with writer and reader on each provider, made by other means than the project's own."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Any

from recordings.outputs import StackOutputs, WriterAccess
from recordings.policies import reader_policy, writer_policy
from recordings.policies_gcs import Binding, member, reader_bindings, writer_bindings
from sandbox.servers import Sandbox
from tests.functional.clients import Key, aws
from tests.functional.google_lab import Grant, Lab


def s3_place(sandbox: Sandbox, prefix: str) -> StackOutputs:
    """A versioned bucket, and two users with the project's policies."""
    name, region = "contract-" + secrets.token_hex(6), sandbox.env["AWS_REGION"]
    s3, iam = aws("s3", sandbox), aws("iam", sandbox)
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    policies = (writer_policy(name, region, prefix, WriterAccess.FULL), reader_policy(name, region, prefix))
    keys: list[Key] = []
    for role, policy in zip(("writer", "reader"), policies, strict=True):
        user = f"{name}-{role}"
        iam.create_user(UserName=user)
        iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=user)["AccessKey"]
        keys.append((key["AccessKeyId"], key["SecretAccessKey"]))
    return _outputs("s3", name, region, prefix, sandbox.env["AWS_ENDPOINT_URL"], keys)


def google_place(sandbox: Sandbox, prefix: str) -> StackOutputs:
    """A versioned bucket, and two service accounts with the project's bindings and an HMAC key each."""
    lab, region = Lab(sandbox), "EUROPE-WEST3"
    try:
        name = lab.bucket(location=region, versioning={"enabled": True})
        emails = [lab.account(), lab.account()]
        keys = [lab.hmac(email) for email in emails]
        lab.grant(name, *grants(emails[0], writer_bindings(name, prefix, WriterAccess.FULL)))
        lab.grant(name, *grants(emails[1], reader_bindings(name, prefix)))
    finally:
        lab.close()
    principals = {"writerPrincipal": emails[0], "readerPrincipal": emails[1]}
    return _outputs("gcs", name, region, prefix, lab.url, keys, **principals)


def grants(email: str, bindings: Sequence[Binding]) -> list[Grant]:
    """The project's bindings for a service account as the laboratory grants them."""
    return [
        (binding["role"].removeprefix("roles/storage."), member(email), binding["condition"]["expression"])
        for binding in bindings
    ]


def _outputs(
    provider: str, bucket: str, region: str, prefix: str, endpoint: str, keys: Sequence[Key], **more: Any
) -> StackOutputs:
    """Outputs as a stack of the project would give them."""
    writer, reader = keys
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
