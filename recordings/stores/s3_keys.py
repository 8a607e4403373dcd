"""Access keys of IAM users, as the operator: what may have to stop before the stack that made them goes.

Owns that one call. Making and deleting keys is the deployment's.
Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccessKey.html
"""

from __future__ import annotations

from typing import Final

from botocore.exceptions import ClientError

from recordings.outputs import StackOutputs
from recordings.stores.s3_connection import Connection
from recordings.stores.s3_errors import code_of, mapped

_GONE: Final = frozenset({"NoSuchEntity"})


def deactivate(outputs: StackOutputs, principal: str, key_id: str) -> bool:
    """Make an access key of the user with the ARN `principal` inactive; False if there is no such user or key.

    Raises StoreError. Once more changes nothing.
    """
    user = principal.rpartition("/")[2]
    with mapped(f"UpdateAccessKey {key_id} of IAM user {user} as operator"):
        try:
            Connection(outputs, None).iam().update_access_key(UserName=user, AccessKeyId=key_id, Status="Inactive")
        except ClientError as error:
            if code_of(error) in _GONE:
                return False
            raise
    return True
