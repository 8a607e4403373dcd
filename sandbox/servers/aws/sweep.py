"""Carries out S3 Lifecycle, which ministack only stores: `POST /_sandbox/lifecycle?now=<UTC time>`.

It works over the S3 API as ministack's root, because on AWS no bucket policy stops the lifecycle. Storage classes are
set inside, for there is no call that changes one in place. Incomplete uploads are aborted by age as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sandbox.servers.aws.lifecycle import Action, Rule, Version, due, due_actions, parse_rules

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SetStorageClass = Callable[[str, str, str, str], None]
"""Bucket, key, version id, storage class."""

LifecycleOf = Callable[[str], bytes | None]
"""A bucket's LifecycleConfiguration document, if it has one."""


def sweep(
    client: S3Client, lifecycle_of: LifecycleOf, set_class: SetStorageClass, now: datetime
) -> list[dict[str, str]]:
    """Do all that is due at `now`; what was done, one entry an object or upload."""
    done: list[dict[str, str]] = []
    for bucket in client.list_buckets()["Buckets"]:
        name = bucket["Name"]
        document = lifecycle_of(name)
        if document is None:
            continue
        rules = [rule for rule in parse_rules(document) if rule.enabled]
        done += _expire(client, name, rules, set_class, now)
        done += _abort(client, name, rules, now)
    return done


def _expire(
    client: S3Client, bucket: str, rules: list[Rule], set_class: SetStorageClass, now: datetime
) -> list[dict[str, str]]:
    versioned = "Status" in client.get_bucket_versioning(Bucket=bucket)
    done = []
    for _, group in groupby(_versions(client, bucket), key=lambda version: version.key):
        versions = list(group)
        handled: set[str] = set()
        for rule in rules:
            if rule.tags and not _has_tags(client, bucket, versions[0], rule):
                continue
            for action in due_actions(rule, versions, now, versioned=versioned):
                if action.version.version_id not in handled:
                    handled.add(action.version.version_id)
                    _do(client, bucket, action, set_class)
                    done.append(_told(bucket, action))
    return done


def _do(client: S3Client, bucket: str, action: Action, set_class: SetStorageClass) -> None:
    version = action.version
    if action.kind == "transition":
        set_class(bucket, version.key, version.version_id, action.storage_class)
    elif action.kind == "expire":
        client.delete_object(Bucket=bucket, Key=version.key)
    else:
        client.delete_object(Bucket=bucket, Key=version.key, VersionId=version.version_id)


def _told(bucket: str, action: Action) -> dict[str, str]:
    told = {"action": action.kind, "bucket": bucket, "key": action.version.key, "version": action.version.version_id}
    told["rule"] = action.rule
    if action.storage_class:
        told["storage_class"] = action.storage_class
    return told


def _versions(client: S3Client, bucket: str) -> Iterator[Version]:
    """All versions and markers, by key, newest first."""
    found: list[Version] = []
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found += [_version(entry, marker=False) for entry in page.get("Versions", [])]
        found += [_version(entry, marker=True) for entry in page.get("DeleteMarkers", [])]
    found.sort(key=lambda version: (not version.latest, -version.modified.timestamp()))
    return iter(sorted(found, key=lambda version: version.key))


def _version(entry: Any, *, marker: bool) -> Version:
    return Version(
        key=entry["Key"],
        version_id=entry["VersionId"],
        modified=entry["LastModified"],
        size=entry.get("Size", 0),
        latest=entry["IsLatest"],
        marker=marker,
        storage_class=entry.get("StorageClass", "STANDARD"),
    )


def _has_tags(client: S3Client, bucket: str, version: Version, rule: Rule) -> bool:
    if version.marker:
        return False
    tags = client.get_object_tagging(Bucket=bucket, Key=version.key)["TagSet"]
    return rule.tags.items() <= {tag["Key"]: tag["Value"] for tag in tags}.items()


def _abort(client: S3Client, bucket: str, rules: list[Rule], now: datetime) -> list[dict[str, str]]:
    done = []
    for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for upload in page.get("Uploads", []):
            key, started, upload_id = upload["Key"], upload["Initiated"], upload["UploadId"]
            for rule in rules:
                if rule.abort_days is not None and rule.covers(key) and due(started, rule.abort_days) <= now:
                    client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
                    done.append({"action": "abort", "bucket": bucket, "key": key, "rule": rule.id})
                    break
    return done
