"""HMAC keys of service accounts, as the operator: what may have to stop before the stack that made them goes.

Owns that one call. Making and deleting keys is the deployment's.
Source: https://cloud.google.com/storage/docs/authentication/managing-hmackeys#deactivate
"""

from __future__ import annotations

from recordings.errors import ObjectNotFoundError
from recordings.outputs import StackOutputs
from recordings.stores.gcs import library, project_of
from recordings.stores.gcs_wire import GOOGLE


def deactivate(outputs: StackOutputs, principal: str, key_id: str) -> bool:
    """Make an HMAC key of the account with the e-mail `principal` inactive; False if there is no such key.

    Raises StoreError. Once more changes nothing.
    """
    origin = (outputs.endpoint_url or GOOGLE).rstrip("/")
    operator = library("gcs_operator").open_operator(outputs.bucket_name, origin)
    try:
        operator.deactivate_key(key_id, project_of(principal))
    except ObjectNotFoundError:
        return False
    return True
