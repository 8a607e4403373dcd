"""Who may send a webhook, without a server; and what of an event is read at all."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from starlette.requests import Request

from recordings.errors import ConfigurationError, UsageError
from recordings.webhook_events import FAILURES, MOST_IDS, SUCCESSES, parse_event
from recordings.webhook_guard import RefusedError, WebhookSettings

SECRET = "0123456789abcdef0123456789abcdef"
HEADER = ("x-webhook-secret", SECRET)


def settings(**environment: str) -> WebhookSettings:
    return WebhookSettings.from_environment({f"HMS_WEBHOOK_{name}": value for name, value in environment.items()})


def request(*headers: tuple[str, str], peer: str | None = "203.0.113.7") -> Request:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return Request({"type": "http", "headers": raw, "client": (peer, 1) if peer else None})


def outcome(guard: WebhookSettings, asked: Request) -> int:
    """200, or the status of the refusal, whose reason goes into a log."""
    refusal = RefusedError(200, "")
    try:
        guard.check(asked)
    except RefusedError as refused:
        refusal = refused
    assert SECRET not in refusal.reason
    return refusal.status


def test_right_secret_is_let_in_and_any_other_is_not() -> None:
    """A missing header, a second one and the right value under another name are all refused."""
    guard = settings(SECRET=SECRET)
    assert outcome(guard, request(HEADER)) == 200
    for headers in (
        [],
        [HEADER, HEADER],
        [("x-other", SECRET)],
        [("x-webhook-secret", "")],
        [HEADER, (*HEADER[:1], "x")],
    ):
        assert outcome(guard, request(*headers)) == 401


@given(given_=st.text(st.characters(max_codepoint=255), max_size=60))
def test_no_other_text_is_the_secret(given_: str) -> None:
    """Whatever bytes a header may hold."""
    assert outcome(settings(SECRET=SECRET), request(("x-webhook-secret", given_))) == (200 if given_ == SECRET else 401)


def test_without_a_secret_everything_is_refused() -> None:
    """Closed by default: nobody can guess that it is open."""
    for headers in ([], [HEADER], [("x-webhook-secret", "")]):
        assert outcome(settings(), request(*headers)) == 403


def test_header_s_name_can_be_chosen() -> None:
    """The default name is then like any other."""
    guard = settings(SECRET=SECRET, HEADER="X-Own")
    assert outcome(guard, request(("x-own", SECRET))) == 200
    assert outcome(guard, request(HEADER)) == 401


@pytest.mark.parametrize(
    ("allow", "proxies", "peer", "forwarded", "status"),
    [
        ("203.0.113.7", "", "203.0.113.7", "", 200),
        ("203.0.113.0/24, 10.0.0.1", "", "10.0.0.1", "", 200),
        ("203.0.113.7", "", "::ffff:203.0.113.7", "", 200),
        ("2001:db8::/32", "", "2001:db8::1", "", 200),
        ("203.0.113.7", "", "203.0.113.8", "", 403),
        ("203.0.113.7", "", None, "", 403),
        ("203.0.113.7", "", "not-an-address", "", 403),
        ("203.0.113.7", "", "10.0.0.1", "203.0.113.7", 403),
        ("203.0.113.7", "10.0.0.0/8", "10.0.0.1", "203.0.113.7", 200),
        ("203.0.113.7", "10.0.0.0/8", "10.0.0.1", "203.0.113.7, 10.0.0.2", 200),
        ("203.0.113.7", "10.0.0.0/8", "10.0.0.1", "203.0.113.7, 198.51.100.1", 403),
        ("203.0.113.7", "10.0.0.0/8", "10.0.0.1", "203.0.113.7, nonsense", 403),
        ("203.0.113.7", "10.0.0.0/8", "198.51.100.1", "203.0.113.7", 403),
        ("203.0.113.7", "10.0.0.0/8", "10.0.0.1", "", 403),
    ],
)
def test_list_of_addresses(allow: str, proxies: str, peer: str | None, forwarded: str, status: int) -> None:
    """The peer counts; what a header says of others only if a named proxy says it, and only its own last word."""
    headers = [HEADER, *([("x-forwarded-for", forwarded)] if forwarded else [])]
    guard = settings(SECRET=SECRET, ALLOW=allow, PROXIES=proxies)
    assert outcome(guard, request(*headers, peer=peer)) == status


@given(address=st.ip_addresses(), forwarded=st.text(st.characters(max_codepoint=127), max_size=80))
def test_no_header_opens_the_list_without_named_proxies(address: Any, forwarded: str) -> None:
    """Headers of proxies are not believed by default."""
    guard = settings(SECRET=SECRET, ALLOW="203.0.113.7")
    headers = [HEADER, ("x-forwarded-for", forwarded), ("forwarded", "for=203.0.113.7"), ("x-real-ip", "203.0.113.7")]
    expected = 200 if address == ipaddress.ip_address("203.0.113.7") else 403
    assert outcome(guard, request(*headers, peer=str(address))) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET", "short"),
        ("SECRET", SECRET + " "),
        ("SECRET", "é" * 20),
        ("HEADER", "not a name"),
        ("ALLOW", "203.0.113.7/8"),
        ("ALLOW", "100ms.live"),
        ("PROXIES", "10.0.0"),
    ],
)
def test_setting_that_cannot_be_meant_is_refused(name: str, value: str) -> None:
    """It names the variable and the legal form; a secret is not quoted."""
    with pytest.raises(ConfigurationError, match=f"HMS_WEBHOOK_{name}") as caught:
        settings(**{name: value})
    assert name != "SECRET" or value not in str(caught.value)
    assert SECRET not in repr(settings(SECRET=SECRET))


@given(sizes=st.lists(st.integers(0, 40), max_size=8))
def test_body_ends_at_its_limit(sizes: list[int]) -> None:
    """Counted as it comes, whatever length was announced."""
    guard = WebhookSettings(SecretStr(SECRET), body_limit=64)

    class Streamed(Request):
        async def stream(self) -> AsyncGenerator[bytes, None]:
            for size in sizes:
                yield b"x" * size

    body = guard.body(Streamed({"type": "http", "headers": [(b"content-length", b"1")]}))
    if sum(sizes) <= 64:
        assert asyncio.run(body) == b"x" * sum(sizes)
    else:
        with pytest.raises(RefusedError, match="longer than 64"):
            asyncio.run(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["recording_id", "asset_id", "x_asset_id", "room_id", "error_type", "error_message", "data", "y"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(kind=st.sampled_from(sorted(SUCCESSES | FAILURES)), data=JSON, account=JSON)
def test_event_of_any_content_is_read_or_refused(kind: str, data: Any, account: Any) -> None:
    """Never another error; only ids that may stand in a request come through, and one line of message."""
    try:
        event = parse_event({"type": kind, "data": data, "account_id": account})
    except UsageError:
        assert not isinstance(data, dict)
        return
    assert event is not None
    ids = [*event.asset_ids, event.room_id, event.session_id, event.job_id, event.account_id, event.error]
    assert all(found is None or (found.isascii() and "/" not in found and 0 < len(found) <= 64) for found in ids)
    assert event.message.isprintable()


@given(kind=st.text(), data=JSON)
def test_event_of_another_kind_is_none_of_ours(kind: str, data: Any) -> None:
    """100ms sends every kind of event to one address."""
    assert kind in SUCCESSES | FAILURES or parse_event({"type": kind, "data": data}) is None


def test_ids_are_found_wherever_100ms_puts_them() -> None:
    """Named at the top, in lists of files, each once, in order; and only so many."""
    files = [{"asset_id": "b"}, {"asset_id": "c", "recording_path": "s3://x"}, {"asset_id": "b"}]
    data = {"recording_id": "a", "recording_single_files": files, "hls_vod_recording_asset_id": "d", "beam_id": "job"}
    event = parse_event({"type": "hls.recording.success", "data": data})
    assert event is not None
    assert (event.asset_ids, event.job_id) == (("a", "b", "c", "d"), "job")
    many = {"files": [{"asset_id": str(number)} for number in range(500)]}
    event = parse_event({"type": "hls.recording.success", "data": many})
    assert event is not None
    assert len(event.asset_ids) == MOST_IDS
