"""The one object that handlers share: state, project, switches and the buckets' documents.

Documents: `project/self`, `switches/self`, `bucket/<name>`, `account/<email>`, `key/<email>/<id>`, `hmac/<access id>`,
`token/<sha256>`, `upload/<id>`, `session/<id>`.
"""

from __future__ import annotations

import secrets
import string
from datetime import UTC, datetime
from typing import Any, Final

from sandbox.google.errors import GoogleError, bucket_not_found
from sandbox.google.http import Json
from sandbox.google.policies import Caller, Target, require
from sandbox.google.state import State

OPERATOR: Final = "sandbox-operator"
_OPERATOR_ROLES: Final = (
    "roles/storage.admin",
    "roles/storage.hmacKeyAdmin",
    "roles/iam.serviceAccountAdmin",
    "roles/iam.serviceAccountKeyAdmin",
    "roles/browser",
)
CONSTRAINTS: Final = (
    "constraints/iam.disableServiceAccountKeyCreation",
    "constraints/iam.managed.disableServiceAccountKeyCreation",
    "constraints/storage.restrictAuthTypes",
    "constraints/storage.secureHttpTransport",
    "constraints/storage.publicAccessPrevention",
    "constraints/storage.uniformBucketLevelAccess",
)
_SWITCHES: Final[Json] = {"constraints": [], "hmacKeyDelaySeconds": 0, "kmsKeys": []}


class Cloud:
    """The sandbox's Google. `state` holds everything; nothing else is remembered between requests."""

    def __init__(self, state: State) -> None:
        self.state = state
        if state.get("project", "self") is None:
            with state.change():
                state.put("project", "self", _new_project())
                state.put("switches", "self", _SWITCHES)

    @property
    def project(self) -> Json:
        """The only project: `projectId`, `projectNumber`, `bindings`."""
        return _there(self.state.get("project", "self"))

    @property
    def project_id(self) -> str:
        """Its id."""
        return str(self.project["projectId"])

    @property
    def domain(self) -> str:
        """What follows the @ of its service accounts."""
        return f"{self.project_id}.iam.gserviceaccount.com"

    @property
    def switches(self) -> Json:
        """What `sandbox.google.admin` can turn on."""
        return _there(self.state.get("switches", "self"))

    def enforces(self, constraint: str) -> bool:
        """Whether an organisation policy is switched on."""
        return f"constraints/{constraint}" in self.switches["constraints"]

    def is_project(self, name: str) -> bool:
        """Whether `name` is the project's id or number."""
        return name in (self.project["projectId"], self.project["projectNumber"])

    def check_project(self, caller: Caller, name: str) -> None:
        """Raise what Google answers for another project than this one (it does not say whether it exists)."""
        if not self.is_project(name):
            raise GoogleError(
                403,
                "forbidden",
                f"{caller.email or 'Anonymous caller'} does not have access to project {name} "
                f"(or it may not exist). The sandbox's project is {self.project_id}.",
                code="AccessDenied",
            )

    def bucket(self, name: str) -> Json:
        """A bucket's document. Raises GoogleError 404."""
        bucket = self.state.get("bucket", name)
        if bucket is None:
            raise bucket_not_found()
        return bucket

    def allowed_bucket(self, caller: Caller, permission: str, bucket: str, **target: Any) -> Json:
        """The bucket's document if `caller` has `permission` on it (or on `name` in it); raises GoogleError."""
        document = self.bucket(bucket)
        require(self.project, caller, permission, Target(document, **target))
        return document

    def require(self, caller: Caller, permission: str) -> None:
        """Raise GoogleError unless the project grants it."""
        require(self.project, caller, permission)


def now() -> datetime:
    """The present, UTC."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """RFC 3339 with milliseconds, as Google writes times."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def digits(count: int) -> str:
    """A random decimal number without leading zero."""
    return secrets.choice("123456789") + "".join(secrets.choice(string.digits) for _ in range(count - 1))


def _new_project() -> Json:
    id_ = "sandbox-" + "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(8))
    operator = f"serviceAccount:{OPERATOR}@{id_}.iam.gserviceaccount.com"
    return {
        "projectId": id_,
        "projectNumber": digits(12),
        "name": "sandbox",
        "createTime": stamp(now()),
        "bindings": [{"role": role, "members": [operator]} for role in _OPERATOR_ROLES],
    }


def _there(document: Json | None) -> Json:
    assert document is not None
    return document
