"""What commands must remember between runs, in the bucket itself, so that a laptop or a CI runner keeps nothing.

Owns the form of a remembered thing: an object `.recordings/<name>`, outside prefix and retention and reached by the
operator alone, encrypted with AES-256-GCM under a key derived (HKDF-SHA256) from the 100ms app secret, which whoever
registers has anyway. Does not know what is remembered: a use case gives a dict.

    magic "rec1" | salt 16 | check 8 | nonce 12 | ciphertext and tag

The salt is fresh for every write, so every object has its own key. `check` is derived beside the key: it tells an app
secret that was changed from an object that was damaged. The object key is bound in as associated data, so that one
object cannot stand in for another. Writes are conditional: two runs never overwrite each other unseen.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

from recordings.errors import ConfigurationError, ConflictError, ObjectNotFoundError, PreconditionError, StoreError
from recordings.hms_auth import HmsCredentials
from recordings.policies import OPERATOR_PREFIX
from recordings.stores.base import Store

_MAGIC = b"rec1"
_SALT, _CHECK, _NONCE, _TAG = 16, 8, 12, 16
_HEADER = len(_MAGIC) + _SALT + _CHECK + _NONCE
_PURPOSE = b"recordings memory v1"


@dataclass(frozen=True)
class Remembered:
    """A remembered value, and the version to give back when it is written again."""

    value: Mapping[str, Any]
    version: str


class Memory:
    """Remembered things in one bucket, as the operator. Every method may raise StoreError."""

    def __init__(self, store: Store, app_secret: SecretStr) -> None:
        self._store = store
        self._secret = app_secret.get_secret_value().encode()

    @classmethod
    def open(cls, store: Store, credentials: HmsCredentials) -> Memory:
        """The memory of `store`'s bucket. Raises ConfigurationError if there is no app secret to encrypt it with."""
        if credentials.app_secret is None:
            raise ConfigurationError(
                "HMS_APP_SECRET is not set: what a template had before is kept in the bucket, encrypted under the "
                "100ms app secret, and a management token cannot do that. Set HMS_APP_SECRET (100ms dashboard, "
                "Developer); HMS_MANAGEMENT_TOKEN may stay set beside it"
            )
        return cls(store, credentials.app_secret)

    def names(self, under: str = "") -> Iterator[str]:
        """The names of remembered things that start with `under`."""
        return (info.key.removeprefix(OPERATOR_PREFIX) for info in self._store.list(OPERATOR_PREFIX + under))

    def read(self, name: str) -> Remembered | None:
        """The remembered value, or None if there is none.

        Raises StoreError if it is damaged, ConfigurationError if it was written under another app secret; the object
        is left as it is.
        """
        key = OPERATOR_PREFIX + name
        try:
            blob, info = self._store.read(key)
        except ObjectNotFoundError:
            return None
        return Remembered(self._decrypt(key, blob), info.etag)

    def write(self, name: str, value: Mapping[str, Any], expected: str | None) -> str:
        """Remember `value` if the thing still is at version `expected` (None: not there); gives the new version.

        Raises ConflictError if somebody else wrote in between. A write whose answer was lost is recognised by its
        value and counts as done.
        """
        key = OPERATOR_PREFIX + name
        blob = self._encrypt(key, value)
        try:
            return self._store.put(key, blob, if_match=expected, if_none_match=expected is None).etag
        except PreconditionError:
            now = self.read(name)
        if now is None or now.value != value:
            raise ConflictError(
                f"{key} in bucket {self._store.bucket} was changed by another run in between; nothing was overwritten. "
                "Wait for that run to end, then run the command again"
            )
        return now.version

    def delete(self, name: str) -> None:
        """Forget a thing; one that is not there is no error."""
        self._store.delete(OPERATOR_PREFIX + name)

    def _encrypt(self, key: str, value: Mapping[str, Any]) -> bytes:
        salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
        cipher, check = self._derive(salt)
        return _MAGIC + salt + check + nonce + cipher.encrypt(nonce, json.dumps(value).encode(), key.encode())

    def _decrypt(self, key: str, blob: bytes) -> Any:
        if len(blob) < _HEADER + _TAG or not blob.startswith(_MAGIC):
            raise self._damaged(key)
        salt = blob[len(_MAGIC) :][:_SALT]
        stored_check, nonce = blob[_HEADER - _NONCE - _CHECK :][:_CHECK], blob[_HEADER - _NONCE : _HEADER]
        cipher, check = self._derive(salt)
        if check != stored_check:
            raise ConfigurationError(
                f"{key} in bucket {self._store.bucket} was written under another 100ms app secret than HMS_APP_SECRET "
                "(or its head is damaged). Set HMS_APP_SECRET to the app secret of that time; if 100ms no longer takes "
                "it, leave HMS_ACCESS_KEY unset and give a new HMS_MANAGEMENT_TOKEN beside it"
            )
        try:
            value = json.loads(cipher.decrypt(nonce, blob[_HEADER:], key.encode()))
        except InvalidTag:
            raise self._damaged(key) from None
        return value

    def _damaged(self, key: str) -> StoreError:
        return StoreError(
            f"{key} in bucket {self._store.bucket} is damaged and cannot be decrypted; it was left as it is. The "
            "bucket keeps old versions: restore the version before, or delete the object to give up what it remembers"
        )

    def _derive(self, salt: bytes) -> tuple[AESGCM, bytes]:
        material = HKDF(SHA256(), 32 + _CHECK, salt, _PURPOSE).derive(self._secret)
        return AESGCM(material[:32]), material[32:]
