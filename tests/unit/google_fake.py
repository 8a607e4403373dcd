"""A service account's key that no cloud knows."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.oauth2 import service_account


@cache
def private_key() -> rsa.RSAPrivateKey:
    """One for all tests: making it takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def json_key(email: str) -> str:
    """The JSON key of the service account `email`."""
    pem = private_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    info = {"client_email": email, "private_key": pem.decode(), "token_uri": "https://oauth2.googleapis.com/token"}
    return json.dumps(info)


@cache
def credentials(email: str) -> service_account.Credentials:
    """Credentials of that key."""
    made: Any = service_account.Credentials
    found: service_account.Credentials = made.from_service_account_info(json.loads(json_key(email)))
    return found
