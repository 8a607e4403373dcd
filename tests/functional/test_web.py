"""The download endpoint over HTTP: what leads to a URL, what does not, and who may ask at all."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Mount

from recordings.catalog_entries import CatalogEntry
from recordings.errors import ConfigurationError, UsageError
from recordings.web import Action, closed, create_app
from sandbox.servers import Sandbox
from tests.functional.clients import browser, control
from tests.functional.databases import rows
from tests.functional.stand import Stand, entered
from tests.functional.web_server import ROOM, SECRET, WebStand, client, web_stand


@pytest.fixture(autouse=True)
def in_sandbox(sandbox: Sandbox) -> Iterator[None]:
    with entered(sandbox):
        yield


@pytest.fixture(scope="module")
def place(sandbox: Sandbox) -> Iterator[WebStand]:
    """One bucket and one database for all tests here; each adds rows of its own."""
    with entered(sandbox):
        stand = Stand.build()
    with web_stand(sandbox, stand) as made:
        yield made


@pytest.fixture(scope="module")
def http(sandbox: Sandbox, place: WebStand) -> Iterator[httpx.Client]:
    """The application, open to everybody."""
    with entered(sandbox), client(place.app()) as made:
        yield made


@pytest.fixture
def visitor(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with browser(sandbox) as made:
        yield made


def test_download_redirects_to_a_url_that_downloads(place: WebStand, http: httpx.Client, visitor: httpx.Client) -> None:
    """307, never cached, saved under the recording's own name; HEAD says the same with no body."""
    id_ = place.add(place.put("Rec-é 1.mp4"))
    for method in ("GET", "HEAD"):
        answer = http.request(method, f"/recordings/{id_}/download")
        assert (answer.status_code, answer.headers["cache-control"], answer.content) == (307, "no-store", b"")
        assert answer.headers["x-recording-storage"] == "s3"
    got = visitor.get(answer.headers["location"])
    assert (got.status_code, got.content) == (200, b"recording")
    assert (
        got.headers["content-disposition"]
        == "attachment; filename=\"Rec-_ 1.mp4\"; filename*=UTF-8''Rec-%C3%A9%201.mp4"
    )


def test_inline_download_is_for_a_player(place: WebStand, http: httpx.Client, visitor: httpx.Client) -> None:
    """No file name, so that a browser shows it; a Range is served."""
    id_ = place.add(place.put())
    answer = http.get(f"/recordings/{id_}/download", params={"disposition": "inline"})
    got = visitor.get(answer.headers["location"], headers={"Range": "bytes=2-4"})
    assert (got.status_code, got.content) == (206, b"cor")
    assert "content-disposition" not in got.headers


def test_json_has_url_and_expiry(place: WebStand, http: httpx.Client, visitor: httpx.Client) -> None:
    """An hour from now; where it lies in the bucket is not told but by the URL."""
    id_ = place.add(place.put())
    answer = http.get(f"/recordings/{id_}")
    said = answer.json()
    left = datetime.fromisoformat(said["expiresAt"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(hours=1)
    assert visitor.get(said.pop("url")).content == b"recording"
    assert {name: said[name] for name in ("id", "roomId", "storage", "fallback", "sizeBytes")} == {
        "id": id_,
        "roomId": ROOM,
        "storage": "s3",
        "fallback": False,
        "sizeBytes": 9,
    }
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("id_", ["unknown", "a" * 500, "%00", "%F0%9F%8E%A5", "..", "%2e%2e"])
def test_unknown_recording_is_404(http: httpx.Client, id_: str) -> None:
    """Also what the database could not hold."""
    answer = http.get(f"/recordings/{id_}/download")
    assert answer.status_code == 404


def test_object_that_is_gone_is_410(place: WebStand, http: httpx.Client) -> None:
    """The row is there, the object is not."""
    answer = http.get(f"/recordings/{place.add()}/download")
    assert (answer.status_code, answer.json()["error"]["code"]) == (410, "gone")


def test_archived_object_is_409_with_its_class(place: WebStand, http: httpx.Client) -> None:
    """Until it is restored; the class that is read at once is delivered."""
    path = place.put("cold.mp4", StorageClass="DEEP_ARCHIVE")
    answer = http.get(f"/recordings/{place.add(path)}/download")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "archived")
    assert answer.json()["error"]["storageClass"] == "DEEP_ARCHIVE"
    ready = place.put("cool.mp4", StorageClass="GLACIER_IR")
    assert http.get(f"/recordings/{place.add(ready)}/download").status_code == 307


@pytest.mark.parametrize(
    "path",
    [
        "s3://another-bucket/recordings/x.mp4",
        "gs://{bucket}/recordings/x.mp4",
        "s3://{bucket}/elsewhere/x.mp4",
        "s3://{bucket}/recordings/../x.mp4",
        "s3://{bucket}/recordings/%2e%2e/x.mp4",
        "s3://{bucket}/.recordings/memory",
        "https://169.254.169.254/recordings/x.mp4",
        "/recordings/x.mp4",
        "recordings",
    ],
)
def test_path_of_a_row_is_never_trusted(place: WebStand, http: httpx.Client, path: str) -> None:
    """Another bucket, another prefix, `..`: refused, and no URL made."""
    answer = http.get(f"/recordings/{place.add(path.format(bucket=place.stand.bucket))}/download")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "path-refused")
    assert "location" not in answer.headers


def at_100ms(sandbox: Sandbox, place: WebStand) -> str:
    """A recording asset in 100ms' own storage, with its row; the object need not exist."""
    made = control(sandbox, "hms", "POST", "seed", {"assets": [{"_storage": OWN, "_key": "x.mp4"}]})
    id_: str = made["assets"][0]
    return place.add("s3://100ms-own/x.mp4", provider="100ms", asset_id=id_)


OWN = {
    "type": "s3",
    "location": "100ms-own",
    "prefix": "x",
    "region": "us-east-1",
    "key": "AKIAOWN",
    "secret": "nobodys",
}


def test_recording_at_100ms_falls_back_to_its_url_and_says_so(
    sandbox: Sandbox, place: WebStand, http: httpx.Client
) -> None:
    """In the header and in the JSON."""
    id_ = at_100ms(sandbox, place)
    answer = http.get(f"/recordings/{id_}/download")
    assert (answer.status_code, answer.headers["x-recording-storage"]) == (307, "100ms")
    assert "100ms-own/x.mp4?" in answer.headers["location"]
    said = http.get(f"/recordings/{id_}").json()
    assert (said["storage"], said["fallback"]) == ("100ms", True)


def test_recording_that_100ms_keeps_no_longer_is_410(place: WebStand, http: httpx.Client) -> None:
    """It was there for 15 days."""
    answer = http.get(f"/recordings/{place.add('s3://100ms-own/y.mp4', provider='100ms')}/download")
    assert (answer.status_code, answer.json()["error"]["code"]) == (410, "gone")


def test_failed_recording_has_no_file(place: WebStand, http: httpx.Client) -> None:
    """100ms lists those too."""
    failed = place.add("", provider="100ms", status="failed")
    assert http.get(f"/recordings/{failed}/download").json()["error"]["code"] == "no-file"


def test_list_is_paged_by_key(place: WebStand, http: httpx.Client) -> None:
    """Newest first; every row once, whatever is added in between."""
    room = "room-of-pages"
    ids = [place.add(room_id=room) for _ in range(5)]
    seen: list[str] = []
    query = {"limit": "2", "room": room}
    while True:
        page = http.get("/recordings", params=query).json()
        seen += [recording["id"] for recording in page["recordings"]]
        if page["next"] is None:
            break
        query["after"] = page["next"]
        place.add(room_id=room, recorded_at=datetime(2027, 1, 1, tzinfo=UTC))
    assert seen == ids[::-1]
    assert "url" not in page["recordings"][0]
    assert "file_path" not in json.dumps(page)


@pytest.mark.parametrize(
    "query",
    [
        *({"limit": limit} for limit in ("0", "101", "x", "٣", "9" * 400)),
        *({"after": after} for after in ("x", "WzEsIDJd", "é")),
        *({"room": room} for room in ("\0", "r" * 201)),
    ],
)
def test_bad_parameter_is_400(http: httpx.Client, query: dict[str, str]) -> None:
    """With the legal values, and never an error of ours."""
    answer = http.get("/recordings", params=query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad-request")


def test_every_request_is_403_without_a_hook(place: WebStand) -> None:
    """Closed by default, with the database down as well; the webhook has a secret of its own."""
    id_ = place.add(place.put())
    with client(place.app(closed, database_url="postgresql://nobody@127.0.0.1:9/none")) as http:
        paths = ["/", "/page.css", "/openapi.json", "/recordings", f"/recordings/{id_}", f"/recordings/{id_}/download"]
        for path in [*paths, "/recordings/unknown", "/elsewhere"]:
            for method in ("GET", "HEAD", "POST", "DELETE"):
                assert http.request(method, path).status_code == 403, path
        assert http.post("/webhooks/100ms", json={}).status_code == 401


async def only_own(request: Request, action: Action, recording: CatalogEntry | None) -> bool:
    """The rooms that a header names; 401 for who names none."""
    room = request.headers.get("x-room")
    if room is None:
        raise HTTPException(401, "log in", {"WWW-Authenticate": "Session"})
    return recording.room_id == room if recording else action is Action.LIST


def test_hook_decides_by_request_action_and_recording(place: WebStand) -> None:
    """Others' rows are neither listed nor delivered, nor told from those that do not exist; the hook may say 401."""
    mine, other = place.add(place.put(), room_id="mine"), place.add(place.put(), room_id="other")
    with client(place.app(only_own)) as http:
        assert http.get("/recordings").status_code == 401
        assert http.get("/recordings").headers["www-authenticate"] == "Session"
        http.headers["x-room"] = "mine"
        assert {row["roomId"] for row in http.get("/recordings").json()["recordings"]} == {"mine"}
        page = http.get("/", params={"room": "other"})
        assert (page.status_code, other in page.text) == (200, False)
        assert http.get(f"/recordings/{mine}/download").status_code == 307
        assert [http.get(f"/recordings/{id_}/download").status_code for id_ in (other, "unknown")] == [403, 403]
        assert http.get("/", params={"play": other}).status_code == 403


async def truthy(request: Request, action: Action, recording: CatalogEntry | None) -> bool:
    return "no"  # type: ignore[return-value]


def synchronous(request: Request, action: Action, recording: CatalogEntry | None) -> bool:
    return True


def test_only_true_allows(place: WebStand) -> None:
    """A hook that forgets to answer, or answers with something else, allows nothing; a synchronous one is refused."""
    with client(place.app(truthy)) as http:
        assert http.get("/recordings").status_code == 403
    with pytest.raises(ConfigurationError, match="async def"):
        place.app(synchronous)


def test_life_is_bounded_and_webhook_needs_credentials(place: WebStand) -> None:
    """Wrong settings are found when the application is made, not when it is asked."""
    with pytest.raises(UsageError, match="7 days"):
        place.app(life=timedelta(days=8))
    with pytest.raises(ConfigurationError, match="HMS_ACCESS_KEY"):
        place.app(hms=None)


def test_database_that_is_down_is_503(place: WebStand, monkeypatch: pytest.MonkeyPatch) -> None:
    """With Retry-After; nothing of the connection string is told."""
    monkeypatch.setattr("recordings.web.services.DATABASE_SECONDS", 0.3)
    with client(place.app(database_url="postgresql://nobody:hidden@127.0.0.1:9/none")) as http:
        answer = http.get("/recordings")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "hidden" not in answer.text


def test_storage_that_does_not_answer_is_503(place: WebStand) -> None:
    """A client may try again; no URL that would not work is given."""
    id_ = place.add(place.put())
    nowhere = place.stand.declared(endpointUrl="https://127.0.0.1:9").outputs
    with client(place.app(outputs=nowhere)) as http:
        answer = http.get(f"/recordings/{id_}/download")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage")


def test_key_that_is_refused_is_502(place: WebStand) -> None:
    """It is this server's fault, not the caller's; the log says why."""
    id_ = place.add(place.put())
    wrong = place.stand.declared(readerAccessKeyId="AKIAUNKNOWN", readerKeys={}).outputs
    with client(place.app(outputs=wrong)) as http:
        assert http.get(f"/recordings/{id_}/download").status_code == 502


def test_former_bucket_is_read_from(place: WebStand, http: httpx.Client) -> None:
    """A row of a bucket that the stack kept recordings in before leads there, and to no other."""
    former = place.stand.declared(
        bucketName="new-bucket",
        formerBuckets=[{"bucketName": place.stand.bucket, "region": "us-east-1", "pathPrefix": "recordings/"}],
    ).outputs
    id_ = place.add(place.put())
    with client(place.app(outputs=former)) as other:
        assert place.stand.bucket in other.get(f"/recordings/{id_}/download").headers["location"]


def test_mounted_in_another_application_it_needs_no_lifespan(place: WebStand) -> None:
    """Starlette and FastAPI send a mounted application none; links lead below the mount."""
    id_ = place.add(place.put())
    inner = place.app()

    @asynccontextmanager
    async def closing(_: Starlette) -> AsyncIterator[None]:
        yield
        async with inner.router.lifespan_context(inner):
            pass

    with client(Starlette(routes=[Mount("/media", inner)], lifespan=closing)) as http:
        assert http.get(f"/media/recordings/{id_}/download").status_code == 307
        assert f'href="/media/recordings/{id_}/download"' in http.get("/media/").text
        assert http.get("/media/openapi.json").json()["servers"] == [{"url": "/media"}]


def test_webhook_brings_a_row_that_is_delivered(
    sandbox: Sandbox, place: WebStand, http: httpx.Client, visitor: httpx.Client
) -> None:
    """From event to row to download, by one application."""
    path = place.put("hooked.mp4", b"hooked")
    made = control(sandbox, "hms", "POST", "seed", {"assets": [{"path": path, "session_id": "s1", "job_id": "job1"}]})
    event = {
        "version": "2.0",
        "id": "e1",
        "type": "beam.recording.success",
        "timestamp": "2026-01-15T10:00:00Z",
        "data": {"recording_path": path, "recording_id": "job1", "room_id": ROOM, "session_id": "s1"},
    }
    assert http.post("/webhooks/100ms", json=event).status_code == 401
    answer = http.post("/webhooks/100ms", json=event, headers={"X-Webhook-Secret": SECRET})
    assert (answer.status_code, answer.json()) == (200, {"result": "done"})
    assert rows(place.database_url, "select storage_provider from meeting_recordings where file_path = %s", path) == [
        ("s3",)
    ]
    found = http.get(f"/recordings/{quote(made['assets'][0])}/download")
    assert visitor.get(found.headers["location"]).content == b"hooked"


def test_every_answer_tells_browsers_to_be_careful(http: httpx.Client) -> None:
    """Errors too."""
    for path in ("/", "/recordings", "/recordings/unknown", "/elsewhere", "/page.css"):
        headers = http.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in headers["content-security-policy"]


def test_default_hook_is_the_closed_one(place: WebStand) -> None:
    """Nobody opens it by leaving something out."""
    with client(create_app(place.stand.outputs, SecretStr(place.database_url))) as http:
        assert http.get("/recordings").status_code == 403
