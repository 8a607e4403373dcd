"""The S3 store against the sandbox: what it writes it reads, in every way that the protocol has."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from recordings.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    CredentialsError,
    ObjectNotFoundError,
    PreconditionError,
)
from recordings.stores import Identity, Store, open_store
from sandbox.servers import Sandbox
from tests.functional.clients import browser
from tests.functional.stand import Stand, entered

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def in_sandbox(sandbox: Sandbox) -> Iterator[None]:
    with entered(sandbox):
        yield


@pytest.fixture(scope="module")
def stand(sandbox: Sandbox) -> Stand:
    with entered(sandbox):
        return Stand.build()


@pytest.fixture
def store(stand: Stand) -> Store:
    """The operator's, who may do everything."""
    return open_store(stand.outputs, Identity.OPERATOR)


def test_object_goes_there_and_back(store: Store) -> None:
    """Bytes, type, size, ETag, time; a range of it; its absence after the deletion."""
    before = datetime.now(UTC) - timedelta(seconds=2)
    put = store.put("recordings/a b/ü+%.mp4", b"0123456789", content_type="video/mp4")
    body, info = store.read("recordings/a b/ü+%.mp4")
    assert (body, info.size, info.content_type, info.etag) == (b"0123456789", 10, "video/mp4", put.etag)
    assert info.last_modified is not None
    assert before <= info.last_modified <= datetime.now(UTC) + timedelta(seconds=2)
    assert info.version_id == put.version_id is not None
    assert store.head("recordings/a b/ü+%.mp4") == info
    assert store.read("recordings/a b/ü+%.mp4", first=2, last=4)[0] == b"234"
    assert store.read("recordings/a b/ü+%.mp4", first=7)[0] == b"789"
    store.delete("recordings/a b/ü+%.mp4")
    store.delete("recordings/a b/ü+%.mp4")
    with pytest.raises(ObjectNotFoundError):
        store.head("recordings/a b/ü+%.mp4")
    with pytest.raises(ObjectNotFoundError):
        store.read("recordings/a b/ü+%.mp4")


def test_conditional_puts_hold(store: Store) -> None:
    """Only if it is as it was read, or only if there is none."""
    first = store.put("recordings/once", b"1", if_none_match=True)
    with pytest.raises(PreconditionError):
        store.put("recordings/once", b"2", if_none_match=True)
    second = store.put("recordings/once", b"2", if_match=first.etag)
    with pytest.raises(PreconditionError):
        store.put("recordings/once", b"3", if_match=first.etag)
    assert store.read("recordings/once") == (b"2", store.head("recordings/once"))
    assert store.head("recordings/once").etag == second.etag


def test_versions_are_listed_and_removed_for_good(store: Store) -> None:
    """Two versions and a marker of one key; afterwards nothing."""
    for body in (b"1", b"2"):
        store.put("recordings/v/k", body)
    store.delete("recordings/v/k")
    versions = list(store.list_versions("recordings/v/"))
    assert sorted(version.is_marker for version in versions) == [False, False, True]
    assert [version.is_marker for version in versions if version.is_latest] == [True]
    assert store.delete_versions(versions) == 3
    assert list(store.list_versions("recordings/v/")) == []


def test_list_gives_keys_in_order_under_the_prefix_alone(store: Store) -> None:
    """Key order, nothing of the neighbours."""
    for name in ("b", "a/x", "a+"):
        store.put(f"recordings/l/{name}", b"x")
    store.put("recordings/l2", b"x")
    assert [found.key for found in store.list("recordings/l/")] == [
        "recordings/l/a+",
        "recordings/l/a/x",
        "recordings/l/b",
    ]


def test_multipart_upload_becomes_one_object(store: Store) -> None:
    """Parts in their order; an unfinished upload is listed, and gone once it is aborted, twice if need be."""
    upload = store.create_upload("recordings/m/whole", content_type="video/mp4")
    parts = [store.upload_part("recordings/m/whole", upload, 1, b"a" * 5 * MIB)]
    parts.append(store.upload_part("recordings/m/whole", upload, 2, b"b"))
    assert [found.upload_id for found in store.list_uploads("recordings/m/")] == [upload]
    store.complete_upload("recordings/m/whole", upload, parts)
    assert store.head("recordings/m/whole").size == 5 * MIB + 1
    assert store.head("recordings/m/whole").content_type == "video/mp4"
    broken = store.create_upload("recordings/m/broken")
    store.abort_upload("recordings/m/broken", broken)
    store.abort_upload("recordings/m/broken", broken)
    assert list(store.list_uploads("recordings/m/")) == []


@pytest.mark.parametrize("key", ["plain.mp4", "with space+plus&=?#.mp4", "日本/ü~.mp4", "double//slash", "%2e.mp4"])
def test_signed_urls_work_for_each_method_and_key(sandbox: Sandbox, stand: Stand, store: Store, key: str) -> None:
    """GET and HEAD by the reader on any key; a URL is good for its own method alone."""
    name = f"recordings/s/{key}"
    store.put(name, b"signed")
    reader = open_store(stand.outputs, Identity.READER)
    get, head = (reader.sign(name, timedelta(minutes=1), method=method).reveal() for method in ("GET", "HEAD"))
    with browser(sandbox) as web:
        assert web.get(get).content == b"signed"
        assert web.head(head).headers["content-length"] == "6"
        assert httpx.codes.is_client_error(web.get(head).status_code)


def test_each_fault_is_told_apart(stand: Stand) -> None:
    """Missing, denied, unknown key, wrong secret, no bucket: five answers, each from a real refusal."""
    reader = open_store(stand.outputs, Identity.READER)
    with pytest.raises(ObjectNotFoundError):
        reader.head("recordings/none")
    with pytest.raises(AccessDeniedError):
        reader.head("elsewhere/none")
    with pytest.raises(AccessDeniedError):
        reader.put("recordings/x", b"x")
    for change in ({"readerAccessKeyId": "AKIAUNKNOWNKEY000000"}, {"readerSecretAccessKey": "wrong"}):
        with pytest.raises(CredentialsError):
            open_store(stand.declared(**change).outputs, Identity.READER).head("recordings/none")
    nowhere = open_store(stand.declared(bucketName="no-such-bucket-at-all").outputs, Identity.OPERATOR)
    with pytest.raises(BucketNotFoundError):
        nowhere.head("recordings/none")
    with pytest.raises(BucketNotFoundError):
        nowhere.bucket_region()


def test_place_is_known(stand: Stand, store: Store) -> None:
    """Account and region, as the operator sees them."""
    assert store.bucket_region() == "us-east-1"
    assert store.account().isdigit()
