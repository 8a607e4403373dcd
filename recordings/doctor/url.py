"""Why a presigned URL fails: expired, wrong key, wrong region, denied, gone and archived are told apart.

First the URL alone (`url_parts`), then one request with it, then the object and the key by those who may look; the
verdict is in `url_verdict`. The URL is a secret: it is sent to the stack's own store alone, and never shown.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from recordings.doctor.findings import Finding
from recordings.doctor.keys import roles
from recordings.doctor.patient import Patient
from recordings.doctor.url_parts import Parts, parse_url, signer_of
from recordings.doctor.url_verdict import READS, Lies, Reply, UrlFacts
from recordings.doctor.url_words import judge
from recordings.errors import ObjectNotFoundError, StoreError, StoreUnreachableError
from recordings.outputs import KeyStatus
from recordings.redact import redact
from recordings.stores import ObjectInfo, Store, open_source
from recordings.stores.base import ObjectVersion

_ARCHIVES: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})


def examine(patient: Patient, text: str) -> list[Finding]:
    """Parse, ask, look, judge. Raises UsageError for what is no URL; what cannot be looked at stays unknown."""
    parts = parse_url(text)
    return list(judge(_gather(patient, parts), patient.select))


def _gather(patient: Patient, parts: Parts) -> UrlFacts:
    bucket, key, store = _located(patient, parts)
    keys = [
        (f"{role.name} {slot}", slot_key) for role in roles(patient.outputs) for slot, slot_key in role.slots.items()
    ]
    found = signer_of(parts, [(name, slot_key.id, slot_key.secret) for name, slot_key in keys])
    signer, method = found or (None, None)
    active = all(slot_key.status is KeyStatus.ACTIVE for name, slot_key in keys if name == signer)
    reply, lies, region = None, Lies.UNKNOWN, ""
    former = {place.bucket_name: place.path_prefix for place in patient.outputs.former_buckets}
    prefix = former.get(bucket, patient.outputs.path_prefix)
    if key is not None and store is not None and not parts.fault:
        if parts.is_signed and (method is None or method in READS):
            reply = _asked(patient, parts, store, key, method or "GET")
        lies = _lies(patient, store, key)
        with suppress(StoreError):
            region = store.bucket_region()
    return UrlFacts(parts, patient.now(), bucket, key, reply, lies, region, prefix, signer, method, active)


def _located(patient: Patient, parts: Parts) -> tuple[str, str | None, Store | None]:
    """The bucket of the stack's that it leads to, the key, and the reader there; else no key."""
    for bucket in (patient.outputs.bucket_name, *(place.bucket_name for place in patient.outputs.former_buckets)):
        store = open_source(patient.outputs, bucket) if bucket != patient.reader.bucket else patient.reader
        base_url = store.url("x").removesuffix("/x")
        key = parts.key_in(bucket, base_url)
        if key is not None:
            return bucket, key, store
    return "", None, None


def _asked(patient: Patient, parts: Parts, store: Store, key: str, method: str) -> Reply | None:
    """One byte, as a player asks for it; no header that was signed beside Host is known here."""
    try:
        answer = patient.context().fetch(parts.url, of=key, method=method, headers={"Range": "bytes=0-0"}, tries=3)
    except StoreUnreachableError:
        return None
    if method == "HEAD" and answer.status >= 400:
        return Reply(answer.status)
    message = redact(answer.body[:4096].decode("utf-8", "replace")) if answer.status >= 300 else ""
    return Reply(answer.status, answer.code, message)


def _lies(patient: Patient, store: Store, key: str) -> Lies:
    for who in (store, patient.operator):
        if who.bucket != store.bucket:
            continue
        try:
            return _described(who.head(key))
        except ObjectNotFoundError:
            return _deleted(patient, key) if patient.operator.bucket == store.bucket else Lies.GONE
        except StoreError:
            continue
    return Lies.UNKNOWN


def _described(info: ObjectInfo) -> Lies:
    return Lies.ARCHIVED if info.storage_class in _ARCHIVES else Lies.THERE


def _deleted(patient: Patient, key: str) -> Lies:
    def is_left(version: ObjectVersion) -> bool:
        return version.key == key and not version.is_marker

    with suppress(StoreError):
        if any(is_left(version) for version in patient.operator.list_versions(key)):
            return Lies.DELETED
    return Lies.GONE
