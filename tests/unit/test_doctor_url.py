"""Why a presigned URL fails, from facts alone: parsing, whose signature it is, and the verdict."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from recordings.doctor.findings import Severity
from recordings.doctor.url_parts import Parts, matches, parse_url, signer_of
from recordings.doctor.url_verdict import Cause, Lies, Reply, UrlFacts, cause
from recordings.doctor.url_words import judge
from recordings.errors import UsageError
from recordings.signing import Presigner
from recordings.signing_v4 import AWS4, GOOG4, Dialect, HmacSigner

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
SECRET = SecretStr("secret-of-the-reader")
DIALECTS = {"s3": AWS4, "gcs": GOOG4}
BASE = "https://store.example:8443/bucket"
KEYS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40).filter(
    lambda key: not any(char.isspace() for char in key) and "/" not in (key[0], key[-1])
)


def signed(
    key: str = "recordings/a.mp4",
    dialect: Dialect = AWS4,
    *,
    at: datetime = NOW,
    method: str = "GET",
    region: str = "eu-west-1",
) -> str:
    presigner = Presigner(HmacSigner("AKIAREADER", SECRET, region, dialect), BASE)
    return presigner.url(key, seconds=3600, at=at, method=method)


@pytest.mark.parametrize("provider", DIALECTS)
@given(key=KEYS, method=st.sampled_from(["GET", "HEAD", "PUT"]))
def test_every_signed_url_is_understood(provider: str, key: str, method: str) -> None:
    """Key, times, region and who signed it for what; nothing of its query is in a repr."""
    text = signed(key, DIALECTS[provider], method=method)
    parts = parse_url(f" {text}\n")
    assert parts.key_in("bucket", BASE) == key
    assert (parts.start, parts.end, parts.region) == (NOW, NOW + timedelta(hours=1), "eu-west-1")
    assert matches(parts, "AKIAREADER", SECRET) == method
    assert signer_of(parts, [("writer blue", "X", SECRET), ("reader blue", "AKIAREADER", SECRET)]) == (
        "reader blue",
        method,
    )
    assert text.rpartition("=")[2] not in repr(parts)


@pytest.mark.parametrize("provider", DIALECTS)
@given(data=st.data())
def test_url_that_was_changed_is_known_as_such(provider: str, data: st.DataObject) -> None:
    """Whatever letter of path or query was changed: it is no longer what this secret signed, and nothing breaks."""
    text = signed(dialect=DIALECTS[provider])
    place = data.draw(st.integers(len(BASE) + 1, len(text) - 1))
    other = data.draw(st.sampled_from("abcXYZ019").filter(lambda char: char.lower() != text[place].lower()))
    changed = f"{text[:place]}{other}{text[place + 1 :]}"
    assert matches(parse_url(changed), "AKIAREADER", SECRET) is None
    assert matches(parse_url(text), "AKIAREADER", SecretStr("another")) is None


@given(st.text(max_size=200))
def test_nonsense_is_refused_and_never_shown(text: str) -> None:
    """What came on standard input may be a secret that was pasted by mistake."""
    marked = f"canary{text}"
    with pytest.raises(UsageError) as caught:
        parse_url(marked)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://bucket.s3.eu-west-1.amazonaws.com/a/b.mp4", "a/b.mp4"),
        ("https://bucket.s3.amazonaws.com/a", "a"),
        ("https://s3.us-east-1.amazonaws.com/bucket/a", "a"),
        ("https://s3-us-west-2.amazonaws.com/bucket/a", "a"),
        ("https://bucket.s3.cn-north-1.amazonaws.com.cn/a", "a"),
        ("https://storage.googleapis.com/bucket/a%20b", "a b"),
        ("https://bucket.storage.googleapis.com/a", "a"),
        (f"{BASE}/a", "a"),
        ("https://bucket.s3.eu-west-1.amazonaws.com.evil.example/a", None),
        ("https://bucket.evil.example/a", None),
        ("https://store.example:8443/bucket2/a", None),
        ("https://store.example/bucket/a", None),
        ("https://s3.us-east-1.amazonaws.com/other/a", None),
        ("https://other.s3.amazonaws.com/bucket/a", None),
        ("https://169.254.169.254/bucket/a", None),
        ("https://bucket.s3.amazonaws.com@evil.example/a", None),
    ],
)
def test_only_the_bucket_itself_is_ever_asked(url: str, key: str | None) -> None:
    """Every address of it is known; a host that only looks like it is not."""
    assert parse_url(url).key_in("bucket", BASE) == key


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda url: url.partition("&X-Amz-Signature")[0], "lacks X-Amz-Signature"),
        (lambda url: url[: url.index("&X-Amz-Expires")], "lacks X-Amz-Expires"),
        (lambda url: url.replace("X-Amz-Date=2026", "X-Amz-Date=20x6"), "no form that stores take"),
        (lambda url: url.replace("Expires=3600", "Expires=99999999999"), "no form that stores take"),
        (lambda url: url.partition("?")[0] + "?AWSAccessKeyId=A&Expires=1", "version 2"),
        (
            lambda url: url.partition("?")[0] + "?a=1&" + url.partition("?")[2].replace("X-", "amp;X-"),
            "copied out of HTML",
        ),
    ],
)
def test_url_that_is_not_whole_is_said_to_be(change: object, fault: str) -> None:
    """Cut off by a terminal, escaped by a page, put together by hand."""
    assert callable(change)
    facts = UrlFacts(parse_url(change(signed())), NOW, "bucket", "recordings/a.mp4")
    assert cause(facts) is Cause.MALFORMED
    assert fault in facts.parts.fault


OK = parse_url(signed())
OLD = parse_url(signed(at=NOW - timedelta(hours=2)))
V2 = parse_url(f"{BASE}/recordings/a.mp4?AWSAccessKeyId=A&Expires=1000000000&Signature=s")


def known(parts: Parts = OK, reply: Reply | None = None, lies: Lies = Lies.THERE, **more: object) -> UrlFacts:
    facts = UrlFacts(parts, NOW, "bucket", "recordings/a.mp4", reply, lies, "eu-west-1", "recordings/")
    return replace(facts, **{"signer": "reader blue", "signed_for": "GET", **more})  # type: ignore[arg-type]


DENIED = Reply(403, "AccessDenied")
MISMATCH = Reply(403, "SignatureDoesNotMatch")


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (known(reply=Reply(206)), Cause.WORKS),
        (known(reply=Reply(416, "InvalidRange")), Cause.WORKS),
        (known(OLD, Reply(206)), Cause.WORKS),
        (known(OLD, DENIED), Cause.EXPIRED),
        (known(OLD, DENIED, Lies.GONE), Cause.EXPIRED),
        (known(OLD, Reply(400, "ExpiredToken")), Cause.EXPIRED),
        (known(V2, DENIED), Cause.EXPIRED),
        (known(reply=Reply(403, "AccessDenied", "Request has expired")), Cause.EXPIRED),
        (known(reply=Reply(400, "ExpiredToken")), Cause.EXPIRED),
        (known(parse_url(signed(at=NOW + timedelta(hours=1))), DENIED), Cause.NOT_YET),
        (known(reply=Reply(403, "AccessDenied", "Request is not valid yet")), Cause.NOT_YET),
        (known(reply=Reply(403, "InvalidAccessKeyId")), Cause.WRONG_KEY),
        (known(reply=MISMATCH, signed_for=None), Cause.CHANGED),
        (
            known(reply=Reply(400, "AuthorizationQueryParametersError", "the region 'x' is wrong; expecting 'y'")),
            Cause.WRONG_REGION,
        ),
        (known(reply=Reply(400, "AuthorizationQueryParametersError", "X-Amz-Expires must be less")), Cause.OTHER),
        (known(reply=Reply(301, "PermanentRedirect")), Cause.WRONG_REGION),
        (known(reply=Reply(404, "NoSuchKey"), lies=Lies.GONE), Cause.GONE),
        (known(reply=Reply(404)), Cause.GONE),
        (known(reply=Reply(404, "NoSuchBucket")), Cause.NO_BUCKET),
        (known(reply=DENIED, lies=Lies.GONE), Cause.GONE),
        (known(reply=DENIED, lies=Lies.DELETED), Cause.GONE),
        (known(reply=DENIED, lies=Lies.GONE, key="elsewhere/a.mp4"), Cause.DENIED),
        (known(reply=DENIED), Cause.DENIED),
        (known(reply=DENIED, lies=Lies.UNKNOWN), Cause.DENIED),
        (known(reply=Reply(403, "InvalidObjectState"), lies=Lies.ARCHIVED), Cause.ARCHIVED),
        (known(reply=None), Cause.UNREACHABLE),
        (known(reply=Reply(503, "SlowDown")), Cause.UNREACHABLE),
        (known(key=None), Cause.ELSEWHERE),
        (known(signed_for="PUT"), Cause.METHOD),
        (known(parse_url(f"{BASE}/recordings/a.mp4"), DENIED), Cause.UNSIGNED),
    ],
)
def test_each_cause_is_told_from_the_others(facts: UrlFacts, expected: Cause) -> None:
    """One verdict, with what was seen and what to do; no query in it."""
    assert cause(facts) is expected
    first, *_ = judge(facts, "--stack dev")
    assert first.title == expected.value
    assert first.seen
    assert bool(first.repair) is (first.severity is Severity.FAULT) is (expected is not Cause.WORKS)
    assert "X-Amz" not in repr(first)


def test_what_would_stop_a_new_url_is_said_too() -> None:
    """Whoever signs again should not have to come back."""
    for lies, word in ((Lies.GONE, "gone"), (Lies.DELETED, "gone"), (Lies.ARCHIVED, "archived")):
        _, more = judge(known(OLD, DENIED, lies), "--stack dev")
        assert more.severity is Severity.WARNING
        assert word in more.title
    assert len(list(judge(known(OLD, DENIED), "--stack dev"))) == 1
    assert "bring the old version back" in list(judge(known(OLD, DENIED, Lies.DELETED), "s"))[1].repair


def test_inactive_key_is_named() -> None:
    """The slot that the stack declares inactive explains what an error code does not."""
    titles = [found.title for found in judge(known(reply=DENIED, signer_is_active=False), "--stack dev")]
    assert titles == [Cause.DENIED.value, "the key reader blue is inactive"]


def test_strange_key_is_no_part_of_a_command() -> None:
    """A key with quotes is quoted, one with a control character is left out."""
    quoted = next(judge(known(OLD, DENIED, key="recordings/it's $(x).mp4"), "--stack dev"))
    assert quoted.repair == """recordings sign --stack dev 'recordings/it'"'"'s $(x).mp4'"""
    control = next(judge(known(OLD, DENIED, key="recordings/\x1b[2J.mp4"), "--stack dev"))
    assert control.repair == "recordings sign --stack dev KEY"
