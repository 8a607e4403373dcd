"""What the Google store asks, how long it tries, and what it makes of the answers: the network is a function."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import google.auth.credentials
import google.auth.exceptions
import httpx
import pytest
from pydantic import SecretStr

from recordings.errors import (
    AccessDeniedError,
    ConfigurationError,
    CredentialsError,
    ObjectNotFoundError,
    PreconditionError,
    StoreError,
    StoreUnreachableError,
)
from recordings.outages import told_to
from recordings.outputs import StackOutputs
from recordings.stores import AccessKey, Identity, ObjectVersion, Part, Store, gcs, open_store
from recordings.stores.gcs_rsa import RsaSigner, ambient_signer
from tests.unit.google_fake import json_key
from tests.unit.hms_fake import Clock
from tests.unit.s3_wire import RAW_OUTPUTS

WRITER: Final = "hms-rec-dev@some-project.iam.gserviceaccount.com"
READER: Final = "hms-rec-dev-r@some-project.iam.gserviceaccount.com"
BASE: Final = "https://storage.googleapis.com/bucket"
Answer = httpx.Response | Exception


def outputs(**changes: Any) -> StackOutputs:
    """Outputs of a stack on Google, with `changes` in the stack's own spelling."""
    google = {"storageProvider": "gcs", "region": "EU", "writerPrincipal": WRITER, "readerPrincipal": READER}
    return StackOutputs.from_mapping(RAW_OUTPUTS | google | changes)


class Script:
    """Answers in their order, the last for ever; `requests` are those that came."""

    def __init__(self, *answers: Answer) -> None:
        self.requests: list[httpx.Request] = []
        self.clock = Clock()
        self._answers = iter(answers)
        self._last: Answer = answers[-1]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = next(self._answers, self._last)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def store(self, identity: Identity | AccessKey = Identity.WRITER, **changes: Any) -> Store:
        """A store that talks to this."""
        transport = httpx.MockTransport(self)
        return gcs.open_store(outputs(**changes), identity, transport=transport, timing=self.clock.timing())


def refusal(status: int, code: str, details: str = "") -> httpx.Response:
    """An error of the XML API."""
    text = f"<Error><Code>{code}</Code><Message>Said so.</Message><Details>{details}</Details></Error>"
    return httpx.Response(status, text=text)


OK: Final = httpx.Response(200, headers={"x-goog-generation": "7", "content-length": "0"})


@pytest.mark.parametrize(
    ("identity", "key_id"),
    [
        (Identity.WRITER, "AKIAWRITER"),
        (Identity.READER, "AKIAREADER"),
        (AccessKey("GOOG1GREEN", SecretStr("s")), "GOOG1GREEN"),
    ],
)
def test_each_identity_signs_with_its_own_key(identity: Identity | AccessKey, key_id: str) -> None:
    """In the header, in Google's dialect, at Google's address."""
    script = Script(OK)
    script.store(identity).put("recordings/a b.mp4", b"x", content_type="video/mp4")
    (request,) = script.requests
    assert str(request.url) == f"{BASE}/recordings/a%20b.mp4"
    assert request.headers["authorization"].startswith(f"GOOG4-HMAC-SHA256 Credential={key_id}/")
    assert request.headers["content-type"] == "video/mp4"


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.Response(429),
        httpx.Response(408),
        httpx.Response(500),
        httpx.Response(503),
        refusal(503, "ServiceUnavailable"),
        refusal(403, "rateLimitExceeded"),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("peer closed connection without sending complete message body"),
    ],
    ids=str,
)
def test_trouble_that_may_pass_is_sat_out(trouble: Answer) -> None:
    """At least eight attempts, each signed anew, within 15 minutes; then the error says that they are used up."""
    script = Script(*[trouble] * 7, OK)
    assert script.store().put("k", b"x").etag == "7"
    for_ever = Script(trouble)
    with pytest.raises(StoreUnreachableError, match="retries are used up"):
        for_ever.store().put("k", b"x")
    assert len(for_ever.requests) >= 8
    assert sum(for_ever.clock.slept) <= 900


def test_waits_are_told() -> None:
    """Nobody sits before a command that says nothing while Google does not answer."""
    script, told = Script(httpx.Response(429, headers={"retry-after": "77"}), OK), list[str]()
    transport = httpx.MockTransport(script)
    with told_to(told.append):
        store = gcs.open_store(outputs(), Identity.WRITER, transport=transport, timing=script.clock.timing())
    store.put("k", b"x")
    assert [line.rpartition(": ")[2] for line in told] == ["trying again in 77 s, for 15m at most"]


def test_retry_after_is_honoured() -> None:
    """Never sooner than Google asks."""
    script = Script(httpx.Response(429, headers={"retry-after": "77"}), OK)
    script.store().put("k", b"x")
    assert script.clock.slept == [77.0]


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (refusal(400, "InvalidArgument"), "InvalidArgument"),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), "SSL_CERT_FILE"),
        (httpx.UnsupportedProtocol("ftp"), "endpointUrl"),
        (httpx.DecodingError("bad gzip"), "DecodingError"),
    ],
    ids=str,
)
def test_trouble_that_stays_is_said_at_once(trouble: Answer, said: str) -> None:
    """No second attempt where it cannot help."""
    script = Script(trouble)
    with pytest.raises(StoreError, match=said):
        script.store().put("k", b"x")
    assert len(script.requests) == 1


def test_completion_whose_answer_was_lost_counts_when_the_upload_is_gone() -> None:
    """After a lost answer NoSuchUpload means that the first try did it; as the first answer it is an error."""
    gone = refusal(404, "NoSuchUpload")
    Script(httpx.ReadTimeout("lost"), gone).store().complete_upload("k", "u", [Part(1, "e")])
    Script(httpx.Response(502), gone).store().complete_upload("k", "u", [Part(1, "e")])
    with pytest.raises(ObjectNotFoundError):
        Script(gone).store().complete_upload("k", "u", [Part(1, "e")])
    with pytest.raises(ObjectNotFoundError):
        Script(httpx.Response(429), gone).store().complete_upload("k", "u", [Part(1, "e")])


def test_complete_names_the_parts_with_quoted_etags() -> None:
    """The document that Google documents."""
    script = Script(OK)
    script.store().complete_upload("k", "u", [Part(1, "a&b"), Part(2, "c")])
    body = script.requests[0].content.decode()
    assert "<Part><PartNumber>1</PartNumber><ETag>&quot;a&amp;b&quot;</ETag></Part><Part>" in body


@pytest.mark.parametrize(
    ("how", "sent"),
    [({"if_none_match": True}, "0"), ({"if_match": "1700000000000001"}, "1700000000000001"), ({}, None)],
)
def test_conditions_are_generations(how: dict[str, Any], sent: str | None) -> None:
    """0 is "there is none"; the header is signed with the rest."""
    script = Script(OK)
    script.store().put("k", b"x", **how)
    headers = script.requests[0].headers
    assert headers.get("x-goog-if-generation-match") == sent
    assert ("x-goog-if-generation-match" in headers["authorization"]) == (sent is not None)


def test_condition_that_is_no_generation_cannot_hold() -> None:
    """An ETag of another provider is refused as a lost race, with nothing sent."""
    script = Script(OK)
    with pytest.raises(PreconditionError, match="generation"):
        script.store().put("k", b"x", if_match="d41d8cd98f00b204e9800998ecf8427e")
    assert script.requests == []


@pytest.mark.parametrize("key", ["a/../b", "./a", "..", "a/."])
def test_key_that_a_url_cannot_hold_is_refused(key: str) -> None:
    """Clients resolve such segments: the request would be about another object."""
    script = Script(OK)
    with pytest.raises(StoreError, match=r"'\.' or '\.\.'"):
        script.store().put(key, b"x")
    assert script.requests == []


@pytest.mark.parametrize("key", ["", "k" * 1025])
def test_key_that_no_store_takes_is_a_store_error(key: str) -> None:
    """Put, unlike sign, raises nothing but StoreError."""
    with pytest.raises(StoreError, match="object key"):
        Script(OK).store().put(key, b"x")


def test_lists_go_through_all_pages() -> None:
    """With the token or the markers of the page before, whatever they hold."""

    def page(name: str, truncated: bool) -> httpx.Response:
        more = "<IsTruncated>true</IsTruncated><NextContinuationToken>to&amp;ken=</NextContinuationToken>"
        space = "xmlns='http://doc.s3.amazonaws.com/2006-03-01'"
        contents = f"<Contents><Key>{name}</Key><Generation>5</Generation><Size>3</Size></Contents>"
        return httpx.Response(
            200, text=f"<ListBucketResult {space}>{more if truncated else ''}{contents}</ListBucketResult>"
        )

    script = Script(page("a", True), page("b", False))
    assert [(info.key, info.etag, info.size) for info in script.store().list("p/")] == [("a", "5", 3), ("b", "5", 3)]
    queries = [parse_qs(urlsplit(str(request.url)).query) for request in script.requests]
    assert [query.get("continuation-token") for query in queries] == [None, ["to&ken="]]
    assert [query["prefix"] for query in queries] == [["p/"], ["p/"]]


def test_uploads_go_through_all_pages() -> None:
    """The same for unfinished uploads, which have two markers."""
    first = (
        "<R><IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>i</NextUploadIdMarker>"
        "<Upload><Key>k</Key><UploadId>i</UploadId><Initiated>2026-07-01T10:00:00.123Z</Initiated></Upload></R>"
    )
    script = Script(httpx.Response(200, text=first), httpx.Response(200, text="<R/>"))
    (found,) = script.store().list_uploads()
    assert found.started == datetime(2026, 7, 1, 10, 0, 0, 123000, tzinfo=UTC)
    query = parse_qs(urlsplit(str(script.requests[1].url)).query)
    assert (query["key-marker"], query["upload-id-marker"]) == (["k"], ["i"])


def test_answer_that_is_no_xml_is_said_so() -> None:
    """Such as the page of a proxy that wants a login."""
    with pytest.raises(StoreError, match="proxy"):
        list(Script(httpx.Response(200, text="<html><p>Log in")).store().list())


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([httpx.Response(403), refusal(403, "InvalidSecurity")], CredentialsError),
        ([httpx.Response(403), refusal(403, "AccessDenied"), refusal(403, "AccessDenied")], AccessDeniedError),
        ([httpx.Response(403), refusal(403, "AccessDenied"), httpx.Response(200, text="<R/>")], ObjectNotFoundError),
        ([httpx.Response(404), refusal(404, "NoSuchKey")], ObjectNotFoundError),
        ([httpx.Response(404), OK], None),
    ],
)
def test_head_finds_out_why_it_was_refused(answers: list[Answer], expected: type[StoreError] | None) -> None:
    """A refused HEAD has no body: a GET of one byte has, and a listing tells denied from missing."""
    script = Script(*answers)
    if expected is None:
        assert script.store(Identity.READER).head("k").etag == "7"
        return
    with pytest.raises(expected):
        script.store(Identity.READER).head("k")


def test_versions_are_for_the_operator() -> None:
    """Writer and reader are told so, and nothing is asked."""
    script = Script(OK)
    version = ObjectVersion("k", "1", True, False, 1, datetime.now(UTC))
    with pytest.raises(AccessDeniedError, match="operator"):
        script.store().list_versions()
    with pytest.raises(AccessDeniedError, match="operator"):
        script.store().delete_versions([version])
    assert script.requests == []


@pytest.mark.parametrize(
    ("email", "project"),
    [
        (WRITER, "some-project"),
        ("sa@proj.example.com.iam.gserviceaccount.com", "example.com:proj"),
        ("arn:aws:iam::1:user/x", None),
        ("person@example.com", None),
        ("", None),
    ],
)
def test_account_is_the_project_in_the_service_accounts_name(email: str, project: str | None) -> None:
    """A project of a domain is written the other way round; what is no service account names none."""
    store = Script(OK).store(writerPrincipal=email)
    if project is None:
        with pytest.raises(StoreError, match="project"):
            store.account()
    else:
        assert store.account() == project


def test_key_of_a_slot_belongs_to_its_account() -> None:
    """A writer's other slot is the writer's account; an unknown key is nobody's."""
    slots = {**RAW_OUTPUTS["writerKeys"], "green": {"id": "GOOG1GREEN", "secret": "s", "status": "active"}}
    key = AccessKey("GOOG1GREEN", SecretStr("s"))
    assert Script(OK).store(key, writerKeys=slots).account() == "some-project"
    with pytest.raises(StoreError, match="GOOG1GREEN"):
        Script(OK).store(key).account()


def test_signed_url_is_of_the_readers_key_and_hides_it() -> None:
    """HMAC in Google's dialect; asks nothing; what is shown has no query."""
    script = Script(OK)
    signed = script.store(Identity.READER).sign(
        "recordings/a.mp4", timedelta(hours=1), filename="b.mp4", at=datetime(2026, 7, 1, tzinfo=UTC)
    )
    query = parse_qs(urlsplit(signed.reveal()).query)
    assert query["X-Goog-Algorithm"] == ["GOOG4-HMAC-SHA256"]
    assert query["X-Goog-Credential"] == ["AKIAREADER/20260701/auto/storage/goog4_request"]
    assert query["response-content-disposition"] == ['attachment; filename="b.mp4"']
    assert str(signed) == f"{BASE}/recordings/a.mp4?…"
    assert script.requests == []


@pytest.fixture
def without_google(monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's library is not installed, and what needs it was not imported before."""
    for name in ("gcs_operator", "gcs_rsa", "gcs_sdk_errors"):
        monkeypatch.delitem(sys.modules, f"recordings.stores.{name}", raising=False)
    for name in ("google", "google.auth", "google.cloud", "google.api_core", "google.oauth2"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.usefixtures("without_google")
def test_without_the_extra_keys_work_and_the_operator_names_it() -> None:
    """A back end that signs and reads with the reader's key needs no library of Google's."""
    reader = open_store(outputs(), Identity.READER)
    assert reader.sign("recordings/k", timedelta(hours=1)).reveal().startswith(BASE)
    with pytest.raises(ConfigurationError, match=r"pip install '\.\[gcs\]'"):
        open_store(outputs(), Identity.OPERATOR)


def test_json_key_of_another_account_does_not_sign_for_the_reader() -> None:
    """Only the reader's own key stands for the reader; the writer's may not read where writerAccess says so."""
    for email, algorithm in ((READER, "GOOG4-RSA-SHA256"), (WRITER, "GOOG4-HMAC-SHA256")):
        store = Script(OK).store(Identity.READER, serviceAccountKey=json_key(email))
        query = parse_qs(urlsplit(store.sign("k", timedelta(hours=1)).reveal()).query)
        assert query["X-Goog-Algorithm"] == [algorithm]


@pytest.mark.parametrize(
    "text", ["no json", "{}", '"text"', json.dumps({"client_email": READER, "private_key": "sesame"})]
)
def test_json_key_that_is_none_is_an_error_that_does_not_quote_it(text: str) -> None:
    """Bad configuration, named by its output."""
    store = Script(OK).store(Identity.READER, serviceAccountKey=text)
    with pytest.raises(ConfigurationError, match="serviceAccountKey") as caught:
        store.sign("k", timedelta(hours=1))
    assert "sesame" not in str(caught.value)
    assert caught.value.__cause__ is None


class _Person(google.auth.credentials.Credentials):
    """A person's login: it has tokens and cannot sign."""

    def refresh(self, request: Any) -> None:
        raise AssertionError("nothing to refresh")


def test_persons_login_cannot_sign_and_is_told_how_to() -> None:
    """The way out is another identity or impersonation."""
    with pytest.raises(CredentialsError, match="impersonate-service-account"):
        ambient_signer(_Person())  # type: ignore[no-untyped-call]


class _Machine(_Person):
    """A machine's login: it learns its account with its first token, and IAM signs for it."""

    service_account_email = "default"

    def refresh(self, request: Any) -> None:
        self.service_account_email = READER


def test_machine_asks_iam_to_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own account's name, which it learns first."""
    asked: list[tuple[str, bytes]] = []

    class Iam:
        def __init__(self, request: object, credentials: object, email: str) -> None:
            self._email = email

        def sign(self, message: bytes) -> bytes:
            asked.append((self._email, message))
            return b"\x01\x02"

    monkeypatch.setattr("google.auth.iam.Signer", Iam)
    signer = ambient_signer(_Machine())  # type: ignore[no-untyped-call]
    assert (signer.key_id, signer.sign("20260701T000000Z", b"message")) == (READER, "0102")
    assert asked == [(READER, b"message")]


def test_refused_signature_is_a_store_error() -> None:
    """Whatever Google's library raises is mapped."""

    def refuse(message: bytes) -> bytes:
        raise google.auth.exceptions.TransportError("https://iam/?token=sesame")

    with pytest.raises(StoreUnreachableError) as caught:
        RsaSigner(READER, refuse).sign("20260701T000000Z", b"x")
    assert "sesame" not in str(caught.value)
