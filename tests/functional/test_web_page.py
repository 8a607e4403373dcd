"""The page as it is sent: what it shows, that nothing of a row can run, and what its policy allows."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser

import httpx
import pytest

from sandbox.servers import Sandbox
from tests.functional.stand import Stand, entered
from tests.functional.web_server import WebStand, client, web_stand

HOSTILE = "\"'><script>alert(1)</script>{{ 7*7 }}&lt;"


class Links(HTMLParser):
    """Collects start tags with their attributes, and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def targets(self) -> list[str]:
        return [attributes["href"] or "" for tag, attributes in self.tags if tag == "a"]


@pytest.fixture(scope="module")
def place(sandbox: Sandbox) -> Iterator[WebStand]:
    with entered(sandbox):
        stand = Stand.build()
    with web_stand(sandbox, stand) as made:
        yield made


@pytest.fixture(scope="module")
def http(sandbox: Sandbox, place: WebStand) -> Iterator[httpx.Client]:
    with entered(sandbox), client(place.app()) as made:
        yield made


@pytest.mark.parametrize("field", ["room_id", "type", "asset_id", "status", "file_path"])
def test_whatever_a_row_holds_is_text(place: WebStand, http: httpx.Client, field: str) -> None:
    """In every field: no tag of its own, no attribute, no template."""
    place.add(**{"room_id": f"hostile-{field}", field: HOSTILE})
    room = HOSTILE if field == "room_id" else f"hostile-{field}"
    page = http.get("/", params={"room": room})
    found = Links(page.text)
    assert page.status_code == 200
    assert not {tag for tag, _ in found.tags} & {"script", "img", "iframe", "object"}
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]
    if field in ("room_id", "type"):
        assert HOSTILE in found.text


def test_row_can_be_played_only_if_a_browser_can(place: WebStand, http: httpx.Client) -> None:
    """A chat is downloaded; a failed recording neither."""
    for path, room in ((".mp4", "video"), (".webm", "track"), (".csv", "chat"), (".m3u8", "hls")):
        place.add(f"s3://{place.stand.bucket}/recordings/x{path}", room_id=room)
    place.add("", room_id="broken", status="failed")
    shown = {}
    for room in ("video", "track", "chat", "hls", "broken"):
        targets = Links(http.get("/", params={"room": room}).text).targets()
        shown[room] = [any("play=" in t for t in targets), any("/download" in t for t in targets)]
    assert shown == {
        "video": [True, True],
        "track": [True, True],
        "chat": [False, True],
        "hls": [False, True],
        "broken": [False, False],
    }


def test_policy_allows_media_of_the_buckets_alone(place: WebStand, http: httpx.Client) -> None:
    """No script at all; of 100ms' storage only the scheme is known, and only while such a recording is played."""
    policy = http.get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; ")
    assert f"media-src 'self' {place.stand.raw['endpointUrl']};" in policy
    id_ = place.add("s3://100ms-own/x.mp4", provider="100ms")
    playing = http.get("/", params={"play": id_})
    assert " https:;" in playing.headers["content-security-policy"]
    video = next(attributes for tag, attributes in Links(playing.text).tags if tag == "video")
    assert "crossorigin" not in video
    assert "script" not in policy


def test_pages_lead_through_all_rows(place: WebStand, http: httpx.Client) -> None:
    """Older and newest, with the room kept."""
    for _ in range(45):
        place.add(room_id="many rooms&more")
    seen, address = 0, "/?room=many+rooms%26more"
    for _ in range(3):
        found = Links(http.get(address).text)
        seen += sum(tag == "tr" for tag, _ in found.tags) - 1
        address = next(
            (attributes["href"] or "" for _, attributes in found.tags if attributes.get("rel") == "next"), ""
        )
    assert (seen, address) == (45, "")


def test_empty_page_says_what_to_do(http: httpx.Client) -> None:
    """No table without rows."""
    found = Links(http.get("/", params={"room": "nobody"}).text)
    assert "There are no recordings of room nobody here." in found.text
    assert "table" not in [tag for tag, _ in found.tags]


def test_style_sheet_is_the_only_thing_it_loads(http: httpx.Client) -> None:
    """From its own origin."""
    found = Links(http.get("/").text)
    assert [attributes["href"] for tag, attributes in found.tags if tag == "link"] == ["/page.css"]
    assert http.get("/page.css").headers["content-type"].startswith("text/css")
