"""A bucket with writer and reader as a stack would have them, made by another client than the project's own.

Quicker than a deployment, and free to be damaged: each test takes one guard away.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import boto3
import pytest
from typer.testing import CliRunner, Result

from recordings.cli import app
from recordings.outputs import StackOutputs, WriterAccess
from recordings.policies import bucket_policy, reader_policy, writer_policy
from recordings.verification.cors import EXPOSED
from sandbox.servers import Sandbox

ACTIONS: Final = {
    "put": "s3:PutObject",
    "list": "s3:ListBucket",
    "delete": "s3:DeleteObject",
    "read": "s3:GetObject",
    "abort": "s3:AbortMultipartUpload",
}


@contextmanager
def entered(sandbox: Sandbox) -> Iterator[None]:
    """This process becomes a client of the sandbox for a while: endpoints, certificate, the operator's login."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sandbox.env.items():
            patch.setenv(name, value)
        patch.setattr(boto3, "DEFAULT_SESSION", None)  # it remembers the profile of whoever made it
        yield


@dataclass
class Stand:
    """One bucket, its two users and the outputs that describe them (`raw`, as a stack spells them); for `entered`."""

    raw: dict[str, Any] = field(repr=False)
    s3: Any = field(repr=False)
    iam: Any = field(repr=False)
    provider = "s3"

    @classmethod
    def build(
        cls, *, prefix: str = "recordings/", access: WriterAccess = WriterAccess.FULL, origins: tuple[str, ...] = ("*",)
    ) -> Stand:
        """Make bucket, policies, users and keys."""
        bucket, region = f"stand-{secrets.token_hex(6)}", "us-east-1"
        s3, iam = boto3.client("s3"), boto3.client("iam")
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        keys = {}
        policies = {
            "writer": writer_policy(bucket, region, prefix, access),
            "reader": reader_policy(bucket, region, prefix),
        }
        for who, policy in policies.items():
            name = f"{bucket}-{who}"
            iam.create_user(UserName=name)
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
            key = iam.create_access_key(UserName=name)["AccessKey"]
            keys[who] = {"id": key["AccessKeyId"], "secret": key["SecretAccessKey"], "status": "active"}
        raw = {
            "storageProvider": "s3",
            "bucketName": bucket,
            "region": region,
            "pathPrefix": prefix,
            "writerAccessKeyId": keys["writer"]["id"],
            "writerSecretAccessKey": keys["writer"]["secret"],
            "readerAccessKeyId": keys["reader"]["id"],
            "readerSecretAccessKey": keys["reader"]["secret"],
            "writerKeys": {"blue": keys["writer"]},
            "readerKeys": {"blue": keys["reader"]},
            "registeredKey": "blue",
            "writerAccess": access.value,
            "environment": "dev",
            "corsOrigins": list(origins),
            "endpointUrl": s3.meta.endpoint_url,
        }
        stand = cls(raw, s3, iam)
        stand.set_cors(*origins)
        stand.set_bucket_policy()
        stand.set_lifecycle()
        return stand

    @property
    def outputs(self) -> StackOutputs:
        return StackOutputs.from_mapping(self.raw)

    @property
    def bucket(self) -> str:
        return self.outputs.bucket_name

    def declared(self, **changes: Any) -> Stand:
        """The same bucket, described otherwise."""
        return replace(self, raw=self.raw | changes)

    def recordings(self, *arguments: str) -> Result:
        """Run the command `recordings` in this process, the outputs on its standard input."""
        return CliRunner().invoke(app, [*arguments, "--outputs", "-"], input=json.dumps(self.raw))

    def put(self, key: str, body: bytes, content_type: str, **more: Any) -> None:
        """An object, by the operator."""
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType=content_type, **more)

    def set_cors(self, *origins: str, exposed: tuple[str, ...] = EXPOSED) -> None:
        """One rule for these origins; none at all without any."""
        if not origins:
            self.s3.delete_bucket_cors(Bucket=self.bucket)
            return
        rule = {
            "AllowedOrigins": list(origins),
            "AllowedMethods": ["GET", "HEAD"],
            "AllowedHeaders": ["*"],
            "ExposeHeaders": list(exposed),
        }
        self.s3.put_bucket_cors(Bucket=self.bucket, CORSConfiguration={"CORSRules": [rule]})

    def set_bucket_policy(self, *more: dict[str, Any]) -> None:
        """The project's bucket policy, and further statements."""
        policy: Any = bucket_policy(self.bucket, self.outputs.region)
        policy = {**policy, "Statement": [*policy["Statement"], *more]}
        self.s3.put_bucket_policy(Bucket=self.bucket, Policy=json.dumps(policy))

    def set_lifecycle(self, *ids: str) -> None:
        """The rules that a stack has, or those of them that are named; none for the name `none`."""
        if ids == ("none",):
            self.s3.delete_bucket_lifecycle(Bucket=self.bucket)
            return
        verify = f"{self.outputs.path_prefix}.verify/"
        rules: dict[str, tuple[str, dict[str, Any]]] = {
            "unfinished": ("", {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}),
            "old": ("", {"NoncurrentVersionExpiration": {"NoncurrentDays": 30}}),
            "verify": (verify, {"Expiration": {"Days": 1}}),
        }
        chosen = [
            {"ID": id_, "Status": "Enabled", "Filter": {"Prefix": prefix}, **action}
            for id_, (prefix, action) in rules.items()
            if id_ in (ids or rules)
        ]
        self.s3.put_bucket_lifecycle_configuration(Bucket=self.bucket, LifecycleConfiguration={"Rules": chosen})

    def encrypt(self) -> str:
        """New objects are encrypted with a key of KMS, whose ARN is given."""
        key: str = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
        rule: Any = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
        self.s3.put_bucket_encryption(Bucket=self.bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
        return key

    def log_to(self, bucket: str) -> None:
        """The access log goes there, as a stack would have it."""
        log: Any = {"LoggingEnabled": {"TargetBucket": bucket, "TargetPrefix": f"{self.bucket}/"}}
        self.s3.put_bucket_logging(Bucket=self.bucket, BucketLoggingStatus=log)

    def suspend_versioning(self) -> None:
        """Overwritten recordings are lost from now on."""
        self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Suspended"})

    def allow_public_access(self) -> None:
        """A policy could open the bucket now."""
        self.s3.delete_public_access_block(Bucket=self.bucket)

    def open_to_the_public(self) -> None:
        """Everybody reads."""
        self.allow_public_access()
        resource = f"arn:aws:s3:::{self.bucket}/*"
        self.set_bucket_policy({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": resource})

    def allow(self, who: str, verb: str) -> None:
        """A second policy of the user `who` (writer or reader) that allows one of ACTIONS."""
        self._put(who, "more", "Allow", ACTIONS[verb])

    def deny(self, who: str, verb: str) -> None:
        """A second policy of the user `who` that takes one of ACTIONS away."""
        self._put(who, "less", "Deny", ACTIONS[verb])

    def _put(self, who: str, name: str, effect: str, action: str) -> None:
        statement = {"Effect": effect, "Action": [action], "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.iam.put_user_policy(UserName=f"{self.bucket}-{who}", PolicyName=name, PolicyDocument=document)

    def deactivate(self, who: str) -> None:
        """The key of `who` becomes inactive."""
        self._set_key(who, "Inactive")

    def activate(self, who: str) -> None:
        """The key of `who` becomes active again."""
        self._set_key(who, "Active")

    def _set_key(self, who: str, status: str) -> None:
        key = self.raw[f"{who}AccessKeyId"]
        self.iam.update_access_key(UserName=f"{self.bucket}-{who}", AccessKeyId=key, Status=status)

    def contents(self) -> list[str]:
        """Every key, version and marker, and every unfinished upload, as the operator sees them."""
        versions = self.s3.list_object_versions(Bucket=self.bucket)
        uploads = self.s3.list_multipart_uploads(Bucket=self.bucket)
        found = [*versions.get("Versions", ()), *versions.get("DeleteMarkers", ()), *uploads.get("Uploads", ())]
        return [item["Key"] for item in found]
