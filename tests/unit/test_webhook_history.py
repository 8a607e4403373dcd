"""The history of webhooks: how the fake 100ms shows it, how it is read page by page, and what becomes of reasons."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from recordings.hms import HmsClient
from recordings.hms_auth import HmsCredentials
from recordings.retry import RetryPolicy, Timing
from recordings.watch_reasons import LONGEST, reasons
from sandbox.hms.state import stamp
from tests.unit.hms_in_process import Api

NOW = datetime.now(UTC)


def event(kind: str, number: int, **data: Any) -> dict[str, Any]:
    envelope = {"id": f"e{number}", "timestamp": stamp(NOW), "type": kind, "data": {"room_id": "r", **data}}
    return {"id": f"{number}", "envelope": envelope, "webhook": {"url": "u"}, "delivered": number % 2 == 0}


def client(api: Api, *, refuse: frozenset[str] = frozenset()) -> HmsClient:
    """Ours, on the fake; it refuses to show some kinds of event."""

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.params.get("event_names") in refuse:
            return httpx.Response(400, json={"code": 400, "message": "unknown event", "details": []})
        answer = api.call("GET", request.url.path.removeprefix("/v2"), params=dict(request.url.params))
        return httpx.Response(answer.status_code, content=answer.content)

    credentials = HmsCredentials(token=SecretStr(api.token()), api_url="https://api/v2")
    timing = Timing(sleep=lambda _: None)
    return HmsClient(credentials, transport=httpx.MockTransport(handle), policy=RetryPolicy(1), timing=timing)


@pytest.fixture
def api() -> Api:
    made = Api()
    for number in range(250):
        made.state.events[str(number)] = event("beam.failure", number, job_id=f"j{number}", error_type="UPLOAD_ERROR")
    made.state.events["other"] = event("peer.join.success", 300)
    return made


def test_history_is_paged_and_filtered(api: Api) -> None:
    """By kind and by whether it arrived, newest first, at most a hundred a page; it names what was sent, no header."""
    first = api.get("/analytics/webhooks", event_names="beam.failure", limit="100")
    assert first["pagination"] == {
        "current_page": 1,
        "page_size": 100,
        "total_pages": 3,
        "total_items": 250,
        "has_next": True,
        "has_prev": False,
    }
    assert first["events"][0]["event_id"] == "e249"
    assert first["events"][0]["payload"]["error_reason"] == "timeout"
    assert api.get("/analytics/webhooks", status="success", limit="1")["pagination"]["total_items"] == 126
    assert api.refusal("GET", "/analytics/webhooks?limit=101")[0] == 400
    old = (NOW - timedelta(days=31)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert api.refusal("GET", f"/analytics/webhooks?start_time={old}")[0] == 400


def test_reasons_come_from_every_page(api: Api) -> None:
    """By job and session, as far back as 100ms shows; a code that is none is left out."""
    api.state.events["odd"] = event("beam.failure", 400, session_id="s", error_type="<script>")
    with client(api) as hms:
        told = reasons(hms, NOW - timedelta(days=300), datetime.now(UTC))
    assert told == {f"j{number}": "UPLOAD_ERROR" for number in range(250)}
    assert timedelta(days=14) > LONGEST


def test_history_that_is_refused_leaves_reasons_unknown(api: Api) -> None:
    """Of one kind or of all: the watch goes on."""
    api.state.events["hls"] = event("hls.failure", 500, session_id="s", error_type="INTERNAL_ERROR")
    with client(api, refuse=frozenset({"beam.failure"})) as hms:
        assert reasons(hms, NOW - timedelta(days=1), NOW) == {"s": "INTERNAL_ERROR"}


def test_forgetting_leaves_what_was_there_at_the_start(api: Api) -> None:
    """Then a list shows what is seeded after it, though it has as many as before."""
    start = {kind: [item["id"] for item in api.get(f"/{kind}")["data"]] for kind in ("templates", "rooms")}
    before = api.seed(assets=[{"id": "before"}], rooms=[{}], templates=[{}])
    assert [asset["id"] for asset in api.get("/recording-assets")["data"]] == before["assets"]
    api.post("/_sandbox/forget", {})
    after = api.seed(assets=[{"id": "after"}])
    assert [asset["id"] for asset in api.get("/recording-assets")["data"]] == after["assets"]
    assert {kind: [item["id"] for item in api.get(f"/{kind}")["data"]] for kind in start} == start
    assert not api.state.events
