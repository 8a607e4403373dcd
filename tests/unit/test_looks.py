"""Looking whether an object is there: shared and remembered while it is, asked each time when it is not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest

from recordings.errors import AccessDeniedError, ObjectNotFoundError
from recordings.stores import SignedUrl, Store
from recordings.web import looks as module
from recordings.web.answers import Refusal
from recordings.web.looks import FRESH, Looks


@dataclass
class Bucket:
    """A store of which only signing and HEAD are used; `why` is what it finds out about a refused HEAD."""

    bucket: str = "b"
    why: Exception = field(default_factory=lambda: ObjectNotFoundError("gone"))

    def sign(self, key: str, expires: timedelta, *, method: str) -> SignedUrl:
        assert method == "HEAD"
        return SignedUrl(f"https://{self.bucket}.example/{key}?signature=secret")

    def head(self, key: str) -> None:
        raise self.why


@dataclass
class Place:
    """Storage that answers what `answers` says (then 200 for ever), and a clock that is set by hand."""

    answers: list[httpx.Response | Exception] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    clock: float = 1000.0
    hold: threading.Event | None = None

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        if self.hold is not None:
            assert self.hold.wait(20)
        answer = self.answers.pop(0) if self.answers else httpx.Response(200)
        if isinstance(answer, Exception):
            raise answer
        return answer


def run(place: Place, *steps: Callable[[Looks], Any]) -> list[Any]:
    """What each step gave or raised, one after the other."""

    async def body() -> list[Any]:
        with httpx.Client(transport=httpx.MockTransport(place.answer)) as http:
            looks = Looks(http, now=lambda: place.clock)
            found = [(await asyncio.gather(step(looks), return_exceptions=True))[0] for step in steps]
            await looks.close()
            return found

    return asyncio.run(body())


def one(key: str = "x", bucket: Bucket | None = None) -> Callable[[Looks], Any]:
    return lambda looks: looks.look(cast(Store, bucket or Bucket()), key)


def later(place: Place, seconds: float, step: Callable[[Looks], Any]) -> Callable[[Looks], Any]:
    def wait(looks: Looks) -> Any:
        place.clock += seconds
        return step(looks)

    return wait


def test_object_that_was_there_is_not_asked_for_again_within_seconds() -> None:
    """Then it is; another key and the same key of another bucket are others."""
    place = Place()
    run(place, one(), later(place, FRESH - 0.1, one()), one("y"), one(bucket=Bucket("c")), later(place, 0.2, one()))
    assert place.asked == ["/x", "/y", "/x", "/x"]


def test_object_that_is_gone_is_asked_for_each_time() -> None:
    """What comes back is delivered at once; what goes is noticed after seconds."""
    place = Place([httpx.Response(404), httpx.Response(404), httpx.Response(200), httpx.Response(404)])
    found = run(place, one(), one(), one(), later(place, FRESH - 0.1, one()), later(place, 0.2, one()))
    assert [getattr(each, "status", None) for each in found] == [410, 410, None, None, 410]


def test_archived_object_is_asked_for_each_time() -> None:
    """So that a restored one is delivered at once."""
    cold = httpx.Response(200, headers={"x-amz-storage-class": "DEEP_ARCHIVE"})
    restored = httpx.Response(200, headers={**cold.headers, "x-amz-restore": 'ongoing-request="false"'})
    found = run(Place([cold, restored]), one(), one())
    assert (found[0].status, found[0].error["storageClass"], found[1]) == (409, "DEEP_ARCHIVE", None)


def test_many_who_ask_at_once_share_one_request() -> None:
    """The one who asked first may leave."""

    async def body() -> None:
        place = Place(hold=threading.Event())
        with httpx.Client(transport=httpx.MockTransport(place.answer)) as http:
            looks = Looks(http)
            tasks = [asyncio.create_task(one()(looks)) for _ in range(50)]
            while not place.asked:
                await asyncio.sleep(0.001)
            tasks[0].cancel()
            assert place.hold is not None
            place.hold.set()
            await asyncio.gather(*tasks[1:])
            assert place.asked == ["/x"]

    asyncio.run(body())


@pytest.mark.parametrize("answer", [httpx.Response(500), httpx.Response(429), httpx.ConnectError("no")])
def test_storage_that_fails_is_asked_once_more_then_503(answer: httpx.Response | Exception) -> None:
    """One bad answer is nobody's error, two are."""
    assert run(Place([answer]), one()) == [None]
    (refused,) = run(Place([answer, answer]), one())
    assert isinstance(refused, Refusal)
    assert (refused.status, refused.error["code"]) == (503, "storage")


def test_storage_that_hangs_is_503_in_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes: who asks waits no longer than `PATIENCE`."""
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    place = Place(hold=threading.Event())

    def release(looks: Looks) -> Any:
        assert place.hold is not None
        place.hold.set()
        return asyncio.sleep(0)

    (refused, _) = run(place, one(), release)
    assert refused.status == 503


def test_refused_key_is_this_servers_error() -> None:
    """No 410 for a reader that may not look: the store says why."""
    (error,) = run(Place([httpx.Response(403)]), one(bucket=Bucket(why=AccessDeniedError("no"))))
    assert isinstance(error, AccessDeniedError)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are forgotten first."""
    monkeypatch.setattr(module, "_KEPT", 3)
    place = Place()
    run(place, *(one(key) for key in "abcdd"), one("b"), one("a"))
    assert place.asked == ["/a", "/b", "/c", "/d", "/a"]
