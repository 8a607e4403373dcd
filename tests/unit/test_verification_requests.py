"""Requests by signed URLs: sent again, refused for the right reason, answered with the right bytes."""

from __future__ import annotations

import logging
from collections.abc import Callable

import httpx
import pytest

from recordings.errors import (
    AccessDeniedError,
    CredentialsError,
    StoreUnreachableError,
)
from recordings.verification import Context, Probe, Status, denial, storage
from recordings.verification.checks import (
    Fault,
    run_probes,
)
from recordings.verification.context import PART_BYTES
from tests.unit.s3_wire import Reply, Wire, store_on
from tests.unit.verification_scene import answering, context_on


@pytest.mark.parametrize("fault", [429, 500, 503, httpx.ConnectError("x"), httpx.ReadTimeout("x")])
def test_request_is_sent_again_after_a_passing_fault(fault: int | Exception) -> None:
    """Twice refused or broken off, then answered."""
    seen: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if len(seen) > 2:
            return httpx.Response(200)
        if isinstance(fault, Exception):
            raise fault
        return httpx.Response(fault)

    with context_on(respond) as context:
        assert context.fetch("https://host/k?secret", of="k").status == 200
    assert len(seen) == 3


def test_request_that_is_never_answered_is_unreachable_and_shows_no_query() -> None:
    """Five tries, then an error that names the object and not the URL."""

    def respond(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("https://host/k?X-Amz-Signature=1234")

    with context_on(respond) as context, pytest.raises(StoreUnreachableError, match=r"GET k .* in 5 tries") as caught:
        context.fetch("https://host/k?X-Amz-Signature=1234", of="k")
    assert "1234" not in str(caught.value)


def test_http_client_logs_no_url(caplog: pytest.LogCaptureFixture) -> None:
    """httpx logs each URL at level INFO: for presigned ones that is a leak."""
    with caplog.at_level(logging.INFO), context_on(answering(200)) as context:
        context.fetch("https://host/k?X-Amz-Signature=1234", of="k")
    assert "1234" not in caplog.text


Case = tuple[Callable[[Context], str], int, str, Status]
DENIALS: list[Case] = [
    (denial.unsigned_get, 403, "AccessDenied", Status.PASSED),
    (denial.unsigned_get, 200, "", Status.FAILED),
    (denial.unsigned_get, 404, "NoSuchKey", Status.FAILED),
    (denial.unsigned_get, 301, "PermanentRedirect", Status.FAILED),
    (denial.expired_url, 403, "AccessDenied", Status.PASSED),
    (denial.expired_url, 400, "ExpiredToken", Status.PASSED),
    (denial.expired_url, 200, "", Status.FAILED),
    (denial.tampered_url, 403, "SignatureDoesNotMatch", Status.PASSED),
    (denial.tampered_url, 400, "", Status.FAILED),
    (denial.tampered_url, 200, "", Status.FAILED),
    (denial.plain_http, 403, "AccessDenied", Status.PASSED),
    (denial.plain_http, 403, "SignatureDoesNotMatch", Status.FAILED),
    (denial.plain_http, 200, "", Status.FAILED),
    (denial.plain_http, 404, "", Status.FAILED),
]


@pytest.mark.parametrize(("check", "status", "code", "expected"), DENIALS)
def test_denial_passes_on_the_right_refusal_alone(
    check: Callable[[Context], str], status: int, code: str, expected: Status
) -> None:
    """An answer proves nothing if it is a refusal for another reason."""
    with context_on(answering(status, code)) as context:
        done = run_probes([Probe("x", "x", lambda: check(context))], lambda _: None)[0]
    assert done.status is expected
    assert (done.fix == "") == (expected is Status.PASSED)
    assert str(status) in done.detail


def test_tampering_changes_the_signature_and_then_the_key() -> None:
    """Neither request is the URL that was signed."""
    seen: list[httpx.URL] = []

    def respond(request: httpx.Request) -> httpx.Response:
        seen.append(request.url)
        return httpx.Response(403)

    with context_on(respond, pathPrefix="a b/") as context:
        denial.tampered_url(context)
        good = httpx.URL(context.sign(context.small_key).reveal())
    assert seen[0].params["X-Amz-Signature"] != good.params["X-Amz-Signature"]
    assert len(seen[1].params["X-Amz-Signature"]) == 64
    assert [url.path.rpartition("/")[2] for url in seen] == ["small.mp4", "parts.mp4"]


def test_plain_http_goes_by_http_and_passes_without_an_answer() -> None:
    """The same signed URL, no TLS; a server that only speaks TLS, or sends us to https, refuses too."""
    seen: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.scheme)
        if len(seen) == 1:
            raise httpx.RemoteProtocolError("TLS expected")
        return httpx.Response(301, headers={"location": "https://host/k"})

    with context_on(respond) as context:
        assert "no answer without TLS" in denial.plain_http(context)
        assert "sent to https" in denial.plain_http(context)
    assert seen == ["http", "http"]


def test_nobody_touches_what_is_outside_the_prefix_but_the_outside_key() -> None:
    """The key that must be refused lies outside the prefix; with none, in the operator's own place."""
    with context_on(answering(403)) as context:
        assert context.outside_key.startswith(".verify-outside/")
        assert context.folder.startswith("recordings/.verify/")
    with context_on(answering(403), pathPrefix="") as context:
        assert context.outside_key.startswith(".recordings/")
        assert context.folder.startswith(".verify/")


def test_range_that_is_ignored_fails() -> None:
    """200 with the whole object is not what a player asked for."""
    with context_on(answering(200)) as context, pytest.raises(Fault, match="expected 206, got 200"):
        storage.download_range(context)


def test_download_of_other_bytes_fails() -> None:
    """The length alone is not enough."""

    def respond(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b"x" * (PART_BYTES + 1024))

    with context_on(respond) as context, pytest.raises(Fault, match="not those that were sent"):
        storage.download_whole(context)


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({"content-type": "binary/octet-stream", "content-length": "1024"}, "expected content-type video/mp4"),
        ({"content-type": "video/mp4", "content-length": "7"}, "expected content-length 1024, got 7"),
    ],
)
def test_changed_type_or_length_fails(headers: dict[str, str], named: str) -> None:
    """HEAD through a signed URL says what was written."""
    with context_on(lambda _: httpx.Response(200, headers=headers)) as context:
        context.reader = store_on(Wire(Reply(200, headers={"etag": '"e"'})))
        with pytest.raises(Fault, match=named):
            storage.reader_head(context)


def test_signed_url_that_is_refused_is_a_matter_of_key_or_policy() -> None:
    """403 says which by its code."""
    for code, kind in (("InvalidAccessKeyId", CredentialsError), ("AccessDenied", AccessDeniedError)):
        with context_on(answering(403, code)) as context, pytest.raises(kind, match=code):
            context.fetch_signed("recordings/k")
