"""How checks run, wait and explain themselves; and how each denial and CORS fault is told apart, answer by answer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from recordings.cli.checks import conclude, show_check
from recordings.cli.frame import Frame
from recordings.errors import (
    AccessDeniedError,
    CredentialsError,
    HmsRefusedError,
    OrganisationPolicyError,
    PreconditionError,
    RecordingsError,
    StoreUnreachableError,
    WrongRegionError,
)
from recordings.stores import Identity
from recordings.stores.s3 import open_store
from recordings.verification import Context, Probe, Status, cors, denial, http_client, storage
from recordings.verification.checks import (
    CREDENTIALS,
    FORBIDDEN,
    PERMISSIONS,
    REGION,
    Check,
    Fault,
    NotRun,
    Warned,
    fix_for,
    run_probes,
)
from recordings.verification.context import PART_BYTES
from tests.unit.hms_fake import Clock
from tests.unit.s3_wire import Reply, Wire, outputs, store_on

Respond = Callable[[httpx.Request], httpx.Response]


@contextmanager
def context_on(respond: Respond, clock: Clock | None = None, **changes: Any) -> Iterator[Context]:
    """A context whose signed URLs are answered by `respond`, on a clock that passes only by sleeping."""
    declared = outputs(**changes)
    with http_client(httpx.MockTransport(respond)) as http:
        yield Context(
            outputs=declared,
            slot="blue",
            writer=open_store(declared, Identity.WRITER),
            reader=open_store(declared, Identity.READER),
            operator=open_store(declared, Identity.OPERATOR),
            http=http,
            timing=(clock or Clock()).timing(),
        )


def answering(status: int, code: str = "", headers: dict[str, str] | None = None) -> Respond:
    body = f"<Error><Code>{code}</Code></Error>" if code else ""
    return lambda _: httpx.Response(status, text=body, headers=headers)


def probe(id_: str, outcome: str | Exception, *needs: str) -> Probe:
    def run() -> str:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return Probe(id_, f"title of {id_}", run, needs)


def test_each_outcome_is_told_apart_and_reported_at_once() -> None:
    """Passed, failed, not run, a failure by an error, and a warning, in their order."""
    reported: list[Check] = []
    probes = [
        probe("a", "fine"),
        probe("b", Fault("seen", "do this")),
        probe("c", NotRun("reason", "enable it")),
        probe("d", AccessDeniedError("denied")),
        probe("e", Warned("seen", "ask for it")),
    ]
    assert run_probes(probes, reported.append) == reported
    assert [(check.id, check.status, check.detail, check.fix) for check in reported] == [
        ("a", Status.PASSED, "fine", ""),
        ("b", Status.FAILED, "seen", "do this"),
        ("c", Status.NOT_RUN, "reason", "enable it"),
        ("d", Status.FAILED, "denied", PERMISSIONS),
        ("e", Status.WARNING, "seen", "ask for it"),
    ]


def test_check_that_needs_a_failed_one_is_not_run() -> None:
    """Neither it nor what needs it in turn; others go on."""
    probes = [probe("a", Fault("x", "y")), probe("b", "fine", "a"), probe("c", "fine", "b"), probe("d", "fine")]
    checks = run_probes(probes, lambda _: None)
    assert [(check.status, check.detail) for check in checks[1:]] == [
        (Status.NOT_RUN, "needs a"),
        (Status.NOT_RUN, "needs b"),
        (Status.PASSED, "fine"),
    ]


def test_check_that_needs_a_warned_one_is_run() -> None:
    """A warning is no failure: what it is about works."""
    checks = run_probes([probe("a", Warned("x", "y")), probe("b", "fine", "a")], lambda _: None)
    assert [check.status for check in checks] == [Status.WARNING, Status.PASSED]


def test_warnings_are_counted_and_fail_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, its fix, and a summary that counts it for itself; the process goes on."""
    check = Check("a", "title of a", Status.WARNING, "seen", "ask for it")
    frame = Frame(as_json=False)
    show_check(frame, check)
    conclude(frame, [check, Check("b", "title of b", Status.PASSED, "fine")])
    said = capsys.readouterr().out
    assert said.startswith("warning ")
    assert "fix: ask for it" in said
    assert "1 passed, 0 failed, 0 not run, 1 with a warning" in said


def test_bug_is_not_taken_for_a_failed_check() -> None:
    """An exception that nobody foresaw comes out."""
    with pytest.raises(ZeroDivisionError):
        run_probes([probe("a", ZeroDivisionError())], lambda _: None)


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        (CredentialsError("x"), CREDENTIALS),
        (OrganisationPolicyError("x"), FORBIDDEN),
        (AccessDeniedError("x"), PERMISSIONS),
        (WrongRegionError("x"), REGION),
        (StoreUnreachableError("x"), "network"),
        (HmsRefusedError("x"), "100ms: see its message"),
        (RecordingsError("x"), "see the message"),
    ],
)
def test_fix_is_named_by_the_kind_of_error(error: RecordingsError, fix: str) -> None:
    """Credentials, permissions, region, network, 100ms: each its own words."""
    assert fix_for(error).startswith(fix)


def test_new_key_is_waited_for_up_to_a_minute() -> None:
    """Refused 20 s, then usable: passes. Refused for ever: given up after 60 s, and each later check at once."""
    clock = Clock()
    begun = clock.time

    def act() -> str:
        if clock.time < begun + 20:
            raise CredentialsError("InvalidAccessKeyId")
        return "usable"

    with context_on(answering(200), clock) as context:
        assert context.usable(act) == "usable"
        assert clock.time - begun < 30
        with pytest.raises(CredentialsError):
            context.usable(refusing(CredentialsError("x")))
        assert 55 <= clock.time - begun <= 90
        given_up = clock.time
        with pytest.raises(CredentialsError):
            context.usable(refusing(CredentialsError("x")))
        assert clock.time == given_up


def test_missing_permission_is_waited_for_a_quarter_of_that() -> None:
    """A policy takes effect sooner than a key, and a wrong one never does."""
    clock = Clock()
    begun = clock.time
    with context_on(answering(200), clock) as context, pytest.raises(AccessDeniedError):
        context.usable(refusing(AccessDeniedError("x")))
    assert 10 <= clock.time - begun <= 20


def test_organisation_policy_is_not_waited_for() -> None:
    """It says no on purpose: the next try would hear the same."""
    clock = Clock()
    begun = clock.time
    with context_on(answering(200), clock) as context, pytest.raises(OrganisationPolicyError):
        context.usable(refusing(OrganisationPolicyError("x")))
    assert clock.time == begun


def test_put_in_doubt_is_ours_for_nobody_else_knows_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that can neither overwrite nor read lost an answer: that is no fault of the stack."""
    with context_on(answering(200)) as context:
        monkeypatch.setattr(context.writer, "put", lambda *_, **__: refusing(PreconditionError("x"))())
        assert storage.writer_put(context) == "1,024 bytes, at the second try"


def refusing(error: Exception) -> Callable[[], str]:
    def act() -> str:
        raise error

    return act


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


PAGE = "https://app.example.com"
GOOD = {
    "access-control-allow-origin": PAGE,
    "access-control-allow-methods": "GET, HEAD",
    "access-control-allow-headers": "Range",
    "access-control-expose-headers": "content-range, accept-ranges, content-length, etag",
}


def cors_answers(changes: dict[str, str | None], preflight_status: int = 200) -> Respond:
    headers = {name: value for name, value in (GOOD | changes).items() if value is not None}

    def respond(request: httpx.Request) -> httpx.Response:
        status = preflight_status if request.method == "OPTIONS" else 206
        return httpx.Response(status, headers=headers)

    return respond


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"access-control-allow-origin": None}, "Access-Control-Allow-Origin is None"),
        ({"access-control-allow-origin": "https://other.example"}, "https://other.example"),
        ({"access-control-allow-methods": "GET"}, "preflight of HEAD"),
        ({"access-control-allow-headers": None}, "Access-Control-Allow-Headers is ''"),
        ({"access-control-expose-headers": "etag"}, "lacks Content-Range, Accept-Ranges, Content-Length"),
    ],
)
def test_cors_fault_is_named(changes: dict[str, str | None], named: str) -> None:
    """What a browser would stumble over, by header."""
    with context_on(cors_answers(changes)) as context, pytest.raises(Fault, match=named):
        cors.origin(context, PAGE)


def test_cors_fault_of_the_preflight_alone_is_named() -> None:
    """A browser asks first: that the answer itself would allow the page does not help."""

    def respond(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200) if request.method == "OPTIONS" else httpx.Response(206, headers=GOOD)

    with context_on(respond) as context, pytest.raises(Fault, match=r"preflight of GET .*Allow-Origin is None"):
        cors.origin(context, PAGE)


@pytest.mark.parametrize("changes", [{}, {"access-control-allow-origin": "*", "access-control-allow-headers": "*"}])
def test_cors_passes_for_the_origin_or_for_all(changes: dict[str, str | None]) -> None:
    """An echo of the origin, or a star."""
    with context_on(cors_answers(changes)) as context:
        assert "preflight GET and HEAD" in cors.origin(context, PAGE)


def test_cors_refused_preflight_fails() -> None:
    """S3 answers 403 to an origin that no rule names."""
    with context_on(cors_answers({}, 403)) as context, pytest.raises(Fault, match=r"preflight of GET .* answered 403"):
        cors.origin(context, PAGE)


def test_cors_wildcard_is_asked_for_a_page_that_it_covers() -> None:
    """`https://*.example.com` stands for a real origin; `*` for any."""
    seen: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["origin"])
        headers = {**GOOD, "access-control-allow-origin": "*"}
        return httpx.Response(200 if request.method == "OPTIONS" else 206, headers=headers)

    with context_on(respond) as context:
        cors.origin(context, "https://*.example.com")
        cors.origin(context, "*")
    assert set(seen) == {"https://verify.example.com", "https://page.invalid"}


def test_cors_foreign_origin_must_be_told_nothing() -> None:
    """Any Access-Control-Allow-Origin, on preflight or answer, is a fault."""
    with context_on(cors_answers({"access-control-allow-origin": None})) as context:
        assert "not allowed" in cors.foreign(context)
    with context_on(cors_answers({"access-control-allow-origin": "*"})) as context, pytest.raises(Fault, match=r"\*"):
        cors.foreign(context)


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
