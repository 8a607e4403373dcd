"""The stand-in AWS provider set up on the sandbox, and other clients than the one under test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import boto3

from sandbox.providers.base import Provider
from sandbox.servers import Sandbox

BUCKET = "aws:s3/bucket:Bucket"
USER = "aws:iam/user:User"
USER_POLICY = "aws:iam/userPolicy:UserPolicy"
KEY = "aws:iam/accessKey:AccessKey"


@contextmanager
def client(sandbox: Sandbox, service: Any) -> Iterator[Any]:
    """A boto3 client of the operator's, closed in the end: the sandbox waits for open connections."""
    made = boto3.client(
        service,
        endpoint_url=sandbox.env["AWS_ENDPOINT_URL"],
        verify=sandbox.env["AWS_CA_BUNDLE"],
        region_name="us-east-1",
        aws_access_key_id=sandbox.env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=sandbox.env["AWS_SECRET_ACCESS_KEY"],
    )
    yield made
    made.close()


@contextmanager
def existing(provider: Provider, type_: str, name_property: str) -> Iterator[str]:
    """The name of a new bucket or user, removed with what it holds."""
    name = f"{name_property[0]}-{uuid4().hex[:12]}"
    state = provider.create(type_, {name_property: name, "forceDestroy": True}, preview=False)
    yield name
    provider.delete(type_, state)
