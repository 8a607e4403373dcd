"""Who may do what on Google Cloud Storage, as pure data: role bindings bound to the prefix by IAM conditions.

Owns the writer's and the reader's bindings on the bucket, as `recordings.policies` owns the documents of S3. Calls no
cloud and no SDK, so that the same bindings can be declared, printed for the owner of an external account, and tested
property by property. Only predefined roles are used: a custom one would need rights in the whole project.

Two kinds of request need two conditions. An object is bound by its resource name. A listing is asked of the bucket, so
it is bound by the prefix that it asks for; a request that is no listing has none, which `getAttribute` gives as ''.
Two differences to S3 cannot be bridged: a missing object is 403 to whoever may list the prefix alone (S3 says the same,
and the store tells the two apart by listing), and overwriting needs `storage.objects.delete`, which the smaller writers
do not have: they write each key once.

Sources: https://cloud.google.com/storage/docs/access-control/iam-roles (roles and their permissions),
https://cloud.google.com/iam/docs/conditions-attribute-reference (resource.name, resource.type, objectListPrefix),
https://cloud.google.com/storage/docs/access-control/iam#conditions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypedDict

from recordings.outputs import WriterAccess
from recordings.policies import OPERATOR_PREFIX

OBJECT_ADMIN: Final = "roles/storage.objectAdmin"
OBJECT_CREATOR: Final = "roles/storage.objectCreator"
OBJECT_VIEWER: Final = "roles/storage.objectViewer"

WRITER_ROLES: Final[Mapping[WriterAccess, Sequence[str]]] = {
    WriterAccess.FULL: (OBJECT_ADMIN,),
    WriterAccess.READ_WRITE: (OBJECT_CREATOR, OBJECT_VIEWER),
    WriterAccess.UPLOAD_ONLY: (OBJECT_CREATOR,),
}
"""Bound to objects under the prefix; `full` may list the prefix as well, which the viewer role needs a listing for."""

_LIST_PREFIX: Final = "api.getAttribute('storage.googleapis.com/objectListPrefix', '')"
_IS_BUCKET: Final = "resource.type == 'storage.googleapis.com/Bucket'"


class Condition(TypedDict):
    """An IAM condition in Google's own spelling; `expression` is in the Common Expression Language."""

    title: str
    description: str
    expression: str


class Binding(TypedDict):
    """One role under one condition; whose it is (`member`) is known only once there is an account."""

    role: str
    condition: Condition


def member(email: str) -> str:
    """Name a service account as policies do."""
    return f"serviceAccount:{email}"


def objects_under(bucket: str, prefix: str) -> str:
    """Hold for objects under `prefix`; an empty prefix leaves out what the operator keeps in the bucket."""
    root = f"projects/_/buckets/{bucket}/objects/"
    under = f"resource.name.startsWith({_literal(root + prefix)})"
    return under if prefix else f"{under} && !resource.name.startsWith({_literal(root + OPERATOR_PREFIX)})"


def listing_of(prefix: str) -> str:
    """Hold for listings of `prefix` and of what is longer; an empty prefix is the whole bucket."""
    return f"{_LIST_PREFIX}.startsWith({_literal(prefix)})" if prefix else _IS_BUCKET


def writer_bindings(bucket: str, prefix: str, access: WriterAccess) -> list[Binding]:
    """What 100ms needs to store recordings under `prefix`."""
    expression = objects_under(bucket, prefix)
    if access is WriterAccess.FULL:
        expression = _either(expression, listing_of(prefix))
    return [_binding(role, "100ms writes recordings", expression) for role in WRITER_ROLES[access]]


def reader_bindings(bucket: str, prefix: str) -> list[Binding]:
    """What signing a download needs; it may list, or Google would answer 403 for a recording that is gone."""
    expression = _either(objects_under(bucket, prefix), listing_of(prefix))
    return [_binding(OBJECT_VIEWER, "downloads of recordings", expression)]


def _either(objects: str, listing: str) -> str:
    return f"({objects}) || {listing}"


def _binding(role: str, title: str, expression: str) -> Binding:
    condition: Condition = {
        "title": title,
        "description": "Bound to the prefix of the recordings",
        "expression": expression,
    }
    return {"role": role, "condition": condition}


def _literal(text: str) -> str:
    """`text` as a string of the Common Expression Language."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
