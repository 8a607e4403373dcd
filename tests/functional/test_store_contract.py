"""One contract, every adapter: what `Store` promises holds on S3 and on Google alike, for each identity that may ask.

The place is made by other means than ours: boto3 for S3, plain requests to Google's APIs there, and the writer's and
the reader's rights are those that `recordings.policies` and `recordings.policies_gcs` give.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import pytest
from pydantic import SecretStr

from recordings.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    CredentialsError,
    ObjectNotFoundError,
    PreconditionError,
    StoreError,
    UsageError,
)
from recordings.outputs import StackOutputs
from recordings.stores import AccessKey, Identity, Store, open_store
from sandbox.servers import Sandbox
from tests.functional.clients import browser
from tests.functional.places import google_place, s3_place
from tests.functional.stand import entered

PREFIX: Final = "recordings/"
MIB: Final = 1024 * 1024
ODD_KEYS: Final = [
    "plain.mp4",
    "with space.mp4",
    "a+b&c=d?e#f.mp4",
    "ünï/côdé/日本語/🎥.mp4",
    "double//slash.mp4",
    "~tilde'quote\"(paren)*!;:@,$.mp4",
    "per%20cent%2Fescape.mp4",
    "trailing/",
]


@dataclass(frozen=True)
class Place:
    """A bucket with its three identities, and a client for signed URLs."""

    outputs: StackOutputs
    operator: Store
    writer: Store
    reader: Store
    http: httpx.Client

    def key(self, name: str = "object.mp4") -> str:
        """A fresh key under the prefix."""
        return f"{PREFIX}{secrets.token_hex(6)}/{name}"


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[list[str]]:
    """Every host outside this machine that was asked for, in whatever thread; it is not reached."""
    asked: list[str] = []
    resolve = socket.getaddrinfo

    def local_only(host: Any, *rest: Any, **more: Any) -> Any:
        if host not in ("127.0.0.1", "localhost", None):
            asked.append(str(host))
            raise socket.gaierror(f"{host} is not this machine")
        return resolve(host, *rest, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", local_only)
        yield asked


@pytest.fixture(scope="module", params=["s3", "gcs"])
def place(request: pytest.FixtureRequest, sandbox: Sandbox, elsewhere: list[str]) -> Iterator[Place]:
    """The same place on each provider; the operator's login is the sandbox's."""
    with entered(sandbox), browser(sandbox) as http:
        make = {"s3": s3_place, "gcs": google_place}[request.param]
        outputs = make(sandbox, PREFIX)
        operator, writer, reader = (open_store(outputs, identity) for identity in Identity)
        yield Place(outputs, operator, writer, reader, http)


@pytest.fixture(params=["operator", "writer"])
def author(request: pytest.FixtureRequest, place: Place) -> Store:
    """Whoever may write: both do it through the same contract."""
    store: Store = getattr(place, request.param)
    return store


@pytest.fixture(params=["operator", "writer", "reader"])
def anybody(request: pytest.FixtureRequest, place: Place) -> Store:
    """Whoever may read."""
    store: Store = getattr(place, request.param)
    return store


def test_identities_are_named_by_provider_and_bucket(place: Place) -> None:
    """Every identity's store is of the same bucket and scheme, and lives in the same account."""
    stores = (place.operator, place.writer, place.reader)
    assert {store.bucket for store in stores} == {place.outputs.bucket_name}
    assert {store.scheme for store in stores} == {{"s3": "s3", "gcs": "gs"}[place.outputs.storage_provider.value]}
    assert len({store.account() for store in stores}) == 1


def test_put_is_described_alike_by_everybody(place: Place, author: Store) -> None:
    """What put returns is what head, read and list say, whoever asks by whatever API."""
    key, body = place.key(), secrets.token_bytes(1000)
    made = author.put(key, body, content_type="video/mp4")
    assert (made.key, made.size, made.content_type) == (key, 1000, "video/mp4")
    for store in (place.operator, place.writer, place.reader):
        info = store.head(key)
        assert (info.key, info.size, info.etag, info.content_type) == (key, 1000, made.etag, "video/mp4")
        assert info.last_modified is not None
        assert abs(datetime.now(UTC) - info.last_modified) < timedelta(minutes=5)
        assert info.last_modified.utcoffset() == timedelta()
        read, told = store.read(key)
        assert (read, told.size, told.etag) == (body, 1000, made.etag)
        (listed,) = store.list(key)
        assert (listed.key, listed.size, listed.etag) == (key, 1000, made.etag)


@pytest.mark.parametrize("name", ODD_KEYS)
def test_odd_keys_are_one_and_the_same_object_for_everybody(place: Place, author: Store, name: str) -> None:
    """Written by one, read by all, listed by its name and downloaded through a signed URL."""
    key, body = place.key(name), name.encode()
    author.put(key, body)
    assert [store.read(key)[0] for store in (place.operator, place.writer, place.reader)] == [body] * 3
    assert [info.key for info in place.reader.list(key)] == [key]
    answer = place.http.get(place.reader.sign(key, timedelta(minutes=1)).reveal())
    assert (answer.status_code, answer.content) == (200, body)
    author.delete(key)
    with pytest.raises(ObjectNotFoundError):
        place.reader.head(key)


@pytest.mark.parametrize("name", ["../up", "a/./b", ".."])
def test_key_that_a_client_would_rewrite_never_hits_another_object(place: Place, author: Store, name: str) -> None:
    """A `..` segment is the key's own text: it is stored under it or refused, never resolved."""
    key = place.key(name)
    try:
        author.put(key, b"x")
    except StoreError:
        return
    assert [info.key for info in place.operator.list(key)] == [key]


@pytest.mark.parametrize(("first", "last", "expected"), [(2, 5, b"2345"), (7, None, b"789"), (None, 3, b"0123")])
def test_range_gives_its_bytes_and_the_whole_size(
    place: Place, anybody: Store, first: int | None, last: int | None, expected: bytes
) -> None:
    """Both ends are included, either may be left out, and `size` is the object's."""
    key = place.key()
    place.writer.put(key, b"0123456789")
    body, info = anybody.read(key, first=first, last=last)
    assert (body, info.size) == (expected, 10)


def test_empty_object_is_an_object(place: Place, author: Store) -> None:
    """No byte at all is described and read as that."""
    key = place.key()
    author.put(key, b"")
    assert place.reader.head(key).size == 0
    assert place.reader.read(key)[0] == b""


def test_conditional_puts_lose_when_the_object_is_another(place: Place, author: Store) -> None:
    """`if_none_match` writes once, `if_match` only over the version that was read, whoever read it."""
    key = place.key()
    first = author.put(key, b"1", if_none_match=True)
    with pytest.raises(PreconditionError):
        author.put(key, b"2", if_none_match=True)
    read = place.operator.head(key).etag
    second = author.put(key, b"22", if_match=read)
    assert (read == first.etag, second.etag == first.etag) == (True, False)
    with pytest.raises(PreconditionError):
        author.put(key, b"3", if_match=first.etag)
    with pytest.raises(PreconditionError):
        author.put(key, b"3", if_match="never-was")
    assert author.read(key)[0] == b"22"


def test_list_is_in_order_and_ends_at_the_prefix(place: Place, anybody: Store) -> None:
    """Keys come in order; neither neighbours nor the prefix's own shorter name are among them."""
    folder = place.key("")
    names = [f"{folder}{name}" for name in ("a", "b/c", "z")]
    for key in reversed(names):
        place.writer.put(key, b"x")
    place.writer.put(folder.rstrip("/") + "-neighbour", b"x")
    assert [info.key for info in anybody.list(folder)] == names
    assert list(anybody.list(folder + "nothing")) == []


def test_multipart_upload_makes_one_object(place: Place, author: Store) -> None:
    """Two parts, the first of the least size: the object is their sum, of the type given at the start."""
    key = place.key()
    bodies = [secrets.token_bytes(5 * MIB), b"last"]
    upload = author.create_upload(key, content_type="video/mp4")
    assert [found.upload_id for found in place.operator.list_uploads(key)] == [upload]
    parts = [author.upload_part(key, upload, number, body) for number, body in enumerate(bodies, start=1)]
    with pytest.raises(ObjectNotFoundError):
        place.reader.head(key)
    author.complete_upload(key, upload, parts)
    assert list(place.operator.list_uploads(key)) == []
    body, info = place.reader.read(key)
    assert (body == b"".join(bodies), info.content_type) == (True, "video/mp4")
    seam = place.reader.read(key, first=5 * MIB - 2, last=5 * MIB + 1)[0]
    assert seam == bodies[0][-2:] + b"la"


def test_aborted_upload_leaves_nothing(place: Place, author: Store) -> None:
    """No object, no upload; to abort it again is no error, to go on with it is one."""
    key = place.key()
    upload = author.create_upload(key)
    part = author.upload_part(key, upload, 1, b"x")
    author.abort_upload(key, upload)
    author.abort_upload(key, upload)
    assert list(place.operator.list_uploads(key)) == []
    with pytest.raises(ObjectNotFoundError):
        author.complete_upload(key, upload, [part])
    with pytest.raises(ObjectNotFoundError):
        place.reader.head(key)


def test_unfinished_uploads_are_listed_under_their_prefix(place: Place, author: Store) -> None:
    """With key, id and start; those elsewhere are not among them."""
    key = place.key()
    upload = author.create_upload(key)
    other = author.create_upload(place.key())
    (found,) = place.operator.list_uploads(key)
    assert (found.key, found.upload_id) == (key, upload)
    assert found.started is not None
    assert other not in [one.upload_id for one in place.operator.list_uploads(key)]
    author.abort_upload(key, upload)


def test_deleted_object_is_gone_and_deleting_it_again_is_no_error(place: Place, author: Store) -> None:
    """Gone for everybody, but its versions are kept until they are removed for good."""
    key = place.key()
    author.put(key, b"1")
    author.delete(key)
    author.delete(key)
    with pytest.raises(ObjectNotFoundError):
        place.reader.head(key)
    with pytest.raises(ObjectNotFoundError):
        place.reader.read(key)
    assert any(not version.is_marker for version in place.operator.list_versions(key))


def test_versions_are_all_listed_and_removed_for_good(place: Place, author: Store) -> None:
    """Every version, one of them the latest; after their removal there is none, nor an object."""
    key = place.key()
    for body in (b"1", b"22"):
        author.put(key, body)
    versions = list(place.operator.list_versions(key))
    assert sorted(version.size for version in versions) == [1, 2]
    assert [version.size for version in versions if version.is_latest] == [2]
    assert place.operator.delete_versions(versions) == 2
    assert list(place.operator.list_versions(key)) == []
    with pytest.raises(ObjectNotFoundError):
        place.operator.head(key)


def test_signed_url_serves_whole_range_and_head(place: Place, anybody: Store) -> None:
    """With the type and file name that were signed, from now until its time."""
    key, body = place.key(), secrets.token_bytes(100)
    place.writer.put(key, body)
    before = datetime.now(UTC)
    signed = anybody.sign(key, timedelta(minutes=5), filename="é recording.mp4", content_type="video/mp4")
    assert timedelta(minutes=5) <= signed.expires_at - before < timedelta(minutes=5, seconds=10)
    answer = place.http.get(signed.reveal())
    assert (answer.status_code, answer.content) == (200, body)
    assert answer.headers["content-type"] == "video/mp4"
    assert "filename*=UTF-8''%C3%A9%20recording.mp4" in answer.headers["content-disposition"]
    part = place.http.get(signed.reveal(), headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, body[10:20])
    head = place.http.head(anybody.sign(key, timedelta(minutes=5), method="HEAD").reveal())
    assert (head.status_code, head.headers["content-length"]) == (200, "100")


def test_signed_url_is_refused_when_expired_tampered_or_unsigned(place: Place, anybody: Store) -> None:
    """One that ended a second ago, one for another object, one with another signature, and the plain URL."""
    key = place.key()
    place.writer.put(key, b"x")
    place.writer.put(key + "2", b"x")
    good = anybody.sign(key, timedelta(minutes=5)).reveal()
    assert place.http.get(good).status_code == 200
    last = "0" if good[-1] != "0" else "1"
    expired = anybody.sign(key, timedelta(minutes=5), at=datetime.now(UTC) - timedelta(minutes=5, seconds=1))
    for bad in (good[:-1] + last, good.replace(key, key + "2", 1), expired.reveal(), anybody.url(key)):
        assert place.http.get(bad).status_code in (400, 401, 403)


def test_signing_has_the_limits_of_the_providers(place: Place, anybody: Store) -> None:
    """Seven days work, a second more is an error."""
    anybody.sign(place.key(), timedelta(days=7))
    with pytest.raises(UsageError, match="7 days"):
        anybody.sign(place.key(), timedelta(days=7, seconds=1))


def test_missing_object_is_missing_and_not_denied(place: Place, anybody: Store) -> None:
    """To every identity that may list its name, however it asks."""
    with pytest.raises(ObjectNotFoundError):
        anybody.head(place.key())


def test_what_is_not_allowed_is_denied(place: Place) -> None:
    """The writer outside its prefix, and the reader writing: in every way to write, list and read."""
    place.operator.put("outside/object", b"x")
    for attempt in (
        lambda: place.writer.put("outside/x", b"x"),
        lambda: place.writer.create_upload("outside/x"),
        lambda: list(place.writer.list("outside/")),
        lambda: list(place.writer.list("")),
        lambda: place.writer.read("outside/object"),
        lambda: place.writer.head("outside/object"),
        lambda: place.writer.delete("outside/object"),
        lambda: place.reader.put(place.key(), b"x"),
        lambda: place.reader.create_upload(place.key()),
        lambda: place.reader.head("outside/object"),
        lambda: place.reader.delete("outside/object"),
    ):
        with pytest.raises(AccessDeniedError):
            attempt()
    assert place.operator.read("outside/object")[0] == b"x"


def test_unknown_key_and_wrong_secret_are_bad_credentials(place: Place) -> None:
    """They are not taken for a missing right, nor for a missing object."""
    key_id = place.outputs.writer_access_key_id
    wrong = AccessKey(key_id, SecretStr("wrong" * 8))
    unknown = AccessKey(key_id[:-4] + "AAAA", place.outputs.writer_secret_access_key)
    for key in (wrong, unknown):
        store = open_store(place.outputs, key)
        for attempt in (
            lambda s=store: s.put(place.key(), b"x"),
            lambda s=store: s.head(place.key()),
            lambda s=store: list(s.list(PREFIX)),
        ):
            with pytest.raises(CredentialsError) as caught:
                attempt()
            assert "wrongwrong" not in str(caught.value)
            assert caught.value.__cause__ is None


def test_missing_bucket_is_named_as_that(place: Place) -> None:
    """To everybody that may see it is missing."""
    gone = place.outputs.model_copy(update={"bucket_name": "no-such-" + secrets.token_hex(6)})
    operator = open_store(gone, Identity.OPERATOR)
    for attempt in (
        lambda: operator.put("k", b"x"),
        lambda: list(operator.list()),
        operator.bucket_region,
        lambda: operator.create_upload("k"),
    ):
        with pytest.raises(BucketNotFoundError, match="bucketName"):
            attempt()


def test_bucket_region_is_where_the_outputs_say(place: Place) -> None:
    """The operator always sees it."""
    assert place.operator.bucket_region().lower() == place.outputs.region.lower()


def test_endpoint_of_the_outputs_is_all_that_is_asked(place: Place, elsewhere: list[str]) -> None:
    """Neither the provider itself nor a metadata server, though their libraries know them."""
    place.operator.put(place.key(), b"x")
    place.operator.sign(place.key(), timedelta(minutes=1))
    assert elsewhere == []
