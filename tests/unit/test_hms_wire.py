"""Requests to 100ms: what is repeated, what never is, and what every failure becomes."""

from __future__ import annotations

import inspect
import random
import ssl
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from recordings.errors import (
    HmsError,
    HmsNotFoundError,
    HmsRefusedError,
    HmsUnauthorisedError,
    HmsUncertainError,
    HmsUnreachableError,
    UsageError,
)
from recordings.hms_auth import HmsCredentials
from recordings.hms_wire import Wire, path
from recordings.retry import RetryPolicy
from tests.unit.hms_fake import Clock, credentials, http_date, seeded

Answer = Callable[[httpx.Request], httpx.Response]
CANARY = "canary-4f9c1e"


@pytest.fixture
def rng() -> random.Random:
    return seeded()


def wire(handle: Answer, clock: Clock | None = None, who: HmsCredentials | None = None) -> Wire:
    timing = (clock or Clock()).timing()
    return Wire(who or credentials(), transport=httpx.MockTransport(handle), timing=timing)


def answers(*sequence: httpx.Response | Exception) -> tuple[Answer, list[str]]:
    """A server that gives these one after the other, the last for ever; and the log of what it was asked."""
    left, log = list(sequence), []

    def handle(request: httpx.Request) -> httpx.Response:
        log.append(request.method)
        now = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(now, Exception):
            raise now
        return now

    return handle, log


def fine() -> httpx.Response:
    return httpx.Response(200, json={"fine": True})


# What is repeated


def passing_failure(rng: random.Random, kind: str) -> httpx.Response | Exception:
    if kind == "429":
        headers = rng.choice([{}, {"retry-after": "3"}, {"retry-after": http_date(Clock().time + 5)}])
        return httpx.Response(429, headers=headers)
    if kind == "5xx":
        return httpx.Response(rng.choice([500, 502, 503, 504, 520, 599]), text="<html>")
    errors = [httpx.ConnectTimeout, httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout, httpx.ConnectError]
    return rng.choice([*errors, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError])("broken")


@pytest.mark.parametrize("kind", ["429", "5xx", "broken"])
def test_get_outlives_passing_failures(kind: str, rng: random.Random) -> None:
    """A GET gets its answer after up to seven failures of a kind, in a hundred runs of each."""
    for _ in range(100):
        failures = [passing_failure(rng, kind) for _ in range(rng.randint(1, 7))]
        handle, log = answers(*failures, fine())
        clock = Clock()
        assert wire(handle, clock).get("x") == {"fine": True}
        assert len(log) == len(failures) + 1 == len(clock.slept) + 1


@pytest.mark.parametrize("kind", ["429", "5xx", "broken"])
def test_get_gives_up_after_eight_tries_or_more(kind: str, rng: random.Random) -> None:
    """A GET that never succeeds is tried at least eight times in at most fifteen minutes, then says so."""
    handle, log = answers(passing_failure(rng, kind))
    clock = Clock()
    with pytest.raises(HmsUnreachableError, match="gave up after"):
        wire(handle, clock).get("x")
    assert len(log) >= 8
    assert sum(clock.slept) <= 900


def test_get_honours_retry_after() -> None:
    """Neither seconds nor a date of Retry-After are cut short."""
    clock = Clock()
    seconds = httpx.Response(429, headers={"retry-after": "40"})
    date = httpx.Response(503, headers={"retry-after": http_date(clock.time + 40 + 90)})
    handle, _ = answers(seconds, date, fine())
    wire(handle, clock).get("x")
    assert clock.slept == [40.0, 90.0]


@pytest.mark.parametrize("kind", ["429", "5xx", "broken", "not json"])
def test_post_is_never_repeated(kind: str, rng: random.Random) -> None:
    """A POST whose answer is lost or unusable is sent once, and is uncertain."""
    for _ in range(30):
        lost = httpx.Response(200, text="<html>") if kind == "not json" else passing_failure(rng, kind)
        handle, log = answers(lost, fine())
        with pytest.raises(HmsUncertainError):
            wire(handle).post("x", {})
        assert log == ["POST"]


def test_post_tells_how_long_to_wait() -> None:
    """The Retry-After of a refused POST reaches whoever decides about repeating it."""
    handle, _ = answers(httpx.Response(429, headers={"retry-after": "7"}))
    with pytest.raises(HmsUncertainError) as caught:
        wire(handle).post("x", {})
    assert caught.value.retry_after == 7.0


# What every failure becomes


def httpx_errors() -> Iterator[type[Exception]]:
    for _, value in inspect.getmembers(httpx, inspect.isclass):
        if issubclass(value, Exception) and value.__module__.startswith("httpx"):
            yield value


def made(kind: type[Exception]) -> Exception:
    if issubclass(kind, httpx.HTTPStatusError):
        request = httpx.Request("GET", f"https://{CANARY}/")
        return kind(CANARY, request=request, response=httpx.Response(500, request=request))
    takes_message = "message" in inspect.signature(kind).parameters
    return kind(CANARY) if takes_message else kind()


@pytest.mark.parametrize("kind", list(httpx_errors()), ids=repr)
@pytest.mark.parametrize("method", ["get", "post"])
def test_errors_map_is_complete(kind: type[Exception], method: str) -> None:
    """Every exception that httpx has becomes an HmsError, whose message does not quote it."""
    handle, _ = answers(made(kind))
    client = wire(handle)
    with pytest.raises(HmsError) as caught:
        client.get("x") if method == "get" else client.post("x", {})
    assert CANARY not in str(caught.value)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


STATUSES = {401: HmsUnauthorisedError, 403: HmsUnauthorisedError, 404: HmsNotFoundError}


def test_statuses_map_is_complete() -> None:
    """Every status that is no success becomes its HmsError."""
    again = {408, 429, *range(500, 600)}
    for status in range(300, 600):
        default = HmsUnreachableError if status in again else HmsRefusedError if status >= 400 else HmsError
        handle, _ = answers(httpx.Response(status))
        with pytest.raises(HmsError) as caught:
            Wire(credentials(), transport=httpx.MockTransport(handle), policy=RetryPolicy(attempts=1)).get("x")
        assert type(caught.value) is STATUSES.get(status, default), status


def test_refusal_gives_the_reason_of_100ms() -> None:
    """Message and details of 100ms are passed on."""
    body = {"code": 400, "message": "Invalid body param", "details": ["Bucket location is missing"]}
    handle, _ = answers(httpx.Response(400, json=body))
    with pytest.raises(HmsRefusedError, match="400: Invalid body param; Bucket location is missing"):
        wire(handle).post("templates/t1/settings", {})


def secret_echoes() -> list[dict[str, Any]]:
    return [
        {"message": f"bad secret {CANARY}"},
        {"message": "bad", "details": [f"upload.credentials.secretKey={CANARY}"]},
        {"message": f"https://b.s3.amazonaws.com/k?X-Amz-Signature={CANARY}"},
        {"message": {"credentials": {"secretKey": CANARY}}},
    ]


@pytest.mark.parametrize("body", secret_echoes())
@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_refusal_that_echoes_a_secret(status: int, body: dict[str, Any]) -> None:
    """A secret that 100ms quotes back is masked, in the message and in the whole traceback."""
    sent = {
        "recording": {"upload": {"credentials": {"key": "AKIA", "secretKey": CANARY}}},
        "list": [{"secret": CANARY}],
    }
    handle, _ = answers(httpx.Response(status, json=body))
    with pytest.raises(HmsError) as caught:
        wire(handle).post("x", sent)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("status", [400, 401, 404])
def test_refusal_that_echoes_credentials(status: int) -> None:
    """Neither app secret nor management token are shown when 100ms quotes them."""
    who = HmsCredentials(access_key="a", app_secret=SecretStr(CANARY * 3), token=SecretStr(CANARY))
    handle, _ = answers(httpx.Response(status, json={"message": f"token {CANARY}, secret {CANARY * 3}"}))
    with pytest.raises(HmsError) as caught:
        wire(handle, who=who).get("x")
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("body", [b"<html>captive portal</html>", b"{", b"\xff\xfe", b"NaN,"])
def test_answer_that_is_not_json(body: bytes) -> None:
    """Another body than JSON is a clear error at once: it is another server that answers."""
    handle, log = answers(httpx.Response(200, content=body, headers={"content-type": "text/html"}))
    with pytest.raises(HmsError, match=r"not JSON \(text/html\)"):
        wire(handle).get("x")
    assert len(log) == 1


def test_answer_with_an_untrusted_certificate() -> None:
    """A certificate that does not fit is no passing failure: one try, and the reason."""
    cause = ssl.SSLCertVerificationError(1, "verify failed")
    cause.verify_message = "self-signed certificate"
    error = httpx.ConnectError("tls")
    error.__cause__ = cause
    handle, log = answers(error)
    with pytest.raises(HmsUnreachableError, match="self-signed certificate"):
        wire(handle).get("x")
    assert len(log) == 1


# Lists and paths


def paged(items: list[int], limit: int) -> Answer:
    def handle(request: httpx.Request) -> httpx.Response:
        start = request.url.params.get("start")
        begin = items.index(int(start)) + 1 if start else 0
        page = items[begin : begin + min(limit, int(request.url.params["limit"]))]
        return httpx.Response(200, json={"limit": limit, "data": page, "last": str(page[-1]) if page else ""})

    return handle


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 100, 101, 250])
@pytest.mark.parametrize("limit", [10, 100])
def test_pages_give_everything_once(count: int, limit: int) -> None:
    """Every object comes once and in order, however many there are and whatever page size the server keeps."""
    items = list(range(1000, 1000 + count))
    assert list(wire(paged(items, limit)).pages("x")) == items


def test_pages_that_do_not_advance() -> None:
    """A server that gives the same page for ever is an error, not an endless loop."""
    handle, _ = answers(httpx.Response(200, json={"data": [1], "last": "1"}))
    with pytest.raises(HmsError, match="same page twice"):
        list(wire(handle).pages("x"))


@pytest.mark.parametrize("body", [[], None, "x", 1, {"data": {}}, {"data": "x"}])
def test_pages_of_another_form(body: object) -> None:
    """A list answer of another form is named as such."""
    handle, _ = answers(httpx.Response(200, json=body))
    with pytest.raises(HmsError, match="not an"):
        list(wire(handle).pages("x"))


@pytest.mark.parametrize("part", ["", ".", ".."])
def test_path_refuses_what_is_no_id(part: str) -> None:
    """No id can climb out of its folder."""
    with pytest.raises(UsageError):
        path("templates", part, "settings")


def test_path_quotes_ids() -> None:
    """An id is one segment, whatever is in it."""
    assert path("templates", "a/../b?c#d", "settings") == "templates/a%2F..%2Fb%3Fc%23d/settings"


# Writes


def test_settle_reads_before_it_writes_again() -> None:
    """After each lost answer comes a read, and another write only if the first had no effect."""
    log: list[str] = []
    effects = iter([None, None, "done"])

    def send() -> str:
        log.append("send")
        raise HmsUncertainError("lost")

    def took_effect() -> str | None:
        log.append("read")
        return next(effects)

    handle, _ = answers(fine())
    assert wire(handle).settle(send, took_effect) == "done"
    assert log == ["send", "read"] * 3


def test_settle_gives_up() -> None:
    """A write that never takes effect ends uncertain, after the same number of tries as a GET."""
    sent = []

    def send() -> str:
        sent.append(1)
        raise HmsUncertainError("lost")

    handle, _ = answers(fine())
    with pytest.raises(HmsUncertainError, match="lost"):
        wire(handle).settle(send, lambda: None)
    assert 8 <= len(sent) <= 12


def test_settle_that_took_effect_with_the_last_try() -> None:
    """Even the last lost answer is followed by a look: an effect is never reported as a failure."""
    tries = []

    def send() -> str:
        tries.append(1)
        raise HmsUncertainError("lost", 10_000.0)

    handle, _ = answers(fine())
    assert wire(handle).settle(send, lambda: "done") == "done"
    assert len(tries) == 1
