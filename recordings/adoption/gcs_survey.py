"""What a bucket and a service account on Google are now, as far as taking them over changes it.

Owns the reading, as the operator, by calls that change nothing: one resource each of the JSON API and of IAM, in
Google's own spelling. What becomes of it is judged in `gcs_bucket` and `gcs_accounts`.

Sources: https://cloud.google.com/storage/docs/json_api/v1/buckets, .../projects/hmacKeys,
https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote

from google.auth.transport.requests import AuthorizedSession

from recordings.adoption.gcs_parts import email_of
from recordings.errors import ObjectNotFoundError, StoreError, StoreUnreachableError, UsageError
from recordings.outages import outages
from recordings.retry import Attempts, RetryPolicy, Timing
from recordings.stores.gcs_errors import from_json
from recordings.stores.gcs_operator import TIMEOUT, Login, TokenOnly
from recordings.stores.gcs_sdk_errors import FOREIGN, retry_after, translate
from recordings.stores.gcs_wire import PARTY

Document = Mapping[str, Any]
_STORAGE: Final = ("GOOGLE_STORAGE_CUSTOM_ENDPOINT", "https://storage.googleapis.com/storage/v1/")
_IAM: Final = ("GOOGLE_IAM_CUSTOM_ENDPOINT", "https://iam.googleapis.com/v1/")
"""Where each API is: the variable of Google's provider, and Google's own."""
_POLICY_VERSION: Final = 3
"""The one that shows conditions."""


@dataclass(frozen=True)
class BucketFacts:
    """One bucket, as buckets.get gives it, and the bindings of its policy."""

    name: str
    resource: Document
    bindings: Sequence[Document]


@dataclass(frozen=True)
class AccountFacts:
    """One service account, as IAM gives it; `keys` maps the access id of each HMAC key to its state."""

    id: str
    resource: Document
    keys: Mapping[str, str]

    @property
    def email(self) -> str:
        """Its e-mail."""
        return str(self.resource["email"])


class Surveyor:
    """Reads one project as whoever is logged in; without `project`, the login's."""

    def __init__(self, project: str | None = None) -> None:
        self._login, self._outages = Login(), outages()
        self._project = project

    @property
    def project(self) -> str:
        """The project that is looked at. Raises CredentialsError if neither the stack nor the login names one."""
        return self._project or self._login.project

    def bucket(self, name: str) -> BucketFacts:
        """Read a bucket of this project. Raises StoreError, and UsageError if it is another project's."""
        what, path = f"reading the bucket {name} as operator", _path(name)
        found = self._get(_STORAGE, path, what, projection="full")
        own = self._pages("b", what, project=self.project, prefix=name, fields="items(name),nextPageToken")
        if name not in {each["name"] for each in own}:
            raise UsageError(
                f"the bucket {name} is none of project {self.project}: give its own as gcp:project, and log in there"
            )
        policy = self._get(_STORAGE, f"{path}/iam", what, optionsRequestedPolicyVersion=_POLICY_VERSION)
        return BucketFacts(name, found, policy.get("bindings", ()))

    def encryption(self, name: str) -> Document | None:
        """The bucket's `encryption`, None where it is not set. Raises StoreError."""
        return self._field(name, "encryption")

    def logging(self, name: str) -> Document | None:
        """The bucket's `logging`, None where nothing is logged. Raises StoreError."""
        return self._field(name, "logging")

    def account(self, id_: str) -> AccountFacts | None:
        """Read a service account of this project, or give None. Raises StoreError."""
        email = email_of(id_, self.project)
        what = f"reading the service account {email} as operator"
        try:
            found = self._get(_IAM, f"projects/{self.project}/serviceAccounts/{email}", what)
        except ObjectNotFoundError:
            return None
        return AccountFacts(id_, found, {str(key["accessId"]): str(key["state"]) for key in self.hmac_keys(email)})

    def hmac_keys(self, email: str) -> Iterator[Document]:
        """The HMAC keys of a service account: `accessId`, `state`, `timeCreated`. Raises StoreError."""
        what = f"listing the HMAC keys of {email} as operator"
        return self._pages(f"projects/{self.project}/hmacKeys", what, serviceAccountEmail=email)

    def _field(self, name: str, field: str) -> Document | None:
        found: Document | None = self._get(
            _STORAGE, _path(name), f"reading the {field} of the bucket {name} as operator", fields=field
        ).get(field)
        return found

    def _pages(self, path: str, what: str, **query: Any) -> Iterator[Document]:
        while True:
            page = self._get(_STORAGE, path, what, **query)
            yield from page.get("items", ())
            if "nextPageToken" not in page:
                return
            query["pageToken"] = page["nextPageToken"]

    def _get(self, api: tuple[str, str], path: str, what: str, **query: Any) -> Document:
        url = os.environ.get(api[0], api[1]) + path
        attempts = Attempts(RetryPolicy(), Timing(), self._outages, PARTY)
        while True:
            wait = None
            try:
                answer = self._session.get(url, params=query, timeout=TIMEOUT)
                if answer.status_code == 200:
                    found: Document = answer.json()
                    return found
                failure: StoreError = from_json(answer.status_code, answer.content).error(what)
            except FOREIGN as error:
                failure, wait = translate(error, what), retry_after(error, Timing().now())
            if not isinstance(failure, StoreUnreachableError) or not attempts.wait_again(
                f"{what}: no usable answer", wait
            ):
                raise failure

    @cached_property
    def _session(self) -> AuthorizedSession:
        login = self._login.credentials
        own = any(os.environ.get(variable) for variable, _ in (_STORAGE, _IAM))
        untyped: Any = AuthorizedSession
        session: AuthorizedSession = untyped(TokenOnly(login) if own else login)
        return session


def _path(bucket: str) -> str:
    return f"b/{quote(bucket, safe='')}"
