"""What the Google store asks, how long it tries, and what it makes of the answers: the network is a function."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from recordings.errors import (
    AccessDeniedError,
    CredentialsError,
    ObjectNotFoundError,
    PreconditionError,
    StoreError,
    StoreUnreachableError,
)
from recordings.outages import told_to
from recordings.stores import Identity, ObjectVersion, Part, gcs
from tests.unit.gcs_script import OK, Answer, Script, outputs, refusal


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
