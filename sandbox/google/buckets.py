"""Buckets of the JSON API (`/storage/v1/b…`) and their IAM policies.

Sources: cloud.google.com/storage/docs/json_api/v1/buckets; errors as the service words them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from sandbox.google import bucket_fields, policies, roles
from sandbox.google.cloud import Cloud, now, stamp
from sandbox.google.errors import (
    GoogleError,
    conflict,
    constraint_violated,
    invalid,
    precondition_failed,
    required,
    unsupported,
)
from sandbox.google.http import Json, Request, Response, json_response
from sandbox.google.policies import Caller, Target, etag

_DEFAULT_SOFT_DELETE: Final = {"retentionDurationSeconds": "604800"}
_LOCK_DAYS: Final = 90
_KEY_LOCATIONS: Final = {"EU": "EUROPE"}
"""Where Cloud KMS has the keys for a bucket, where that is called otherwise."""
_RESERVED: Final = ("batch", "download", "storage", "token", "upload")
_PAGE: Final = 1000


def is_versioned(bucket: Json) -> bool:
    """Whether overwritten and deleted objects stay as noncurrent versions."""
    return bool(bucket["resource"].get("versioning", {}).get("enabled"))


def soft_delete_seconds(bucket: Json) -> int:
    """How long deleted objects can be restored, in seconds; 0 is not at all."""
    return int(bucket["resource"]["softDeletePolicy"]["retentionDurationSeconds"])


def resource(cloud: Cloud, bucket: Json, *, full: bool = False) -> Json:
    """The bucket as the API shows it."""
    stored: Json = bucket["resource"]
    uniform = stored["iamConfiguration"]["uniformBucketLevelAccess"]
    shown = {
        "kind": "storage#bucket",
        "id": bucket["name"],
        "selfLink": f"https://www.googleapis.com/storage/v1/b/{bucket['name']}",
        "projectNumber": cloud.project["projectNumber"],
        "generation": bucket["generation"],
        "metageneration": str(bucket["metageneration"]),
        "etag": etag(bucket["metageneration"]),
        "timeCreated": bucket["created"],
        "updated": bucket["updated"],
        "locationType": bucket_fields.LOCATIONS[stored["location"]],
        **stored,
        "iamConfiguration": {**stored["iamConfiguration"], "bucketPolicyOnly": uniform},
    }
    if full and not uniform["enabled"]:
        shown |= {"acl": [], "defaultObjectAcl": []}
    return shown


def merged(old: Any, new: Json) -> Json:
    """`old` after a JSON merge patch (RFC 7396): null removes, objects merge, lists are replaced."""
    result: Json = dict(old) if isinstance(old, dict) else {}
    for key, value in new.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = merged(result.get(key), value)
        else:
            result[key] = value
    return result


async def post_bucket(cloud: Cloud, caller: Caller, request: Request) -> Response:
    """`buckets.insert`."""
    project = request.query.get("project")
    if not project:
        raise required("Required parameter: project")
    cloud.check_project(caller, project)
    cloud.require(caller, "storage.buckets.create")
    _refuse_acls(request)
    body = await request.json()
    if not body.get("name"):
        raise required("Required field: name")
    bucket = create(cloud, body)
    return json_response(resource(cloud, bucket, full=_is_full(request)))


def create(cloud: Cloud, fields: Json) -> Json:
    """Make a bucket from its writable fields. Raises GoogleError 400, 403 or 409."""
    stored = bucket_fields.checked(fields)
    if stored["name"] in _RESERVED:
        raise unsupported(f"a bucket of the name {stored['name']}: one endpoint serves every API, and this is a path")
    if cloud.state.get("bucket", stored["name"]):
        raise conflict(
            "Your previous request to create the named bucket succeeded and you already own it.",
            "BucketAlreadyOwnedByYou",
        )
    moment = stamp(now())
    bucket: Json = {
        "name": stored["name"],
        "generation": str(int(now().timestamp() * 1_000_000)),
        "metageneration": 1,
        "created": moment,
        "updated": moment,
        "policy": {"revision": 1, "bindings": policies.default_bindings(cloud.project_id)},
        "resource": stored,
    }
    _complete(cloud, bucket, {})
    cloud.state.put("bucket", bucket["name"], bucket)
    return bucket


async def get_buckets(cloud: Cloud, caller: Caller, request: Request) -> Response:
    """`buckets.list`."""
    project = request.query.get("project")
    if not project:
        raise required("Required parameter: project")
    cloud.check_project(caller, project)
    cloud.require(caller, "storage.buckets.list")
    after, size = request.query.get("pageToken", ""), request.integer("maxResults", _PAGE) or _PAGE
    prefix = request.query.get("prefix", "")
    found = [b for b in cloud.state.all("bucket") if b["name"].startswith(prefix) and b["name"] > after]
    page = found[: min(size, _PAGE)]
    answer: Json = {"kind": "storage#buckets", "items": [resource(cloud, b, full=_is_full(request)) for b in page]}
    if len(found) > len(page):
        answer["nextPageToken"] = page[-1]["name"]
    return json_response(answer)


async def get_bucket(cloud: Cloud, caller: Caller, request: Request, bucket: str) -> Response:
    """`buckets.get`."""
    found = cloud.allowed_bucket(caller, "storage.buckets.get", bucket)
    check_metageneration(request, found)
    return json_response(resource(cloud, found, full=_is_full(request)))


async def patch_bucket(cloud: Cloud, caller: Caller, request: Request, bucket: str) -> Response:
    """`buckets.patch`."""
    return await _change(cloud, caller, request, bucket, patch=True)


async def put_bucket(cloud: Cloud, caller: Caller, request: Request, bucket: str) -> Response:
    """`buckets.update`: fields that are not given go back to their defaults."""
    return await _change(cloud, caller, request, bucket, patch=False)


async def _change(cloud: Cloud, caller: Caller, request: Request, name: str, *, patch: bool) -> Response:
    cloud.allowed_bucket(caller, "storage.buckets.update", name)
    _refuse_acls(request)
    body = await request.json()
    bucket = cloud.bucket(name)
    check_metageneration(request, bucket)
    old: Json = bucket["resource"]
    fields = merged(old, body) if patch else {"location": old["location"], **body, "name": body.get("name", name)}
    new = bucket_fields.checked(fields)
    if new["name"] != name:
        raise invalid("A bucket cannot be renamed.")
    if new["location"] != old["location"]:
        raise invalid("The location of a bucket cannot be changed.")
    _check_access(bucket, new)
    bucket["resource"] = new
    bucket["metageneration"] += 1
    bucket["updated"] = stamp(now())
    _complete(cloud, bucket, old)
    cloud.state.put("bucket", name, bucket)
    return json_response(resource(cloud, bucket, full=_is_full(request)))


async def remove_bucket(cloud: Cloud, caller: Caller, request: Request, bucket: str) -> Response:
    """`buckets.delete`: empty ones alone; soft-deleted objects do not count."""
    found = cloud.allowed_bucket(caller, "storage.buckets.delete", bucket)
    check_metageneration(request, found)
    delete(cloud, bucket)
    return Response(204)


def delete(cloud: Cloud, name: str) -> None:
    """Delete a bucket with its unfinished uploads. Raises GoogleError 409 if objects, live or not, are in it."""
    rows = cloud.state.sql.execute(
        "SELECT 1 FROM versions WHERE bucket = ? AND state <> 'soft-deleted' LIMIT 1", (name,)
    )
    if rows.fetchone():
        raise conflict("The bucket you tried to delete is not empty.", "BucketNotEmpty")
    with cloud.state.change():
        cloud.state.remove("bucket", name)
        cloud.state.sql.execute("DELETE FROM versions WHERE bucket = ?", (name,))
        for kind in ("upload", "session"):
            for entry in cloud.state.all(kind):
                if entry["bucket"] == name:
                    cloud.state.remove(kind, entry["id"])


async def get_policy(cloud: Cloud, caller: Caller, request: Request, bucket: str) -> Response:
    """`buckets.getIamPolicy`."""
    found = cloud.allowed_bucket(caller, "storage.buckets.getIamPolicy", bucket)
    return json_response(policies.shown(found, request.integer("optionsRequestedPolicyVersion", 1) or 1))


async def put_policy(cloud: Cloud, caller: Caller, request: Request, bucket: str) -> Response:
    """`buckets.setIamPolicy`."""
    cloud.allowed_bucket(caller, "storage.buckets.setIamPolicy", bucket)
    body = await request.json()
    found = cloud.bucket(bucket)
    policy = policies.replaced(found, body, cloud.project_id)
    accounts = frozenset(account["email"] for account in cloud.state.all("account"))
    policies.check_members_exist(policy["bindings"], accounts, cloud.domain)
    found["policy"] = policy
    cloud.state.put("bucket", bucket, found)
    return json_response(policies.shown(found, 3))


async def test_permissions(cloud: Cloud, caller: Caller, request: Request, bucket: str) -> Response:
    """`buckets.testIamPermissions`: those of the asked permissions that the caller has."""
    asked = [value for name, value in request.query_items if name == "permissions"]
    if not asked:
        raise required("Required parameter: permissions")
    for permission in asked:
        if permission not in roles.PERMISSIONS:
            raise invalid(f"Permission {permission} is not valid for this resource.")
    found = cloud.bucket(bucket)
    held = [p for p in asked if policies.is_allowed(cloud.project, caller, p, Target(found))]
    answer: Json = {"kind": "storage#testIamPermissionsResponse"}
    return json_response({**answer, "permissions": held} if held else answer)


def check_metageneration(request: Request, bucket: Json) -> None:
    """Raise GoogleError 412 unless `ifMetagenerationMatch` and its opposite hold."""
    match, differs = request.integer("ifMetagenerationMatch"), request.integer("ifMetagenerationNotMatch")
    if match not in (None, bucket["metageneration"]) or (differs is not None and differs == bucket["metageneration"]):
        raise precondition_failed()


def _check_access(bucket: Json, new: Json) -> None:
    """Uniform access cannot be taken away while conditions rest on it."""
    conditional = any("condition" in binding for binding in bucket["policy"]["bindings"])
    if conditional and not new["iamConfiguration"]["uniformBucketLevelAccess"]["enabled"]:
        raise precondition_failed(
            "Cannot disable uniform bucket-level access while the bucket's IAM policy has conditions."
        )


def _complete(cloud: Cloud, bucket: Json, old: Json) -> None:
    """Fill in what Google fills in, and check what rests on other things than the field itself."""
    stored: Json = bucket["resource"]
    moment = now()
    uniform = stored["iamConfiguration"]["uniformBucketLevelAccess"]
    if uniform["enabled"]:
        lock = stamp(moment + timedelta(days=_LOCK_DAYS))
        before = old.get("iamConfiguration", {}).get("uniformBucketLevelAccess", {})
        uniform["lockedTime"] = before.get("lockedTime", lock)
    elif cloud.enforces("storage.uniformBucketLevelAccess"):
        raise constraint_violated("constraints/storage.uniformBucketLevelAccess")
    stored.setdefault("softDeletePolicy", dict(_DEFAULT_SOFT_DELETE))
    stored["softDeletePolicy"].setdefault("effectiveTime", stamp(moment))
    _complete_autoclass(stored, old, stamp(moment))
    _check_key(cloud, stored)
    if stored.get("logging") and cloud.state.get("bucket", stored["logging"]["logBucket"]) is None:
        raise invalid("The target bucket for logging does not exist.", "InvalidTargetBucketForLogging")
    if stored.get("rpo") == "ASYNC_TURBO":
        raise unsupported("rpo ASYNC_TURBO")


def _complete_autoclass(stored: Json, old: Json, moment: str) -> None:
    autoclass = stored.get("autoclass")
    if not autoclass or not autoclass["enabled"]:
        stored.pop("autoclass", None)
        return
    autoclass.setdefault("terminalStorageClass", "NEARLINE")
    before = old.get("autoclass") or {}
    autoclass["toggleTime"] = before.get("toggleTime", moment)
    same = before.get("terminalStorageClass") == autoclass["terminalStorageClass"]
    autoclass["terminalStorageClassUpdateTime"] = (
        before.get("terminalStorageClassUpdateTime", moment) if same else moment
    )


def _check_key(cloud: Cloud, stored: Json) -> None:
    """A default KMS key must exist (`kmsKeys` of the switches), lie where the bucket lies and be ours to use."""
    key = (stored.get("encryption") or {}).get("defaultKmsKeyName")
    if key is None:
        stored.pop("encryption", None)
        return
    location = bucket_fields.kms_location(key)
    if location is None:
        raise invalid(
            "Invalid Cloud KMS key name; it must be projects/*/locations/*/keyRings/*/cryptoKeys/*.", "CloudKmsBadKey"
        )
    if location.upper() != _KEY_LOCATIONS.get(stored["location"], stored["location"]):
        raise invalid(
            f"Cloud KMS key location {location} not allowed for a bucket in {stored['location']}.",
            "CloudKmsKeyLocationNotAllowed",
        )
    if key not in cloud.switches["kmsKeys"]:
        raise GoogleError(
            403,
            "forbidden",
            "Permission denied on Cloud KMS key. Please ensure that your Cloud Storage service account has been "
            "authorized to use this key.",
            code="AccessDenied",
        )


def _is_full(request: Request) -> bool:
    return request.query.get("projection") == "full"


def _refuse_acls(request: Request) -> None:
    for name in ("predefinedAcl", "predefinedDefaultObjectAcl"):
        if request.query.get(name):
            raise invalid(f"Cannot use {name}: the sandbox's buckets have no ACLs; use uniform bucket-level access.")
