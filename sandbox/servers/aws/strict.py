"""Puts rules of the real AWS behind ministack's own authorisation, in this process.

Each runs after ministack has decided that the caller may do it and before the work, so that who may not do a thing is
still told just that. One rewrites an answer: who may not list a bucket is not told that an object is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final
from urllib.parse import parse_qs

from sandbox.servers.aws.checksums import make_whole
from sandbox.servers.aws.emulator import Emulator, Handler, Headers, Query
from sandbox.servers.aws.encryption import encryption_rule
from sandbox.servers.aws.iam_rules import iam_refusal
from sandbox.servers.aws.s3_rules import (
    S3Request,
    bucket_policy_rule,
    cors_rule,
    lifecycle_rule,
    logging_rule,
    missing_object_rule,
    part_size_rule,
)

TLS_VERSION: ContextVar[str | None] = ContextVar("tls_version", default=None)
"""The TLS version of the current request's connection (`1.3`), None for plain HTTP."""

_S3_RULES: Final = (lifecycle_rule, part_size_rule, logging_rule, cors_rule, bucket_policy_rule, encryption_rule)


def make_strict(emulator: Emulator) -> None:
    """Put the rules in."""
    make_whole(emulator)
    emulator.s3.handle_request = _with_s3_rules(emulator, emulator.s3.handle_request)
    emulator.iam.handle_request = _with_iam_rules(emulator, emulator.iam.handle_request)
    emulator.evaluator._resolve_condition_key = _with_tls_version(emulator.evaluator._resolve_condition_key)


def _with_s3_rules(emulator: Emulator, original: Callable[..., Any]) -> Callable[..., Any]:
    async def handle(
        method: str, path: str, headers: Headers, body: bytes, query_params: Query, *more: Any, **named: Any
    ) -> Any:
        request = S3Request(emulator, method, path, headers, body, query_params)
        for rule in _S3_RULES:
            refusal = rule(request)
            if refusal is not None:
                return refusal
        answer = await original(method, path, headers, body, query_params, *more, **named)
        return missing_object_rule(request, answer[0]) or answer

    return handle


def _with_iam_rules(emulator: Emulator, original: Handler) -> Handler:
    async def handle(method: str, path: str, headers: Headers, body: bytes, query_params: Query) -> Any:
        refusal = iam_refusal(emulator, {**query_params, **parse_qs(body.decode("latin-1"))})
        return refusal or await original(method, path, headers, body, query_params)

    return handle


def _with_tls_version(original: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    def resolve(key: str, context: Any) -> Any:
        return TLS_VERSION.get() if key.lower() == "s3:tlsversion" else original(key, context)

    return resolve
