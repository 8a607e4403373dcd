"""Checking of management tokens, as 100ms' page "Security and tokens" describes them."""

from __future__ import annotations

from collections.abc import Mapping

import jwt

from sandbox.hms.http import Refusal

_REQUIRED = ["exp", "iat", "nbf", "jti"]


def check_token(headers: Mapping[str, str], access_key: str, app_secret: str) -> None:
    """Let a valid management token of this app pass: HS256 signature, times, type, version, access key.

    Raises Refusal (401).
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Refusal(401, "Authentication error", "missing management token")
    try:
        claims = jwt.decode(token, app_secret, algorithms=["HS256"], options={"require": _REQUIRED})
    except jwt.ExpiredSignatureError:
        raise Refusal(401, "Token validation error", "token is expired") from None
    except jwt.ImmatureSignatureError:
        raise Refusal(401, "Token validation error", "token used before issued") from None
    except jwt.InvalidTokenError:
        raise Refusal(401, "Token validation error", "token is invalid") from None
    if claims.get("access_key") != access_key:
        raise Refusal(401, "Token validation error", "not found")
    if claims.get("type") != "management" or claims.get("version") != 2:
        raise Refusal(401, "Token validation error", "not a management token")
