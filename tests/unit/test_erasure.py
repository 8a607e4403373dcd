"""What an erasure takes, and what it leaves: rooms, sessions, recordings, and paths that must not be believed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.erasure.places import UNFINISHED
from recordings.erasure.target import Kind, Target
from recordings.errors import UsageError
from recordings.hms_models import Recording
from recordings.stores.base import Upload
from tests.unit.erasure_scene import DAY, EPOCH, NOW, THEN, Scene, composite, path

ROOM, OTHER = "66f0a2c4e8b1d3a5c7f90b12", "66f0a2c4e8b1d3a5c7f90b13"


@pytest.mark.parametrize("id_", ["", "..", "a/b", "a b", "x" * 65, "beam", "hls", "é", "a\n", "%2e"])
def test_id_that_is_none_is_refused(id_: str) -> None:
    """Also the names of folders that all rooms share: they would mean everybody's recordings."""
    with pytest.raises(UsageError, match="is no id of a room"):
        Target.of(room=id_, session=None, recording=None)


def test_exactly_one_target_is_taken() -> None:
    """None or two at once are refused; one is what it says."""
    for given_ in ({}, {"room": "a", "session": "b"}, {"room": "a", "session": "b", "recording": "c"}):
        with pytest.raises(UsageError, match="exactly one"):
            Target.of(**{"room": None, "session": None, "recording": None, **given_})
    assert Target.of(room=None, session="s", recording=None) == Target(Kind.SESSION, "s")


HOSTILE = [
    path(composite(OTHER)),
    path("recordings/beam/../beam/x.mp4"),
    path(f"recordings/beam/{ROOM}/../{OTHER}/x.mp4"),
    path(f"recordings/beam/{ROOM}/%2e%2e/x.mp4"),
    path(f"recordings/transcript/{OTHER}/x.srt"),
    path("recordings/ai/somebody.json"),
    path("private/key.pem"),
    path(".recordings/registration/template"),
    path(composite(ROOM), bucket="another"),
    path(composite(ROOM)).replace("s3://", "gs://"),
    f"/recordings/beam/{ROOM}",
    composite(OTHER),
    "s3://bucket/",
    "https://bucket.s3.amazonaws.com/recordings/x.mp4?X-Amz-Signature=x",
    "\0",
]


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("target", ["room", "session", "recording"])
def test_path_of_a_row_is_never_a_way_elsewhere(hostile: str, target: str) -> None:
    """A row that names another room, bucket, prefix or the operator's folder makes nothing of it go."""
    scene = Scene()
    scene.bucket.put(
        composite(OTHER),
        f"recordings/transcript/{OTHER}/x.srt",
        "recordings/ai/somebody.json",
        "private/key.pem",
        ".recordings/registration/template",
    )
    scene.row("a", hostile, room_id=ROOM, session_id="session", job_id="job")
    id_ = {"room": ROOM, "session": "session", "recording": "job"}[target]
    pile, _ = scene.look(**{target: id_})
    assert pile.is_empty


def test_what_was_left_alone_is_told_with_its_reason() -> None:
    """Each refused path once; one that 100ms names too is no longer refused."""
    scene = Scene()
    scene.bucket.put("recordings/ai/summary.json")
    scene.row("a", path("recordings/ai/summary.json"), room_id=ROOM)
    pile, left = scene.look(room=ROOM)
    assert (pile.is_empty, [item.path for item in left]) == (True, [path("recordings/ai/summary.json")])
    scene.hms.add("a", path("recordings/ai/summary.json"), type="summary", room_id=ROOM)
    pile, left = scene.look(room=ROOM)
    assert (pile.kinds, left) == ({"recordings/ai/summary.json": "summary"}, [])


ROOMS = st.sampled_from([ROOM, OTHER, "short", "short-1", "beams"])
SEGMENT = st.sampled_from(
    ["beam", "hls", "chat", "transcript", DAY, "s", "p", "vod", "..", "x.mp4", f"Rec-{ROOM}-{EPOCH}.mp4"]
)
KEY = st.one_of(
    ROOMS.map(composite),
    st.builds("recordings/{}/{}/{}/{}/x".format, SEGMENT, ROOMS, SEGMENT, SEGMENT),
    st.builds("recordings/{}/{}/{}/y".format, ROOMS, SEGMENT, SEGMENT),
    st.builds("{}/{}/z".format, SEGMENT, ROOMS),
    st.text(max_size=20),
)


@given(st.sets(KEY, max_size=12), st.lists(KEY, max_size=5), ROOMS, st.booleans())
def test_no_other_room_is_ever_touched(keys: set[str], said: list[str], room: str, thorough: bool) -> None:
    """Whatever lies in the bucket and whatever rows say: what goes has the room's id as a segment or in its name."""
    scene = Scene()
    scene.bucket.put(*keys)
    for number, key in enumerate(said):
        scene.row(f"a{number}", path(key), room_id=room)
    pile, _ = scene.look_everywhere(room=room) if thorough else scene.look(room=room)
    for version in pile.versions:
        segments = version.key.removeprefix("recordings/").split("/")
        assert room in segments or any(segment.startswith(f"Rec-{room}-1785542400") for segment in segments)
        assert version.key.startswith("recordings/")
        known = scene.home.own(version.key).room_id
        assert known in (None, room)
    documented = {key for key in keys if key == composite(room)}
    assert documented <= pile.kinds.keys()


def two_sessions() -> Scene:
    """One room, two sessions with a recording each; every kind, and names that are like each other's."""
    scene = Scene()
    for number, session in enumerate(("one", "two")):
        epoch = EPOCH + number
        ids = {"room_id": ROOM, "session_id": session, "job_id": f"job-{session}"}
        keys = {
            "room-composite": composite(ROOM, epoch),
            "chat": f"recordings/chat/{ROOM}/{DAY}/Rec-{ROOM}-{epoch}.csv",
            "room-vod": f"recordings/hls/{ROOM}/{DAY}/{epoch}/vod/index.m3u8",
            "track": f"recordings/{ROOM}/{DAY}/{session}/peer/stream/track.webm",
            "transcript": f"recordings/transcript/{ROOM}/Rec-{ROOM}-{epoch}.srt",
        }
        scene.hms.jobs.append(Recording(id=f"job-{session}", room_id=ROOM, session_id=session, status="completed"))
        for kind, key in keys.items():
            scene.hms.add(f"{kind}-{session}", path(key), type=kind, **ids)
        scene.bucket.put(*keys.values())
        scene.bucket.put(
            f"recordings/hls/{ROOM}/{DAY}/{epoch}/vod/segment.ts",
            f"recordings/hls/{ROOM}/{DAY}/{epoch}/file-recording/Rec-{ROOM}-{epoch}-0.mp4",
            f"recordings/beam/{ROOM}/{DAY}/Rec-{ROOM}-{epoch}-thumbnail.png",
            f"recordings/beam/{ROOM}/{DAY}/Rec-{ROOM}-{epoch}0.mp4",
        )
    return scene


def belongs(key: str, session: str) -> bool:
    epoch = EPOCH + ("one", "two").index(session)
    return f"/{session}/" in key or (str(epoch) in key and f"{epoch}0" not in key)


@pytest.mark.parametrize("target", [{"session": "one"}, {"recording": "job-one"}, {"recording": "chat-one"}])
def test_session_and_recording_take_what_is_theirs_alone(target: dict[str, str]) -> None:
    """Segments, layers and thumbnails with it; the other session of the room stays, also one whose name is longer.

    The id of a recording asset means its whole recording.
    """
    scene = two_sessions()
    pile, left = scene.look(**target)
    assert pile.kinds.keys() == {key for key in scene.bucket.names() if belongs(key, "one")}
    assert left == []
    scope = scene.scope(**target)
    assert scope.jobs == {"job-one"}
    assert not scope.unfinished
    assert scope.assets == {f"{kind}-one" for kind in ("room-composite", "chat", "room-vod", "track", "transcript")}


def test_row_cannot_pull_another_session_in() -> None:
    """A row of session one that names what 100ms says is of session two: left alone, and told."""
    scene = two_sessions()
    scene.row("forged", path(composite(ROOM, EPOCH + 1)), room_id=ROOM, session_id="one", job_id="job-one")
    unlisted = f"recordings/{ROOM}/{DAY}/three/peer/stream/track.webm"
    scene.bucket.put(unlisted)
    scene.row("forged too", path(unlisted), room_id=ROOM, session_id="one", job_id="job-one")
    for target in ({"session": "one"}, {"recording": "job-one"}):
        pile, left = scene.look(**target)
        assert all(belongs(key, "one") for key in pile.kinds)
        assert [item.path for item in left] == [path(composite(ROOM, EPOCH + 1)), path(unlisted)]


def test_name_that_goes_on_is_left_to_whom_100ms_gives_it() -> None:
    """It begins as the recording's name does, and is another recording's: left, and told."""
    scene = two_sessions()
    alike = composite(ROOM).replace(".mp4", "-again.mp4")
    scene.bucket.put(alike)
    scene.hms.add("alike", path(alike), room_id=ROOM, session_id="two", job_id="job-two")
    pile, left = scene.look(recording="job-one")
    assert alike not in pile.kinds
    assert [item.path for item in left] == [path(alike)]


def test_recording_that_100ms_forgot_is_found_by_its_rows() -> None:
    """By the id of the recording, or of an asset; what the rows say of the room bounds it."""
    scene = Scene()
    scene.bucket.put(composite(ROOM), composite(ROOM, EPOCH + 5))
    scene.row("asset", path(composite(ROOM)), room_id=ROOM, job_id="job")
    scene.row("other", path(composite(ROOM, EPOCH + 5)), room_id=ROOM, job_id="other-job")
    for id_ in ("job", "asset"):
        pile, _ = scene.look(recording=id_)
        assert pile.kinds.keys() == {composite(ROOM)}


def test_room_takes_what_was_recorded_until_now() -> None:
    """What begins later is no part of the request; what has not ended is waited for, by its own id."""
    scene = Scene()
    later = int((NOW + timedelta(seconds=1)).timestamp() * 1000)
    scene.bucket.put(composite(ROOM), composite(ROOM, later), composite(ROOM, later + 1000))
    scene.hms.add("late", path(composite(ROOM, later)), room_id=ROOM, created_at=NOW + timedelta(minutes=1))
    scene.hms.jobs.append(Recording(id="running", room_id=ROOM, status="post_processing"))
    pile, _ = scene.look(room=ROOM)
    scope = scene.scope(room=ROOM)
    assert pile.kinds.keys() == {composite(ROOM)}
    assert [job.id for job in scope.unfinished] == ["running"]
    assert scope.jobs == {"running"}
    assert not scope.assets


def test_former_bucket_and_second_slash_are_looked_at() -> None:
    """A prefix that was registered with a slash at its end; recordings of before the move."""
    scene = Scene()
    doubled = composite(ROOM).replace("recordings/", "recordings//")
    scene.bucket.put(doubled)
    assert scene.look(room=ROOM)[0].kinds.keys() == {doubled}
    old = Scene()
    old.bucket.name = "former"
    key = composite(ROOM, prefix="old/")
    old.bucket.put(key, composite(OTHER, prefix="old/"))
    from recordings.erasure.places import search
    from tests.unit.erasure_scene import FORMER

    pile, _ = search(old.scope(room=ROOM), old.home).look(FORMER, old.bucket)
    assert pile.kinds.keys() == {key}


def test_backfill_that_was_ended_leaves_nothing() -> None:
    """Its unfinished upload and whatever it put together, by the id of the recording asset; nobody else's."""
    scene = Scene()
    scene.hms.add("asset/1", "s3://100ms-own/x.mp4", room_id=ROOM, created_at=THEN)
    scene.hms.add("asset2", "s3://100ms-own/y.mp4", room_id=OTHER)
    scene.bucket.put(".recordings/backfill/asset%2F1.whole", ".recordings/backfill/asset2.whole", ".recordings/x")
    scene.bucket.uploads.append(Upload(".recordings/backfill/asset%2F1.whole", "u1", THEN))
    pile, _ = scene.look(room=ROOM)
    assert pile.kinds == {".recordings/backfill/asset%2F1.whole": UNFINISHED}
    assert (len(pile.versions), len(pile.uploads)) == (1, 1)


def test_thorough_finds_the_room_where_no_folder_says_so() -> None:
    """By a segment or a name with the room's id, anywhere under the prefix."""
    scene = Scene()
    odd = f"recordings/exports/2026/{ROOM}/summary.json"
    named = f"recordings/exports/Rec-{ROOM}-{EPOCH}.json"
    scene.bucket.put(odd, named, f"recordings/exports/2026/{OTHER}/summary.json")
    assert scene.look(room=ROOM)[0].is_empty
    assert scene.look_everywhere(room=ROOM)[0].kinds.keys() == {odd, named}
