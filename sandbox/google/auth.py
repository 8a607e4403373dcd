"""Whose request it is: bearer token, V4 signature, or nobody."""

from __future__ import annotations

from sandbox.google import signatures, tokens
from sandbox.google.cloud import Cloud
from sandbox.google.errors import bad_credentials
from sandbox.google.http import Request
from sandbox.google.policies import ANONYMOUS, Caller


def bearer(cloud: Cloud, request: Request) -> Caller:
    """The caller of a JSON method: a bearer token or nobody. Raises GoogleError 401."""
    authorization = request.headers.get("authorization")
    if authorization is None:
        return ANONYMOUS
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise bad_credentials()
    return Caller(tokens.email_of(cloud, token.strip(), request.base))


def signed_or_bearer(cloud: Cloud, request: Request) -> tuple[Caller, str]:
    """The caller of an XML method, and the SHA-256 that the body must have (or UNSIGNED-PAYLOAD)."""
    if signatures.is_signed(request):
        return signatures.caller_of(cloud, request)
    return bearer(cloud, request), signatures.UNSIGNED
