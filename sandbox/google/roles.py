"""Google's predefined roles as sets of permissions: those that a bucket or this sandbox's project can grant.

Only permissions that some method of the sandbox asks for are listed. Custom roles are left out: a binding that names
one is refused. Sources: cloud.google.com/storage/docs/access-control/iam-roles and .../iam/docs/roles-permissions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final


def _storage(*names: str) -> frozenset[str]:
    return frozenset(f"storage.{name}" for name in names)


def _all(resource: str, *verbs: str) -> frozenset[str]:
    return frozenset(f"{resource}.{verb}" for verb in verbs)


_PARTS = _all("storage.multipartUploads", "abort", "create", "listParts")
_UPLOADS = _PARTS | _storage("multipartUploads.list")
_OBJECTS = _all("storage.objects", "create", "delete", "get", "list", "move", "restore", "update")
_OBJECT_POLICY = _all("storage.objects", "getIamPolicy", "setIamPolicy", "setRetention", "overrideUnlockedRetention")
_BUCKET_EDIT = _all("storage.buckets", "get", "getIamPolicy", "setIamPolicy", "update")
_BUCKET_MAKE = _all("storage.buckets", "create", "delete", "list")
_HMAC = _all("storage.hmacKeys", "create", "delete", "get", "list", "update")
_ACCOUNTS = _all("iam.serviceAccounts", "create", "delete", "disable", "enable", "get", "list", "update")
_KEYS = _all("iam.serviceAccountKeys", "create", "delete", "get", "list")
_PROJECT = frozenset({"resourcemanager.projects.get"})

LEGACY: Final[Mapping[str, frozenset[str]]] = {
    "roles/storage.legacyBucketReader": _storage("buckets.get", "objects.list", "multipartUploads.list"),
    "roles/storage.legacyBucketWriter": _UPLOADS
    | _storage("buckets.get", "objects.create", "objects.delete", "objects.list", "objects.restore"),
    "roles/storage.legacyBucketOwner": _UPLOADS
    | _BUCKET_EDIT
    | _storage("objects.create", "objects.delete", "objects.list", "objects.restore"),
    "roles/storage.legacyObjectReader": _storage("objects.get"),
    "roles/storage.legacyObjectOwner": _OBJECT_POLICY | _storage("objects.get", "objects.update"),
}
"""Roles that only a bucket grants, and never under a condition."""

BUCKET_ROLES: Final[Mapping[str, frozenset[str]]] = {
    **LEGACY,
    "roles/storage.admin": _OBJECTS | _OBJECT_POLICY | _UPLOADS | _BUCKET_EDIT | _BUCKET_MAKE,
    "roles/storage.objectAdmin": _OBJECTS | _OBJECT_POLICY | _UPLOADS,
    "roles/storage.objectUser": _OBJECTS | _UPLOADS,
    "roles/storage.objectViewer": _storage("objects.get", "objects.list"),
    "roles/storage.objectCreator": _PARTS | _storage("objects.create"),
    "roles/storage.bucketViewer": _storage("buckets.get", "buckets.list"),
}
"""What a bucket's policy may grant."""

PROJECT_ROLES: Final[Mapping[str, frozenset[str]]] = {
    **{role: granted for role, granted in BUCKET_ROLES.items() if role not in LEGACY},
    "roles/owner": _BUCKET_MAKE | _HMAC | _ACCOUNTS | _KEYS | _PROJECT,
    "roles/editor": _BUCKET_MAKE | _HMAC | _ACCOUNTS | _PROJECT,
    "roles/viewer": _PROJECT | _storage("buckets.list", "hmacKeys.get", "hmacKeys.list"),
    "roles/storage.hmacKeyAdmin": _HMAC | _PROJECT,
    "roles/iam.serviceAccountAdmin": _ACCOUNTS | _PROJECT,
    "roles/iam.serviceAccountKeyAdmin": _KEYS | _all("iam.serviceAccounts", "get", "list"),
    "roles/browser": _PROJECT,
}
"""What the project's policy may grant. The basic roles reach into buckets by their convenience members alone."""

CONVENIENCE: Final[Mapping[str, str]] = {
    "projectOwner": "roles/owner",
    "projectEditor": "roles/editor",
    "projectViewer": "roles/viewer",
}
"""Member prefix → the project role whose holders it stands for."""

PERMISSIONS: Final = frozenset().union(*BUCKET_ROLES.values())
"""Every permission that `testIamPermissions` on a bucket can be asked about."""
