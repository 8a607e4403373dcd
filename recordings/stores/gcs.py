"""Google Cloud Storage as a `Store`: which adapter serves which identity.

Owns the choice. The operator goes through Google's own library with the default credentials (`gcs_operator`); writer
and reader use their HMAC keys against the XML API (`gcs_hmac`), as 100ms does. The library is an extra of this package
and imported for the operator, or a JSON key, alone: a back end that signs with the reader's HMAC key does without it.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, Final

import httpx

from recordings.errors import ConfigurationError
from recordings.outputs import KeySlot, StackOutputs
from recordings.retry import Timing
from recordings.signing import Presigner
from recordings.signing_gcs import REGION, HmacAuth
from recordings.signing_v4 import GOOG4, HmacSigner
from recordings.stores.base import AccessKey, Identity, Store
from recordings.stores.gcs_hmac import HmacStore
from recordings.stores.gcs_wire import GOOGLE, Wire

_DOMAIN: Final = ".iam.gserviceaccount.com"


def open_store(
    outputs: StackOutputs,
    identity: Identity | AccessKey,
    *,
    transport: httpx.BaseTransport | None = None,
    timing: Timing | None = None,
) -> Store:
    """The stack's bucket as `identity`: see `recordings.stores.open_store`.

    Raises ConfigurationError if the operator is wanted and the extra `gcs` is not installed.
    """
    origin = (outputs.endpoint_url or GOOGLE).rstrip("/")
    if identity is Identity.OPERATOR:
        library_of = library("gcs_operator")
        operator: Store = library_of.open_operator(outputs.bucket_name, origin, transport=transport, timing=timing)
        return operator
    key, principal, who = _key_of(outputs, identity)
    base_url = f"{origin}/{outputs.bucket_name}"
    timing = timing or Timing()

    @cache
    def presigner() -> Presigner:
        json_key = outputs.service_account_key
        if json_key is not None and principal:
            signer = library("gcs_rsa").signer_of(json_key, principal)
            if signer is not None:
                return Presigner(signer, base_url)
        return Presigner(HmacSigner(key.id, key.secret, REGION, GOOG4), base_url)

    wire = Wire(base_url, HmacAuth(key.id, key.secret, now=timing.now), transport=transport, timing=timing)
    return HmacStore(outputs.bucket_name, base_url, who, wire, presigner, project_of(principal))


def library(module: str) -> Any:
    """A module beside this one that needs Google's library. Raises ConfigurationError naming the extra."""
    try:
        return import_module(f"recordings.stores.{module}")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("google"):
            raise
        raise ConfigurationError(
            "this needs Google's client library, which is an extra of this package: "
            "install it with `pip install '.[gcs]'` in a clone"
        ) from None


def project_of(email: str) -> str | None:
    """The project that a service account belongs to, None if the address is not of that form.

    A project of a domain, `example.com:name`, is written `name.example.com` in it.
    """
    name, _, host = email.partition("@")
    if not name or not host.endswith(_DOMAIN):
        return None
    project, _, domain = host.removesuffix(_DOMAIN).partition(".")
    return f"{domain}:{project}" if domain else project


def _key_of(outputs: StackOutputs, identity: Identity | AccessKey) -> tuple[AccessKey, str, str]:
    """The key, the service account that it belongs to ('' if unknown), and how to call whoever uses it."""
    if isinstance(identity, AccessKey):
        principal = outputs.writer_principal if _holds(outputs.writer_keys.values(), identity) else ""
        principal = principal or (outputs.reader_principal if _holds(outputs.reader_keys.values(), identity) else "")
        return identity, principal, f"key {identity.id}"
    if identity is Identity.WRITER:
        key = AccessKey(outputs.writer_access_key_id, outputs.writer_secret_access_key)
        return key, outputs.writer_principal, identity.value
    key = AccessKey(outputs.reader_access_key_id, outputs.reader_secret_access_key)
    return key, outputs.reader_principal, identity.value


def _holds(slots: Any, key: AccessKey) -> bool:
    return any(isinstance(slot, KeySlot) and slot.id == key.id for slot in slots)
