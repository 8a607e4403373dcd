"""RSA signatures for presigned URLs, made by Google's authentication library.

Owns who can sign: a JSON key signs on this machine, an ambient service identity (attached to a machine or impersonated)
asks IAM to. The library's own `generate_signed_url` cannot date a URL other than now, nor sign for a host with a port,
so that the URL is composed as for HMAC keys; a property test holds that both give the same parameters and signature.

Source: https://cloud.google.com/storage/docs/access-control/signed-urls.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import google.auth.credentials
import google.auth.exceptions
import google.auth.iam
import google.auth.transport.requests
from google.oauth2 import service_account
from pydantic import SecretStr

from recordings.errors import ConfigurationError, CredentialsError
from recordings.signing_gcs import REGION
from recordings.signing_v4 import GOOG4, Signer
from recordings.stores.gcs_sdk_errors import mapped

RSA4: Final = replace(GOOG4, algorithm="GOOG4-RSA-SHA256")


class RsaSigner(Signer):
    """Signs as a service account; `sign_bytes` gives an RSA signature over SHA-256."""

    def __init__(self, email: str, sign_bytes: Callable[[bytes], bytes]) -> None:
        super().__init__(email, REGION, RSA4)
        self._sign_bytes = sign_bytes

    def sign(self, stamp: str, message: bytes) -> str:
        """The signature in hexadecimal digits."""
        with mapped(f"sign as {self.key_id}"):
            return self._sign_bytes(message).hex()


def signer_of(json_key: SecretStr, principal: str) -> RsaSigner | None:
    """The signer of a JSON key, or None if it is another account's than `principal`.

    Raises ConfigurationError for a key that cannot be used; the message does not quote it.
    """
    try:
        info = json.loads(json_key.get_secret_value())
        if info["client_email"] != principal:
            return None
        credentials = service_account.Credentials.from_service_account_info(info)
    except (ValueError, KeyError, TypeError, google.auth.exceptions.GoogleAuthError):
        raise ConfigurationError(
            "serviceAccountKey in the stack outputs is no JSON key of a service account: run `pulumi up`, or take the "
            "output away; signing works without it"
        ) from None
    return RsaSigner(credentials.signer_email, credentials.sign_bytes)


def ambient_signer(credentials: google.auth.credentials.Credentials) -> RsaSigner:
    """The signer of whoever is logged in. Raises CredentialsError for a login that has no service account."""
    if isinstance(credentials, google.auth.credentials.Signing):
        return RsaSigner(credentials.signer_email, credentials.sign_bytes)
    request = google.auth.transport.requests.Request()
    email = getattr(credentials, "service_account_email", None)
    if email == "default":
        with mapped("ask for the machine's service account"):
            credentials.refresh(request)
        email = getattr(credentials, "service_account_email", None)
    if not email:
        raise CredentialsError(
            "this login is a person's, and only a service account can sign: sign as the reader, or log in with "
            "`gcloud auth application-default login --impersonate-service-account=EMAIL`"
        )
    return RsaSigner(email, google.auth.iam.Signer(request, credentials, email).sign)
