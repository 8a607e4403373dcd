"""The operator on Google: who is logged in, how long it tries, and what guards it sees. Requests end in a script."""

from __future__ import annotations

import io
import json
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Final

import google.auth.credentials
import google.auth.exceptions
import httpx
import pytest
import requests
import urllib3
from google.cloud.storage.bucket import IAMConfiguration
from requests.adapters import BaseAdapter

from recordings.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    CredentialsError,
    PreconditionError,
    StoreError,
    StoreUnreachableError,
)
from recordings.stores import LifecycleRule, ObjectVersion
from recordings.stores.gcs_guards import guards
from recordings.stores.gcs_operator import BearerAuth, Login, OperatorStore, TokenOnly
from recordings.stores.gcs_wire import GOOGLE
from tests.unit.google_fake import credentials
from tests.unit.hms_fake import Clock

OBJECT: Final = {
    "name": "k",
    "size": "3",
    "generation": "7",
    "contentType": "video/mp4",
    "updated": "2026-07-01T10:00:00.123Z",
    "storageClass": "STANDARD",
}
Reply = tuple[int, Any, dict[str, str]] | Exception


def reply(status: int = 200, body: Any = None, **headers: str) -> Reply:
    """An answer of the JSON API."""
    return status, body, {name.replace("_", "-"): value for name, value in headers.items()}


def refusal(status: int, reason: str, message: str = "Said so.", **headers: str) -> Reply:
    """An error of the JSON API."""
    return reply(status, {"error": {"message": message, "errors": [{"reason": reason}]}}, **headers)


class _Adapter(BaseAdapter):
    """Replies in their order, the last for ever; thread-safe."""

    def __init__(self, replies: tuple[Reply, ...]) -> None:
        super().__init__()
        self.requests: list[requests.PreparedRequest] = []
        self._replies = iter(replies)
        self._last = replies[-1]
        self._lock = threading.Lock()

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        with self._lock:
            self.requests.append(request)
            answer = next(self._replies, self._last)
        if isinstance(answer, Exception):
            raise answer
        status, body, headers = answer
        response = requests.Response()
        response.status_code, response.request, response.url = status, request, str(request.url)
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        response.headers.update({"content-type": "application/json", "content-length": str(len(content)), **headers})
        response.raw = urllib3.HTTPResponse(
            io.BytesIO(content), response.headers, status, preload_content=False, enforce_content_length=True
        )
        return response

    def close(self) -> None:
        return None


class _LoggedIn(Login):
    """A login that needs nobody."""

    def __init__(self, found: google.auth.credentials.Credentials, project: str | None = "some-project") -> None:
        self.__dict__["_found"] = (found, project)


class _Fresh(google.auth.credentials.Credentials):
    """A token that is good."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.token = "token"

    def refresh(self, request: Any) -> None:
        self.token = "again"


class Script:
    """An operator's store that talks to a list of replies."""

    def __init__(self, *replies: Reply) -> None:
        self.clock = Clock()
        self.store = OperatorStore("bucket", "https://127.0.0.1:1", _LoggedIn(_Fresh()), timing=self.clock.timing())
        self._adapter = _Adapter(replies)
        self.store._client._http.mount("https://", self._adapter)

    @property
    def requests(self) -> list[requests.PreparedRequest]:
        """Those that came."""
        return self._adapter.requests


@pytest.mark.parametrize(
    "trouble",
    [
        reply(503),
        reply(500, b"<html>"),
        refusal(429, "rateLimitExceeded"),
        refusal(403, "userRateLimitExceeded"),
        requests.ConnectionError("refused"),
        requests.ReadTimeout("slow"),
    ],
    ids=str,
)
def test_trouble_that_may_pass_is_sat_out(trouble: Reply) -> None:
    """At least eight attempts within 15 minutes, our own and not the library's; then the error says so."""
    script = Script(*[trouble] * 7, reply(200, OBJECT))
    assert script.store.head("k").etag == "7"
    assert len(script.requests) == 8
    for_ever = Script(trouble)
    with pytest.raises(StoreUnreachableError, match="retries are used up"):
        for_ever.store.put("k", b"x")
    assert len(for_ever.requests) >= 8
    assert sum(for_ever.clock.slept) <= 900


def test_retry_after_is_honoured() -> None:
    """Never sooner than Google asks."""
    script = Script(refusal(429, "rateLimitExceeded", retry_after="77"), reply(200, OBJECT))
    script.store.head("k")
    assert script.clock.slept == [77.0]


def test_refusal_is_said_at_once_and_shows_no_url() -> None:
    """No second attempt; the library's own message, which has the whole URL, is not shown."""
    script = Script(refusal(403, "forbidden", "sa does not have storage.objects.get access"))
    with pytest.raises(AccessDeniedError, match=r"head gs://bucket/k as operator: forbidden \(sa does not") as caught:
        script.store.head("k")
    assert len(script.requests) == 1
    assert "127.0.0.1" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_object_and_bucket_that_are_missing_are_told_apart() -> None:
    """Both are 404 with the same reason: the message tells."""
    with pytest.raises(BucketNotFoundError, match="bucketName"):
        Script(refusal(404, "notFound", "The specified bucket does not exist.")).store.head("k")


def test_listing_goes_on_where_a_page_failed() -> None:
    """The page alone is asked for again, not those before."""
    script = Script(
        reply(200, {"items": [OBJECT | {"name": "a"}], "nextPageToken": "more"}),
        reply(503),
        reply(200, {"items": [OBJECT | {"name": "b"}]}),
    )
    assert [info.key for info in script.store.list("p/")] == ["a", "b"]
    tokens = ["pageToken=more" in str(request.url) for request in script.requests]
    assert tokens == [False, True, True]


def test_listing_of_nothing_is_empty() -> None:
    """An answer without items."""
    assert list(Script(reply(200, {})).store.list_versions()) == []


def test_versions_say_which_is_live() -> None:
    """Google has no markers: what has no deletion time is the latest."""
    old = OBJECT | {"generation": "5", "timeDeleted": "2026-07-02T10:00:00Z"}
    versions = list(Script(reply(200, {"items": [old, OBJECT]})).store.list_versions("k"))
    assert [(v.version_id, v.is_latest, v.is_marker) for v in versions] == [("5", False, False), ("7", True, False)]


def test_delete_versions_counts_what_is_gone_and_raises_for_what_stays() -> None:
    """One that is gone already counts; a refusal is an error that names the object."""
    versions = [ObjectVersion(f"k{n}", str(n), True, False, 1, datetime.now(UTC)) for n in range(20)]
    gone = Script(*[reply(204)] * 10, refusal(404, "notFound", "No such object"))
    assert gone.store.delete_versions(versions) == 20
    assert {str(request.url).partition("generation=")[2].partition("&")[0] for request in gone.requests} == {
        str(n) for n in range(20)
    }
    with pytest.raises(AccessDeniedError, match=r"gs://bucket/k0"):
        Script(refusal(403, "forbidden")).store.delete_versions(versions[:1])


def test_range_and_description_are_of_one_generation() -> None:
    """What is written in between is not read in part: the bytes are asked for by the generation."""
    script = Script(reply(200, OBJECT), reply(206, b"el", content_type="video/mp4"))
    body, info = script.store.read("k", first=1, last=2)
    assert (body, info.etag, info.size) == (b"el", "7", 3)
    assert "generation=7" in str(script.requests[1].url)
    assert script.requests[1].headers["range"] == "bytes=1-2"


def test_body_that_breaks_off_is_asked_for_again() -> None:
    """Fewer bytes than were announced are no object."""
    short = reply(200, b"vid", content_length="5", content_type="video/mp4")
    whole = reply(200, b"video", content_type="video/mp4")
    assert Script(reply(200, OBJECT), short, whole).store.read("k")[0] == b"video"


def test_lost_race_is_a_precondition() -> None:
    """412, and a token that is no generation."""
    script = Script(refusal(412, "conditionNotMet"))
    with pytest.raises(PreconditionError):
        script.store.put("k", b"x", if_match="7")
    assert "ifGenerationMatch=7" in str(script.requests[0].url)
    with pytest.raises(PreconditionError):
        script.store.put("k", b"x", if_match="etag")
    assert len(script.requests) == 1


def test_nobody_logged_in_is_told_how_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked first; nothing is asked of the network."""

    def nobody(**_: Any) -> Any:
        raise google.auth.exceptions.DefaultCredentialsError("File /home/somebody was not found.")

    monkeypatch.setattr("google.auth.default", nobody)
    store = OperatorStore("bucket", GOOGLE, Login())
    for attempt in (
        lambda: store.put("k", b"x"),
        lambda: store.sign("k", timedelta(hours=1)),
        lambda: store.create_upload("k"),
        store.account,
    ):
        with pytest.raises(CredentialsError, match="gcloud auth application-default login") as caught:
            attempt()
        assert "somebody" not in str(caught.value)


def test_login_without_a_project_works_but_has_no_account() -> None:
    """A project is only needed to compare it with the expected one."""
    store = OperatorStore("bucket", "https://127.0.0.1:1", _LoggedIn(_Fresh(), None))
    store._client._http.mount("https://", _Adapter((reply(200, OBJECT),)))
    assert store.head("k").size == 3
    with pytest.raises(CredentialsError, match="GOOGLE_CLOUD_PROJECT"):
        store.account()


def test_uploads_bear_the_operators_token() -> None:
    """The XML API takes it too; a token that ran out is renewed before."""
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200, text="<R><UploadId>u</UploadId></R>")

    login = _Fresh()
    store = OperatorStore("bucket", GOOGLE, _LoggedIn(login), transport=httpx.MockTransport(answer))
    assert store.create_upload("k") == "u"
    login.token = None
    assert store.create_upload("k") == "u"
    assert seen == ["Bearer token", "Bearer again"]


def test_token_that_cannot_be_had_is_a_store_error() -> None:
    """It comes out of the middle of a request as what it is."""

    def refused() -> str:
        raise CredentialsError("no")

    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    with httpx.Client(transport=transport, auth=BearerAuth(refused)) as client, pytest.raises(CredentialsError):
        client.get("https://host/")


def test_token_is_all_that_another_endpoint_learns() -> None:
    """The wrapped login renews its token and is asked nothing else."""
    inner = _Fresh()
    held = TokenOnly(inner)
    assert not held.valid
    held.refresh(None)
    assert held.token == inner.token == "again"
    store = OperatorStore("bucket", GOOGLE, _LoggedIn(inner))
    assert store._client._credentials is inner


def test_operator_signs_with_its_own_service_account() -> None:
    """RSA, on this machine, where the login is a JSON key."""
    store = OperatorStore("bucket", GOOGLE, _LoggedIn(credentials("op@p.iam.gserviceaccount.com")))
    url = store.sign("k", timedelta(hours=1), at=datetime(2026, 7, 1, tzinfo=UTC)).reveal()
    assert url.startswith(f"{GOOGLE}/bucket/k?X-Goog-Algorithm=GOOG4-RSA-SHA256&")
    assert "op%40p.iam.gserviceaccount.com%2F20260701%2Fauto" in url
    with pytest.raises(CredentialsError, match="impersonate"):
        OperatorStore("bucket", GOOGLE, _LoggedIn(_Fresh())).sign("k", timedelta(hours=1))


def bucket_with(*rules: dict[str, Any], prevention: str = "enforced", uniform: bool = True, kept: bool = True) -> Any:
    """A loaded bucket, as far as guards are read from it."""
    access = IAMConfiguration(None, public_access_prevention=prevention, uniform_bucket_level_access_enabled=uniform)
    soft = SimpleNamespace(retention_duration_seconds=604_800 if kept else None)
    return SimpleNamespace(
        iam_configuration=access, versioning_enabled=kept, lifecycle_rules=rules, soft_delete_policy=soft
    )


def rule(action: str, **condition: Any) -> dict[str, Any]:
    """One lifecycle rule of a bucket's resource."""
    return {"action": {"type": action}, "condition": condition}


CASES: list[tuple[dict[str, Any], list[LifecycleRule]]] = [
    (rule("Delete", age=1, matchesPrefix=["a/", "b/"]), [LifecycleRule("a/", 1), LifecycleRule("b/", 1)]),
    (rule("Delete", age=1), [LifecycleRule("", expires_days=1)]),
    (rule("Delete", age=1, isLive=True), [LifecycleRule("", expires_days=1)]),
    (rule("Delete", daysSinceNoncurrentTime=30), [LifecycleRule("", old_versions_days=30)]),
    (rule("Delete", age=9, isLive=False), [LifecycleRule("", old_versions_days=9)]),
    (rule("AbortIncompleteMultipartUpload", age=7), [LifecycleRule("", abort_uploads_days=7)]),
    (rule("SetStorageClass", age=7), []),
    (rule("Delete", age=1, matchesSuffix=[".mp4"]), []),
    (rule("Delete", daysSinceNoncurrentTime=30, numNewerVersions=2), []),
]


@pytest.mark.parametrize(("found", "expected"), CASES)
def test_lifecycle_rules_count_for_what_they_do(found: dict[str, Any], expected: list[LifecycleRule]) -> None:
    """Per prefix; a rule that holds for some objects only counts for none."""
    assert list(guards(bucket_with(found)).lifecycle) == expected


@pytest.mark.parametrize(
    ("how", "refuses"),
    [({}, True), ({"prevention": "inherited"}, False), ({"uniform": False}, False), ({"kept": False}, True)],
)
def test_public_access_is_refused_by_prevention_and_uniform_access_together(how: dict[str, Any], refuses: bool) -> None:
    """Without uniform access an ACL could still show an object to somebody."""
    found = guards(bucket_with(**how))
    assert found.refuses_public_access is refuses
    assert found.keeps_versions is how.get("kept", True)
    assert found.soft_delete == timedelta(days=7 if how.get("kept", True) else 0)


@pytest.fixture(autouse=True)
def library_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's own waiting would be real, and what it asks in a thread for its traces is not ours to count."""
    monkeypatch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")

    def never(_: float) -> None:
        raise AssertionError("the library waits by itself")

    monkeypatch.setattr("time.sleep", never)


def test_store_error_is_all_that_comes_out() -> None:
    """A body that is no JSON where JSON is promised is said, too."""
    with pytest.raises(StoreError):
        Script(requests.exceptions.InvalidJSONError("no")).store.head("k")
