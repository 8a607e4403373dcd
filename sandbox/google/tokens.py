"""OAuth: a service-account key's signed JWT for an access token (RFC 7523), and what a bearer token stands for.

Tokens are opaque, live an hour and are kept as hashes. A JWT signed by a service-account key is also taken as a bearer
token itself, as Google does ("self-signed JWT").

Source: developers.google.com/identity/protocols/oauth2/service-account.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qs

import jwt

from sandbox.google.cloud import Cloud, now, stamp
from sandbox.google.errors import OAuthError, bad_credentials
from sandbox.google.http import Json, Request, Response, json_response

_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_PREFIX: Final = "ya29.c."
_LIFE: Final = timedelta(hours=1)
_SKEW_SECONDS: Final = 300
_GOOGLE: Final = ("https://oauth2.googleapis.com/token", "https://www.googleapis.com/oauth2/v4/token")
_SERVICE: Final = "https://storage.googleapis.com/"


async def post_token(cloud: Cloud, request: Request) -> Response:
    """The token endpoint. Raises OAuthError."""
    form = parse_qs((await request.body()).decode("utf-8", "replace"))
    grant = form.get("grant_type", [""])[0]
    if grant != _GRANT:
        raise OAuthError("unsupported_grant_type", f"Invalid grant_type: {grant}")
    claims = _claims(cloud, form.get("assertion", [""])[0], (f"{request.base}/token", *_GOOGLE))
    if not claims.get("scope") and not claims.get("target_audience"):
        raise OAuthError("invalid_scope", "Empty or missing scope not allowed.")
    return json_response(_issue(cloud, claims["iss"]))


def email_of(cloud: Cloud, token: str, base: str) -> str:
    """The service account that a bearer token stands for. Raises GoogleError 401."""
    if not token.startswith(_PREFIX):
        try:
            return str(_claims(cloud, token, (_SERVICE, f"{base}/"), scoped=True)["iss"])
        except OAuthError:
            raise bad_credentials() from None
    stored = cloud.state.get("token", _digest(token))
    if stored is None or stored["expires"] < stamp(now()) or not cloud.state.get("account", stored["email"]):
        raise bad_credentials()
    return str(stored["email"])


def _issue(cloud: Cloud, email: str) -> Json:
    token = _PREFIX + secrets.token_urlsafe(48)
    moment = now()
    with cloud.state.change():
        for old in cloud.state.all("token"):
            if old["expires"] < stamp(moment):
                cloud.state.remove("token", old["digest"])
        stored = {"digest": _digest(token), "email": email, "expires": stamp(moment + _LIFE)}
        cloud.state.put("token", stored["digest"], stored)
    return {"access_token": token, "expires_in": int(_LIFE.total_seconds()) - 1, "token_type": "Bearer"}


def _claims(cloud: Cloud, assertion: str, audiences: tuple[str, ...], *, scoped: bool = False) -> dict[str, Any]:
    """The claims of a JWT that one of the issuer's keys signed. With `scoped` a scope may stand for an audience."""
    try:
        header = jwt.get_unverified_header(assertion)
        unverified = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.PyJWTError:
        raise OAuthError("invalid_grant", "Bad Request: the assertion is not a JWT.") from None
    email = unverified.get("iss", "")
    if not cloud.state.get("account", email):
        raise OAuthError("invalid_grant", "Invalid grant: account not found")
    key = cloud.state.get("key", f"{email}/{header.get('kid', '')}")
    if key is None:
        raise OAuthError("invalid_grant", "Invalid JWT Signature.")
    claims = _verified(assertion, key, audiences, scoped)
    if claims["exp"] - claims["iat"] > _LIFE.total_seconds():
        raise OAuthError(
            "invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes) in a reasonable timeframe."
        )
    if claims.get("sub", email) != email:
        raise OAuthError("unauthorized_client", "Client is unauthorized to retrieve access tokens using this method.")
    return claims


def _verified(assertion: str, key: Json, audiences: tuple[str, ...], scoped: bool) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            assertion,
            key["public"],
            algorithms=["RS256"],
            leeway=_SKEW_SECONDS,
            options={"require": ["iss", "iat", "exp"], "verify_aud": False},
        )
    except jwt.InvalidSignatureError:
        raise OAuthError("invalid_grant", "Invalid JWT Signature.") from None
    except jwt.PyJWTError as error:
        raise OAuthError("invalid_grant", f"Invalid JWT: {error}.") from None
    if claims.get("aud") not in audiences and not (scoped and claims.get("scope")):
        raise OAuthError("invalid_grant", f"Invalid JWT: Failed audience check. The right audience is {audiences[0]}")
    return claims


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
