"""An S3 that answers from a script: botocore's `before-send` hook takes the place of the network."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders

from recordings.outputs import StackOutputs
from recordings.stores import AccessKey, Identity
from recordings.stores.s3 import S3Store, open_store

RAW_OUTPUTS: dict[str, Any] = {
    "storageProvider": "s3",
    "bucketName": "bucket",
    "region": "eu-west-1",
    "pathPrefix": "recordings/",
    "writerAccessKeyId": "AKIAWRITER",
    "writerSecretAccessKey": "writer-secret",
    "readerAccessKeyId": "AKIAREADER",
    "readerSecretAccessKey": "reader-secret",
    "writerKeys": {"blue": {"id": "AKIAWRITER", "secret": "writer-secret", "status": "active"}},
    "readerKeys": {"blue": {"id": "AKIAREADER", "secret": "reader-secret", "status": "active"}},
    "registeredKey": "blue",
    "writerAccess": "full",
    "environment": "dev",
}


def outputs(**changes: Any) -> StackOutputs:
    """Outputs of a stack in eu-west-1, with `changes` in the stack's own spelling."""
    return StackOutputs.from_mapping(RAW_OUTPUTS | changes)


class _Raw(io.BytesIO):
    """What urllib3 gives botocore to read a body from."""

    def stream(self, **_: Any) -> Iterable[bytes]:
        yield self.read()


@dataclass
class Reply:
    """One HTTP answer; `code` makes an error body of it."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    code: str = ""

    def response(self, request: AWSPreparedRequest) -> AWSResponse:
        body = self.body
        if self.code and request.method != "HEAD":
            body = f"<Error><Code>{self.code}</Code><Message>said so</Message></Error>".encode()
        headers = {"content-length": str(len(body)), **self.headers}
        return AWSResponse(request.url, self.status, HTTPHeaders.from_dict(headers), _Raw(body))


class Wire:
    """The replies in their order, and the requests that came: `GET /bucket/key?query`."""

    def __init__(self, *replies: Reply | Callable[[AWSPreparedRequest], Reply]) -> None:
        self._replies = list(replies)
        self.requests: list[AWSPreparedRequest] = []

    def __call__(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        self.requests.append(request)
        reply = self._replies.pop(0)
        return (reply if isinstance(reply, Reply) else reply(request)).response(request)

    @property
    def bodies(self) -> list[bytes]:
        """Each request's body, as bytes."""
        return [body if isinstance(body := request.body, bytes) else b"" for request in self.requests]

    @property
    def asked(self) -> list[str]:
        """Each request's method and URL."""
        return [f"{request.method} {request.url}" for request in self.requests]


def store_on(wire: Wire, identity: Identity | AccessKey = Identity.READER, /, **changes: Any) -> S3Store:
    """A store whose requests go to `wire`."""
    store = open_store(outputs(**changes), identity)
    events: Any = store.client.meta.events
    events.register("before-send.s3", wire)
    return store
