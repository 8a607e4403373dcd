"""The error tree of `recordings`, and nothing else.

    RecordingsError                 exit code
    ├── UsageError                      2      bad command line or input
    │   └── ConfigurationError          2      stack outputs or settings that cannot be used
    │       └── GuardError              2      wrong account, region or 100ms customer: nothing was changed
    ├── CheckFailedError                1      a check ran and found a fault
    ├── RemoteError                     3      100ms or the cloud refused, or could not be reached
    │   ├── HmsError                    3
    │   │   ├── HmsUnauthorisedError    3      401, 403: token or key refused
    │   │   ├── HmsNotFoundError        3      404
    │   │   ├── HmsRefusedError         3      any other 4xx, with 100ms' own message
    │   │   └── HmsUnreachableError     3      retries used up
    │   │       └── HmsUncertainError   3      a write got no usable answer: it may have taken effect
    │   ├── ConflictError               3      somebody else changed it in between; not overwritten
    │   ├── DatabaseError               3      Postgres refused: rights, schema, constraint
    │   │   └── DatabaseDownError       3      it could not be reached, or takes no work now
    │   └── StoreError                  3
    │       ├── AccessDeniedError       3      the key is valid and may not do this
    │       ├── CredentialsError        3      the key is unknown, inactive or its signature wrong
    │       │   └── OrganisationPolicyError 3  an organisation forbids this way of using keys
    │       ├── ObjectNotFoundError     3
    │       ├── BucketNotFoundError     3
    │       ├── WrongRegionError        3
    │       ├── ObjectArchivedError     3      in an archive class and not restored
    │       ├── PreconditionError       3      a conditional write lost: the object is not as it was
    │       └── StoreUnreachableError   3      retries used up
    └── NotDueError                     4      a resumable wait: come back at `until`

A message names the thing, the bad value, the legal values and the next act. It never holds a secret or the query
of a URL.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar


class RecordingsError(Exception):
    """Any failure that this library foresees; `exit_code` is what the command ends with."""

    exit_code: ClassVar[int] = 1


class UsageError(RecordingsError):
    """The command line or another input cannot be used."""

    exit_code = 2


class ConfigurationError(UsageError):
    """Stack outputs or settings cannot be used; the message lists every fault found."""


class GuardError(ConfigurationError):
    """The account, region or 100ms customer is not the expected one; nothing was changed."""


class CheckFailedError(RecordingsError):
    """A check ran to its end and found a fault."""

    exit_code = 1


class RemoteError(RecordingsError):
    """100ms or the cloud refused, or could not be reached."""

    exit_code = 3


class HmsError(RemoteError):
    """100ms answered with an error or not at all."""


class HmsUnauthorisedError(HmsError):
    """100ms refused the management token (401 or 403)."""


class HmsNotFoundError(HmsError):
    """100ms knows no such template, room, recording or recording asset (404)."""


class HmsRefusedError(HmsError):
    """100ms refused the request (another 4xx); the message holds its reason."""


class HmsUnreachableError(HmsError):
    """100ms did not give a usable answer within the retry budget."""


class HmsUncertainError(HmsUnreachableError):
    """A write got no usable answer, so it may have taken effect: read before deciding.

    `retry_after` (seconds) is how long 100ms asked to wait, if it did.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ConflictError(RemoteError):
    """Somebody else changed the thing between our reading and our writing; it was not overwritten."""


class DatabaseError(RemoteError):
    """Postgres refused what was asked of it."""


class DatabaseDownError(DatabaseError):
    """Postgres could not be reached, or takes no work at the moment; trying again later may help."""


class StoreError(RemoteError):
    """The object store refused, or could not be reached."""


class AccessDeniedError(StoreError):
    """The credentials are valid and are not allowed to do this."""


class CredentialsError(StoreError):
    """The key is unknown, inactive, not yet usable, expired, or its signature does not match."""


class OrganisationPolicyError(CredentialsError):
    """An organisation forbids to make or to use such a key; neither waiting nor rights on the bucket help."""


class ObjectNotFoundError(StoreError):
    """No object has this key."""


class BucketNotFoundError(StoreError):
    """No bucket has this name."""


class WrongRegionError(StoreError):
    """The bucket lies in another region than the one asked."""


class ObjectArchivedError(StoreError):
    """The object lies in an archive storage class and has not been restored."""


class PreconditionError(StoreError):
    """A conditional write was refused: the object is no longer as it was read."""


class StoreUnreachableError(StoreError):
    """The object store did not give a usable answer within the retry budget."""


class NotDueError(RecordingsError):
    """Nothing is due yet; `until` (UTC) is when to come back."""

    exit_code = 4

    def __init__(self, message: str, until: datetime) -> None:
        super().__init__(message)
        self.until = until
