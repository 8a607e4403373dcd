"""The fake 100ms API answers as 100ms' documentation says: tokens, paging, templates, rooms, recording assets."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.hms_in_process import Api

UPLOAD: dict[str, Any] = {
    "type": "s3",
    "location": "bucket",
    "prefix": "recordings/",
    "options": {"region": "eu-central-1"},
    "credentials": {"key": "AKIA", "secretKey": "hidden"},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def api() -> Api:
    return Api()


def unused(api: Api) -> str:
    """A template of a test's own."""
    return str(api.seed(templates=[{}])["templates"][0])


@pytest.mark.parametrize(
    ("claims", "detail"),
    [
        ({"exp": 1}, "token is expired"),
        ({"nbf": 4_000_000_000}, "token used before issued"),
        ({"iat": 4_000_000_000}, "token used before issued"),
        ({"access_key": "other"}, "not found"),
        ({"type": "app"}, "not a management token"),
        ({"version": 1}, "not a management token"),
        ({"version": None}, "not a management token"),
        ({"jti": None}, "token is invalid"),
        ({"exp": None}, "token is invalid"),
        ({"secret": "another secret of sixty-four characters or thereabouts, not the app's"}, "token is invalid"),
    ],
)
def test_bad_token_is_refused(api: Api, claims: dict[str, Any], detail: str) -> None:
    """Signature, expiry, not-before, type, version, key and id of a token are all checked."""
    answer = api.call("GET", "/templates", token=api.token(**claims))
    assert answer.json() == {"code": 401, "message": "Token validation error", "details": [detail]}
    assert answer.status_code == 401


def test_unsigned_token_is_refused(api: Api) -> None:
    """`alg: none` is no signature."""
    claims = jwt.decode(api.token(), options={"verify_signature": False})
    assert api.refusal("GET", "/templates", token=jwt.encode(claims, "", algorithm="none"))[0] == 401
    assert api.refusal("GET", "/templates", token="") == (401, "Authentication error")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/templates/none", 404),
        ("GET", "/templates/none/settings", 404),
        ("GET", "/rooms/none", 404),
        ("GET", "/recordings/none", 404),
        ("GET", "/recording-assets/none", 404),
        ("GET", "/recording-assets/none/presigned-url", 404),
        ("POST", "/recordings/room/none/start", 404),
        ("DELETE", "/rooms", 405),
    ],
)
def test_unknown_thing_is_not_found(api: Api, method: str, path: str, status: int) -> None:
    """Errors have code, message and details."""
    assert api.refusal(method, path)[0] == status


@settings(max_examples=15, deadline=None)
@given(count=st.integers(0, 45), limit=st.integers(10, 100))
def test_paging_gives_every_item_once_and_newest_first(count: int, limit: int) -> None:
    """`start` is the `last` of the page before; the pages together are the list."""
    api = Api()
    made = api.seed(assets=[{"count": count}])["assets"]
    seen: list[str] = []
    page = api.get("/recording-assets", limit=limit)
    while page["data"]:
        assert len(page["data"]) <= page["limit"] == limit
        seen += [item["id"] for item in page["data"]]
        page = api.get("/recording-assets", limit=limit, start=page["last"])
    assert seen == made[::-1]


def test_page_has_ten_items_unless_asked_for_more(api: Api) -> None:
    """`limit` is 10 by default and from 10 to 100."""
    own = Api()
    own.seed(assets=[{"count": 101}])
    assert len(own.get("/recording-assets")["data"]) == 10
    assert len(own.get("/recording-assets", limit=100)["data"]) == 100
    for limit in ("9", "101", "x", "-1"):
        assert own.refusal("GET", f"/recording-assets?limit={limit}")[0] == 400


def test_recording_assets_are_filtered(api: Api) -> None:
    """By room, session and status, and together."""
    one, two = (
        api.seed(assets=[{"room_id": "r", "session_id": "s", "status": status}])["assets"][0]
        for status in ("completed", "failed")
    )

    def found(**query: str) -> list[str]:
        return [item["id"] for item in api.get("/recording-assets", **query)["data"]]

    assert found(room_id="r") == [two, one]
    assert found(session_id="s", status="failed") == [two]
    assert found(room_id="r", session_id="other") == []


def test_template_that_comes_with_it_has_other_settings(api: Api) -> None:
    """`recording` is null, there is something no page names, and `retry` is added."""
    settings_ = api.get(f"/templates/{api.settings.hms_template}/settings")
    assert settings_["recording"] is None
    assert settings_["retry"] == {}
    assert "noiseCancellation" in settings_
    hls = api.get(f"/templates/{api.settings.hms_hls_template}")
    assert hls["destinations"]["hlsDestinations"]["hls"]["recording"]["hlsVod"] is True
    assert hls["settings"]["recording"]["upload"]["location"] == "earlier-recordings"


@settings(max_examples=30, deadline=None)
@given(extra=st.dictionaries(st.text(), JSON, max_size=3))
def test_settings_are_replaced_as_a_whole(extra: dict[str, Any]) -> None:
    """What is posted is what is read, whatever fields it has; what is left out is gone."""
    api = Api()
    template = api.settings.hms_template
    kept = {name: value for name, value in extra.items() if name not in ("region", "recording", "retry")}
    posted = {**kept, "recording": {"upload": UPLOAD, **{f"x{name}": value for name, value in kept.items()}}}
    answer = api.post(f"/templates/{template}/settings", posted)
    credentials = {"key": "AKIA", "secret": "hidden"}
    expected = {**posted["recording"], "upload": {**UPLOAD, "credentials": credentials}}
    assert answer == {**kept, "recording": expected, "retry": {}}
    assert api.get(f"/templates/{template}/settings") == answer


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"location": ""}, "Bucket location is missing"),
        ({"type": "ftp"}, "Invalid upload configuration"),
        ({"type": None}, "Invalid upload configuration"),
        ({"credentials": {}}, "Invalid upload configuration"),
        ({"credentials": {"key": "AKIA", "secret": "hidden"}}, "Invalid upload configuration"),
        ({"credentials": {"secretKey": "hidden"}}, "Invalid upload configuration"),
    ],
)
def test_bad_upload_of_a_template_is_refused(api: Api, change: dict[str, Any], message: str) -> None:
    """Templates take `secretKey`; a refused setting changes nothing."""
    template = unused(api)
    before = api.get(f"/templates/{template}/settings")
    body = {"recording": {"upload": {**UPLOAD, **change}}}
    assert api.refusal("POST", f"/templates/{template}/settings", body) == (400, message)
    assert api.get(f"/templates/{template}/settings") == before


@pytest.mark.parametrize("body", [{"region": "mars"}, {"recording": "on"}, [], "text"])
def test_bad_settings_are_refused(api: Api, body: Any) -> None:
    """Neither a region that is none nor a body that is no object is taken."""
    assert api.refusal("POST", f"/templates/{unused(api)}/settings", body)[0] == 400


def test_template_made_by_api_echoes_its_secret_key_and_needs_a_meeting_url(api: Api) -> None:
    """It has no subdomain, so a recording needs to be told where to go."""
    made = api.post("/templates", {"name": "by-api", "settings": {"recording": {"upload": UPLOAD}}})
    assert made["settings"]["recording"]["upload"]["credentials"] == {"key": "AKIA", "secretKey": "hidden"}
    room = api.post("/rooms", {"template_id": made["id"]})["id"]
    status, message = api.refusal("POST", f"/recordings/room/{room}/start", {})
    assert (status, "meeting_url" in message) == (400, True)


def test_template_is_overwritten_in_all_fields(api: Api) -> None:
    """Another POST to a template leaves its id and age alone."""
    template = unused(api)
    before = api.get(f"/templates/{template}")
    api.post(f"/templates/{template}", {"name": "new"})
    after = api.get(f"/templates/{template}")
    assert (after["name"], after["roles"], after["id"]) == ("new", {}, template)
    assert after["createdAt"] == before["createdAt"]
    assert after["settings"] == {"region": "auto", "recording": None, "retry": {}}


def test_recording_configurations_leave_out_what_is_false(api: Api) -> None:
    """One configuration is allowed, with name and role."""
    address = f"/templates/{unused(api)}/recordings"
    assert api.get(address) == []
    config = {"name": "default", "role": "host", "trackRecording": {"enabled": False}, "maxDuration": 1800}
    shown = {"name": "default", "role": "host", "trackRecording": {}, "maxDuration": 1800}
    assert api.post(address, [config]) == [shown]
    assert api.get(address) == [shown]
    for bad in ([config, config], {"name": "x"}, [{"name": "x"}]):
        assert api.refusal("POST", address, bad)[0] == 400


def test_room_follows_its_template_until_it_has_settings_of_its_own(api: Api) -> None:
    """`recording_info` is atomic, is replaced as a whole, and takes `upload_info` and `secret`."""
    room = api.post("/rooms", {})
    assert room["recording_source_template"] is True
    assert "recording_info" not in room
    upload = {**UPLOAD, "credentials": {"key": "AKIA", "secret": "hidden"}}
    own = api.post(f"/rooms/{room['id']}", {"recording_info": {"enabled": True, "upload_info": upload}})
    assert own["recording_source_template"] is False
    assert own["recording_info"] == {"enabled": True, "upload_info": upload}
    kept = api.post(f"/rooms/{room['id']}", {"description": "x"})
    assert kept["recording_info"] == own["recording_info"]
    assert api.post(f"/rooms/{room['id']}", {"recording_info": {}})["recording_info"] == {"enabled": False}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"recording_info": {"upload_info": {**UPLOAD, "location": ""}}}, "Bucket location is missing"),
        ({"recording_info": {"upload_info": UPLOAD}}, "Invalid upload configuration"),
        ({"template": "x"}, "Invalid body param: template. Use template_id"),
        ({"template_id": "none"}, "Error: template not found"),
        ({"region": "mars"}, "Error: region not supported"),
        ({"max_duration_seconds": 119}, "Invalid body param: max_duration_seconds less than 120 seconds"),
        ({"max_duration_seconds": 43201}, "Invalid body param: max_duration_seconds greater than 43200 seconds"),
        ({"name": "with space"}, "Invalid body param: name"),
    ],
)
def test_bad_room_is_refused(api: Api, body: dict[str, Any], message: str) -> None:
    """With the documented text, on making and on changing, and nothing is changed."""
    room = api.settings.hms_room
    before = api.get(f"/rooms/{room}")
    assert api.refusal("POST", "/rooms", body) == (400, message)
    assert api.refusal("POST", f"/rooms/{room}", body) == (400, message)
    assert api.get(f"/rooms/{room}") == before


def test_room_of_the_same_name_is_updated(api: Api) -> None:
    """Names are compared without case."""
    first = api.post("/rooms", {"name": "Class-1", "description": "a"})
    second = api.post("/rooms", {"name": "class-1", "description": "b"})
    assert second["id"] == first["id"]
    assert api.get(f"/rooms/{first['id']}")["description"] == "b"


def test_rooms_are_listed_enabled_or_disabled(api: Api) -> None:
    """Disabled rooms show only when asked for; a disabled room records nothing."""
    room = api.post("/rooms", {"name": "closed"})["id"]
    api.post(f"/rooms/{room}", {"enabled": False})

    def listed(**query: str) -> list[str]:
        return [item["id"] for item in api.get("/rooms", limit=100, **query)["data"]]

    assert room not in listed()
    assert listed(enabled="false") == [room]
    assert room not in listed(enabled="true")
    assert api.refusal("POST", f"/recordings/room/{room}/start", {})[0] == 403
    assert api.refusal("GET", "/rooms?enabled=maybe")[0] == 400


def test_stop_of_a_room_where_nothing_runs_is_an_empty_list(api: Api) -> None:
    """As documented, a page of what was stopped."""
    answer = api.post(f"/recordings/room/{api.settings.hms_room}/stop", {})
    assert answer == {"limit": 0, "data": [], "last": ""}


@pytest.mark.parametrize("seconds", ["0", "-1", "604801", "x"])
def test_presigned_url_is_for_a_week_at_most(api: Api, seconds: str) -> None:
    """A duration that S3 would refuse is refused."""
    asset = api.seed(assets=[{}])["assets"][0]
    address = f"/recording-assets/{asset}/presigned-url?presign_duration={seconds}"
    assert api.refusal("GET", address) == (400, "Invalid query param: presign_duration")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/_sandbox/seed", {"planets": []}),
        ("/_sandbox/seed", {"rooms": [{"count": -1}]}),
        ("/_sandbox/seed", {"rooms": [3]}),
        ("/_sandbox/options", {"speed": 1}),
    ],
)
def test_bad_control_says_what_is_known(api: Api, path: str, body: Any) -> None:
    """The means to test with refuse what they do not know."""
    assert api.refusal("POST", path, body)[0] == 400


def test_answers_show_nothing_of_the_fakes_own(api: Api) -> None:
    """Fields that start with an underscore stay inside, but for `_id`, which 100ms has."""
    for path in ("/templates", "/rooms", "/recording-assets"):
        for item in api.get(path)["data"]:
            assert not [name for name in item if name.startswith("_") and name != "_id"]


ADDRESSES = (
    "/templates",
    "/templates/{t}",
    "/templates/{t}/settings",
    "/templates/{t}/recordings",
    "/rooms",
    "/rooms/{r}",
)
FIELDS = (
    "name region recording upload recording_info upload_info type location prefix options credentials key secret "
    "secretKey settings webhook url headers max_duration_seconds enabled"
)
KNOWN = st.sampled_from(FIELDS.split())
NEAR = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["s3", "eu", "x"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KNOWN, inner, max_size=6),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(address=st.sampled_from(ADDRESSES), body=NEAR)
def test_no_body_breaks_the_api(address: str, body: Any) -> None:
    """Whatever is sent, the answer is a document or a documented error, and reading works afterwards."""
    api = Api()
    url = address.format(t=api.settings.hms_template, r=api.settings.hms_room)
    assert api.call("POST", url, body).status_code in (200, 400)
    for path in ("/templates", "/rooms", f"/templates/{api.settings.hms_template}/settings"):
        api.get(path)
