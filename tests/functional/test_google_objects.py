"""Objects by Google's JSON API: uploads of each kind, reading, listing, versions, soft delete, preconditions."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.api_core.exceptions import Forbidden, NotFound, PreconditionFailed
from google.cloud import storage

from tests.functional.google_lab import Lab, fault

STEP = 256 * 1024


@pytest.fixture(scope="module")
def client(lab: Lab) -> storage.Client:
    """Google's own client, as the operator."""
    return lab.storage()


def test_object_keeps_bytes_and_attributes(lab: Lab, client: storage.Client) -> None:
    """What was uploaded is what is read, by multipart upload and with every attribute."""
    blob = client.bucket(lab.bucket()).blob("p/ä b+c.mp4")
    blob.metadata = {"room": "r"}
    blob.cache_control = "no-store"
    blob.content_disposition = "attachment"
    blob.upload_from_string(b"film", content_type="video/mp4")
    blob.reload()
    assert (blob.size, blob.content_type, blob.metadata) == (4, "video/mp4", {"room": "r"})
    assert (blob.cache_control, blob.content_disposition) == ("no-store", "attachment")
    assert base64.b64decode(blob.md5_hash) == hashlib.md5(b"film", usedforsecurity=False).digest()
    assert blob.download_as_bytes() == b"film"
    assert blob.download_as_bytes(start=1, end=2) == b"il"


def test_resumable_upload_in_steps_gives_the_whole(lab: Lab, client: storage.Client, tmp_path: Any) -> None:
    """The official client's resumable upload, in three pieces, checksums compared on the way back."""
    content = os.urandom(2 * STEP + 5)
    (tmp_path / "film").write_bytes(content)
    blob = client.bucket(lab.bucket()).blob("film", chunk_size=STEP)
    blob.upload_from_filename(str(tmp_path / "film"))
    blob.chunk_size = None
    assert blob.download_as_bytes() == content


def test_resumable_upload_can_be_asked_continued_and_cancelled(lab: Lab) -> None:
    """308 with what is there; a wrong place or size is refused; the session's address is enough; 499 ends it."""
    bucket = lab.bucket()
    begin = f"/upload/storage/v1/b/{bucket}/o?uploadType=resumable&name=film"
    session = lab.operator.post(begin, json={"contentType": "video/mp4"}).headers["location"]
    anybody = lab.anonymous()
    nothing = anybody.put(session, headers={"content-range": "bytes */*"})
    assert (nothing.status_code, "range" in nothing.headers) == (308, False)
    piece = os.urandom(STEP)
    first = anybody.put(session, content=piece, headers={"content-range": f"bytes 0-{STEP - 1}/*"})
    assert (first.status_code, first.headers["range"]) == (308, f"bytes=0-{STEP - 1}")
    odd = anybody.put(session, content=b"x", headers={"content-range": f"bytes {STEP}-{STEP}/*"})
    assert odd.status_code == 400
    gap = anybody.put(session, content=b"x", headers={"content-range": f"bytes {STEP + 9}-{STEP + 9}/{STEP + 10}"})
    assert gap.status_code == 503
    last = anybody.put(session, content=b"x", headers={"content-range": f"bytes {STEP}-{STEP}/{STEP + 1}"})
    assert (last.status_code, last.json()["size"]) == (200, str(STEP + 1))
    again = anybody.put(session, headers={"content-range": f"bytes */{STEP + 1}"})
    assert again.json()["generation"] == last.json()["generation"]
    other = lab.operator.post(begin, json={}).headers["location"]
    assert anybody.delete(other).status_code == 499
    assert anybody.put(other, headers={"content-range": "bytes */*"}).status_code == 404


def test_wrong_checksum_is_refused_and_leaves_nothing(lab: Lab) -> None:
    """A declared CRC32C or MD5 that is another one's is a 400."""
    bucket = lab.bucket()
    for hashes in ({"crc32c": "AAAAAA=="}, {"md5Hash": "AAAAAAAAAAAAAAAAAAAAAA=="}):
        body = (
            f"--b\r\ncontent-type: application/json\r\n\r\n{json.dumps({'name': 'x', **hashes})}\r\n"
            "--b\r\ncontent-type: text/plain\r\n\r\ncontent\r\n--b--"
        )
        answer = lab.operator.post(
            f"/upload/storage/v1/b/{bucket}/o?uploadType=multipart",
            content=body.encode(),
            headers={"content-type": "multipart/related; boundary=b"},
        )
        assert fault(answer) == (400, "invalid")
        assert "doesn't match calculated" in answer.json()["error"]["message"]
    assert lab.operator.get(f"/storage/v1/b/{bucket}/o").json() == {"kind": "storage#objects"}


@pytest.mark.parametrize("name", [".", "..", "line\nbreak", "a" * 1025, ".well-known/acme-challenge/x"])
def test_object_with_bad_name_is_refused(lab: Lab, name: str) -> None:
    """Google's rules for object names."""
    answer = lab.operator.post(
        f"/upload/storage/v1/b/{lab.bucket()}/o", params={"uploadType": "media", "name": name}, content=b"x"
    )
    assert fault(answer) == (400, "invalid")


@pytest.mark.parametrize("name", ["a" * 1024, "a/../b", "//", "folder/", "ü/名/%2F?#&+ ", "-", "a"])
def test_object_with_odd_name_is_an_object_like_any_other(lab: Lab, client: storage.Client, name: str) -> None:
    """Names are no paths: `folder/` and `folder/x` are two objects, and `..` leads nowhere."""
    bucket = client.bucket(lab.bucket())
    bucket.blob(name).upload_from_string(b"one")
    bucket.blob(f"{name[:1000]}/x").upload_from_string(b"two")
    assert bucket.blob(name).download_as_bytes() == b"one"
    assert {blob.name for blob in client.list_blobs(bucket)} == {name, f"{name[:1000]}/x"}


def test_range_beyond_the_object_is_a_416(lab: Lab) -> None:
    """First, last and suffix ranges; one that begins after the end is refused."""
    bucket = lab.bucket()
    lab.put(bucket, "x", b"0123456789")
    path = f"/storage/v1/b/{bucket}/o/x?alt=media"
    ranges = {"bytes=2-3": b"23", "bytes=7-": b"789", "bytes=-2": b"89", "bytes=8-99": b"89"}
    for header, expected in ranges.items():
        answer = lab.operator.get(path, headers={"range": header})
        assert (answer.status_code, answer.content) == (206, expected)
    assert lab.operator.get(path, headers={"range": "bytes=2-3"}).headers["content-range"] == "bytes 2-3/10"
    assert fault(lab.operator.get(path, headers={"range": "bytes=10-"})) == (416, "requestedRangeNotSatisfiable")


def test_listing_folds_pages_and_offsets(lab: Lab, client: storage.Client) -> None:
    """Prefix, delimiter, pages and offsets give every name once."""
    bucket = lab.bucket()
    names = ["a", "p/1", "p/2", "p/q/1", "p/q/2", "p/r/1", "z"]
    for name in names:
        lab.put(bucket, name)
    assert [blob.name for blob in client.list_blobs(bucket, page_size=2)] == names
    pages = client.list_blobs(bucket, prefix="p/", delimiter="/", page_size=1)
    assert [blob.name for blob in pages] == ["p/1", "p/2"]
    assert pages.prefixes == {"p/q/", "p/r/"}
    assert [blob.name for blob in client.list_blobs(bucket, start_offset="p/2", end_offset="p/r")] == names[2:5]


def test_versions_stay_until_they_are_deleted_by_generation(lab: Lab, client: storage.Client) -> None:
    """With versioning, overwriting and deleting keep noncurrent versions, which can be read by generation."""
    bucket = client.bucket(lab.bucket(versioning={"enabled": True}))
    generations = []
    for content in (b"one", b"two"):
        blob = bucket.blob("x")
        blob.upload_from_string(content)
        generations.append(blob.generation)
    bucket.delete_blob("x")
    with pytest.raises(NotFound):
        bucket.blob("x").reload()
    listed = list(client.list_blobs(bucket, versions=True))
    assert [blob.generation for blob in listed] == generations
    assert all(blob.time_deleted for blob in listed)
    assert bucket.blob("x", generation=generations[0]).download_as_bytes() == b"one"
    for generation in generations:
        bucket.delete_blob("x", generation=generation)
    assert list(client.list_blobs(bucket, versions=True)) == []


def test_soft_deleted_object_can_be_restored(lab: Lab, client: storage.Client) -> None:
    """Deleted, it is listed as soft-deleted with its end, and comes back with a new generation."""
    bucket = client.bucket(lab.bucket(softDeletePolicy={"retentionDurationSeconds": "604800"}))
    blob = bucket.blob("x")
    blob.upload_from_string(b"content")
    bucket.delete_blob("x")
    assert list(client.list_blobs(bucket)) == []
    (gone,) = client.list_blobs(bucket, soft_deleted=True)
    assert gone.hard_delete_time - gone.soft_delete_time == timedelta(days=7)
    restored = bucket.restore_blob("x", generation=blob.generation)
    assert restored.generation != blob.generation
    assert bucket.blob("x").download_as_bytes() == b"content"


def test_generation_precondition_guards_a_write(lab: Lab, client: storage.Client) -> None:
    """0 means that none may be there; any other number is the one that must be."""
    blob = client.bucket(lab.bucket()).blob("x")
    blob.upload_from_string(b"first", if_generation_match=0)
    first = blob.generation
    for wrong in (0, 1):
        with pytest.raises(PreconditionFailed):
            client.bucket(blob.bucket.name).blob("x").upload_from_string(b"lost", if_generation_match=wrong)
    blob.upload_from_string(b"second", if_generation_match=first)
    with pytest.raises(PreconditionFailed):
        blob.bucket.delete_blob("x", if_generation_match=first)
    assert blob.download_as_bytes() == b"second"


def test_patch_compose_and_copy(lab: Lab, client: storage.Client) -> None:
    """Metadata changes alone, joined objects have no MD5, a copy has the source's bytes and attributes."""
    bucket = client.bucket(lab.bucket())
    for name in ("1", "2"):
        bucket.blob(name).upload_from_string(name.encode(), content_type="video/mp4")
    blob = bucket.blob("1")
    blob.metadata = {"a": "b"}
    blob.patch()
    assert (blob.metageneration, blob.content_type) == (2, "video/mp4")
    joined = bucket.blob("12")
    joined.content_type = "video/mp4"
    joined.compose([bucket.blob("1"), bucket.blob("2")])
    joined.reload()
    assert (joined.download_as_bytes(), joined.component_count, joined.md5_hash) == (b"12", 2, None)
    copy = bucket.copy_blob(blob, bucket, "copy")
    assert (copy.download_as_bytes(), copy.metadata, copy.content_type) == (b"1", {"a": "b"}, "video/mp4")
    bucket.rename_blob(copy, "renamed")
    assert bucket.get_blob("copy") is None


def test_missing_things_are_404_and_foreign_ones_403(lab: Lab, client: storage.Client) -> None:
    """An object, a bucket; and without rights the answer does not say which."""
    bucket = lab.bucket()
    assert fault(lab.operator.get(f"/storage/v1/b/{bucket}/o/none")) == (404, "notFound")
    assert fault(lab.operator.get("/storage/v1/b/lab-no-such-bucket/o/none")) == (404, "notFound")
    with pytest.raises(Forbidden, match=r"does not have storage\.objects\.get access"):
        lab.storage(lab.key(lab.account())).bucket(bucket).blob("none").download_as_bytes()


def test_lifecycle_expires_what_is_due_and_nothing_else(lab: Lab, client: storage.Client) -> None:
    """Ages, prefixes, noncurrent days, unfinished uploads and soft delete, at the time that the call names."""
    rules = [
        {"action": {"type": "Delete"}, "condition": {"age": 30, "matchesPrefix": ["recordings/"]}},
        {"action": {"type": "Delete"}, "condition": {"daysSinceNoncurrentTime": 5}},
        {"action": {"type": "SetStorageClass", "storageClass": "NEARLINE"}, "condition": {"age": 10}},
        {"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"age": 7}},
    ]
    bucket = lab.bucket(versioning={"enabled": True}, lifecycle={"rule": rules})
    _, key = lab.writer(bucket)
    lab.s3(key).create_multipart_upload(Bucket=bucket, Key="p/never")
    for name in ("recordings/x", "other"):
        lab.put(bucket, name)

    def after(days: int) -> set[tuple[str, str, bool]]:
        moment = datetime.now(UTC) + timedelta(days=days, minutes=1)
        lab.anonymous().post("/_sandbox/lifecycle", params={"now": moment.isoformat(), "bucket": bucket})
        listed = client.list_blobs(bucket, versions=True)
        return {(blob.name, blob.storage_class, blob.time_deleted is None) for blob in listed}

    assert after(5) == {("recordings/x", "STANDARD", True), ("other", "STANDARD", True)}
    assert after(11) == {("recordings/x", "NEARLINE", True), ("other", "NEARLINE", True)}
    assert after(31) == {("recordings/x", "NEARLINE", False), ("other", "NEARLINE", True)}
    assert after(40) == {("other", "NEARLINE", True)}
    assert "Uploads" not in lab.s3(lab.hmac(lab.operator_key["client_email"])).list_multipart_uploads(Bucket=bucket)
