"""Pulumi's passphrase secrets manager: AES-256-GCM under a key that PBKDF2 derives from a passphrase.

Owns the two text forms, `v1:<nonce>:<ciphertext>` of a value and `v1:<salt>:<a value that decrypts to "pulumi">` of the
manager, as the real CLI writes them, so that it reads ours and we read its. Does not know where they are kept.
Source: https://www.pulumi.com/docs/iac/concepts/secrets/#configuring-secrets-encryption
"""

from __future__ import annotations

import functools
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from sandbox.engine.errors import UsageError

_ITERATIONS: Final = 1_000_000
_SALT_BYTES: Final = 8
_NONCE_BYTES: Final = 12
_PROBE: Final = "pulumi"


def passphrase(environ: Mapping[str, str]) -> str:
    """The passphrase from PULUMI_CONFIG_PASSPHRASE or the file named by PULUMI_CONFIG_PASSPHRASE_FILE.

    Raises UsageError if neither is set or the file cannot be read.
    """
    if "PULUMI_CONFIG_PASSPHRASE" in environ:
        return environ["PULUMI_CONFIG_PASSPHRASE"]
    file = environ.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    if file:
        try:
            return Path(file).read_text().strip()
        except OSError as error:
            raise UsageError(f"unable to read PULUMI_CONFIG_PASSPHRASE_FILE {file!r}: {error.strerror}") from None
    raise UsageError(
        "passphrase must be set with PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE environment variables; "
        '`eval "$(python -m sandbox env)"` sets the sandbox\'s own'
    )


class SecretsManager:
    """Encrypts and decrypts values; `salt` is its state, kept in the stack's configuration and checkpoint."""

    def __init__(self, key: bytes, salt: str) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._cipher = AESGCM(key)
        self.salt = salt

    @classmethod
    def create(cls, phrase: str) -> Self:
        """Make a manager with a fresh salt."""
        salt = os.urandom(_SALT_BYTES)
        manager = cls(_derive(phrase, salt), "")
        manager.salt = f"v1:{b64encode(salt).decode()}:{manager.encrypt(_PROBE)}"
        return manager

    @classmethod
    def open(cls, phrase: str, salt: str) -> Self:
        """Take up the manager that `salt` describes. Raises UsageError if the passphrase is not its."""
        version, _, rest = salt.partition(":")
        encoded, _, probe = rest.partition(":")
        try:
            raw = b64decode(encoded)
        except ValueError:
            raw = b""
        if version != "v1" or not raw or not probe:
            raise UsageError(f"encryptionsalt {salt!r} cannot be used: expected v1:<salt>:v1:<nonce>:<ciphertext>")
        manager = cls(_derive(phrase, raw), salt)
        try:
            correct = manager.decrypt(probe) == _PROBE
        except UsageError:
            correct = False
        if not correct:
            raise UsageError("incorrect passphrase: set PULUMI_CONFIG_PASSPHRASE to the one the stack was made with")
        return manager

    def encrypt(self, plaintext: str) -> str:
        """Encrypt one value under a fresh nonce."""
        nonce = os.urandom(_NONCE_BYTES)
        ciphertext = self._cipher.encrypt(nonce, plaintext.encode(), None)
        return f"v1:{b64encode(nonce).decode()}:{b64encode(ciphertext).decode()}"

    def decrypt(self, text: str) -> str:
        """Decrypt one value. Raises UsageError if it is malformed or was made under another passphrase."""
        from cryptography.exceptions import InvalidTag

        try:
            version, nonce, ciphertext = text.split(":")
            if version != "v1":
                raise ValueError
            return self._cipher.decrypt(b64decode(nonce), b64decode(ciphertext), None).decode()
        except (ValueError, InvalidTag):
            raise UsageError("a secret cannot be decrypted: it is damaged, or belongs to another passphrase") from None


@functools.lru_cache(maxsize=4)
def _derive(phrase: str, salt: bytes) -> bytes:
    # not hashlib's, which runs on Python's own OpenSSL and takes more than twice as long; both let go of the GIL
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

    return PBKDF2HMAC(SHA256(), 32, salt, _ITERATIONS).derive(phrase.encode())
