"""`recordings doctor` and `recordings watch` on both providers: all well, everything broken at once, parts missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recordings.stores import Identity, SignedUrl, Store, open_store
from recordings.watch_heartbeat import VARIABLE
from sandbox.servers import Sandbox
from tests.functional.clients import aws, control, eventually, hms
from tests.functional.doctor_scene import Receiver, Scene
from tests.functional.google_lab import Lab
from tests.functional.google_stand import GoogleStand
from tests.functional.stand import Stand, entered

ONE = pytest.mark.parametrize("scene", ["gcs"], indirect=True)
"""What is the same on every provider is tried on one: the one whose client is quicker to load."""


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox whose 100ms lists nothing but what these tests make: the doctor looks at the whole workspace."""
    with Sandbox(tmp_path_factory.mktemp("doctor")) as sandbox, entered(sandbox):
        yield sandbox


@pytest.fixture(scope="module")
def sandbox(quiet: Sandbox) -> Sandbox:
    """The databases of these tests lie there too."""
    return quiet


@pytest.fixture(scope="module")
def lab(quiet: Sandbox) -> Iterator[Lab]:
    found = Lab(quiet)
    yield found
    found.close()


@pytest.fixture(params=["s3", "gcs"])
def scene(request: pytest.FixtureRequest, quiet: Sandbox, lab: Lab, tmp_path: Path) -> Iterator[Scene]:
    stand = Stand.build() if request.param == "s3" else GoogleStand.build(lab)
    if isinstance(stand, Stand):
        for who in ("writer", "reader"):
            stand.raw[f"{who}Principal"] = f"arn:aws:iam::000000000000:user/{stand.bucket}-{who}"
    control(quiet, "hms", "POST", "forget")
    with hms(quiet) as api:
        made = Scene(quiet, stand, tmp_path, api)
        made.register()
        yield made


def test_sound_stack_has_no_fault(scene: Scene, database: str) -> None:
    """Nothing is wrong and everything was looked at, the database included; with --strict too."""
    scene.seed("assets", path=scene.put(scene.path(1)), size=2)
    synced = scene.run("sync", env={"DATABASE_URL": database})
    assert synced.exit_code == 0, synced.output
    env: dict[str, str | None] = {"DATABASE_URL": database}
    assert scene.found("--strict", env=env) == {}
    assert scene.result.exit_code == 0
    assert json.loads(scene.result.stdout)["healthy"] is True


def break_everything(scene: Scene) -> None:
    """One of each kind that this provider's stand can be damaged in, while everything can still be looked at."""
    stand = scene.stand
    scene.seed("assets", path=scene.path(1))
    scene.seed("assets", path=scene.path(2), status="failed")
    scene.seed("assets", path="s3://100ms-own/c/beam/r/20260801/Rec-r-1785542400000.mp4")
    scene.put(scene.path(3))
    scene.seed("rooms", webhook={"url": "https://hook.example/canary"})
    upload = {"type": "s3", "location": "theirs", "prefix": "x", "credentials": {"key": "k", "secret": "canary"}}
    scene.seed("rooms", enabled=False, recording_info={"enabled": True, "upload_info": upload})
    settings = scene.api.get(f"/templates/{scene.template}/settings").json()
    settings["recording"]["upload"]["prefix"] = "another"
    settings["recording"]["upload"]["credentials"] = {"key": "AKIAOLD", "secretKey": "canary"}
    scene.api.post(f"/templates/{scene.template}/settings", json=settings)
    scene.api.post(f"/templates/{scene.template}/recordings", json=[])
    stand.suspend_versioning()
    stand.set_lifecycle("none")
    stand.allow_public_access()
    stand.set_cors("https://app.example.com")
    stand.allow("writer", "put")
    stand.deactivate("writer")


def test_everything_that_is_wrong_is_found_at_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fault is named with its command; one hides no other; nothing of it is changed, and no secret shown."""
    monkeypatch.setattr("recordings.reconcile.SETTLING", timedelta(0))
    break_everything(scene)
    before = scene.stand.contents()
    assets = scene.api.get("/recording-assets").json()["data"]
    (kept,) = (asset for asset in assets if asset["path"].startswith("s3://100ms-own/"))
    found = scene.found("--origin", "https://other.example")
    expected = {
        ("template", "fault"): "prefix is 'another'",
        ("key", "fault"): "inactive",
        ("room-storage", "fault"): "(disabled): s3://theirs/x",
        ("object-missing", "fault"): "1785542400001",
        ("cors", "fault"): "https://other.example",
        ("guard", "fault"): "could be made public",
        ("failures", "warning"): "not told by 100ms",
        ("at-100ms", "warning"): f"{datetime.fromisoformat(kept['created_at']) + timedelta(days=15):%Y-%m-%d}",
        ("recording-mode", "warning"): "no recording mode",
        ("guard", "warning"): "is lost",
        ("rights", "warning"): "the writer",
        ("object-unknown", "warning"): "1785542400003",
        ("room-webhook", "warning"): "https://hook.example",
    }
    for key, part in expected.items():
        assert part in found.get(key, "not found"), key
    assert {key for key in found if key[1] != "not checked"} == set(expected)
    assert ("row-missing", "not checked") in found
    assert scene.result.exit_code == 1
    assert "canary" not in scene.result.output
    assert scene.stand.contents() == before


def test_parts_that_are_missing_are_not_checked(scene: Scene) -> None:
    """With no 100ms, no operator and no database the rest is looked at; --strict makes an exit code of it."""
    nobody: dict[str, str | None] = {name: None for name in scene.sandbox.env if name.startswith(("HMS_", "GOOGLE_AP"))}
    nobody |= {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_EC2_METADATA_DISABLED": "true"}
    nobody |= {"HMS_API_URL": scene.sandbox.env["HMS_API_URL"], "CLOUDSDK_CONFIG": str(scene.folder)}
    nobody |= {"NO_GCE_CHECK": "true"}
    found = scene.found("--strict", env=nobody)
    assert scene.result.exit_code == 1
    assert json.loads(scene.result.stdout)["healthy"] is None
    assert {key[1] for key in found} == {"not checked"}
    assert {"100ms", "template", "room-storage", "failures", "at-100ms", "object-missing", "guard", "key-age"} <= {
        key[0] for key in found
    }
    assert "no 100ms credentials" in found["template", "not checked"] or "HMS_" in found["template", "not checked"]


def test_key_and_access_log_are_compared_with_the_stack(scene: Scene) -> None:
    """What is there is named until the stack declares it, and so is what is not the declared one."""
    stand = scene.stand
    key, log = stand.encrypt(), stand.bucket
    stand.log_to(log)
    found = scene.found("--quick")["guard", "warning"]
    assert key in found
    assert "which the stack does not declare" in found
    stand.raw |= {"kmsKey": key, "accessLogBucket": log}
    found_then = scene.found("--quick")
    assert ("guard", "warning") not in found_then
    right = "EncryptionKey" if stand.provider == "s3" else ""
    assert right in found_then.get(("rights", "warning"), ""), "with the key declared, its right is missed"
    stand.raw |= {"kmsKey": key + "0", "accessLogBucket": "elsewhere"}
    found = scene.found("--quick")["guard", "warning"]
    assert f"not with {key}0" in found
    assert "elsewhere" in found


@pytest.mark.parametrize("scene", ["s3"], indirect=True)
def test_operator_who_may_not_read_the_log_is_told_so(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """What else guards the bucket is looked at all the same. On Google one right reads it all."""
    iam, name = aws("iam", scene.sandbox), f"{scene.stand.bucket}-operator"
    iam.create_user(UserName=name)
    statements = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:GetBucketLogging", "Resource": "*"},
    ]
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Statement": statements}))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    assert "GetBucketLogging" in scene.found("--quick")["guard", "not checked"]
    guards = [one for one in json.loads(scene.result.stdout)["findings"] if one["id"] == "guard"]
    (one,) = [one for one in guards if one["severity"] == "not checked"]
    assert one["title"] == "access log"
    assert "s3:GetBucketLogging" in one["repair"]


@ONE
def test_template_that_was_registered_by_name_is_looked_at(scene: Scene) -> None:
    """Whether the stack names others or none; it is not said to be unknown to 100ms."""
    template = scene.seed("templates")
    assert scene.run("register", "--template", template).exit_code == 0
    assert "not in recordings:templateIds" in scene.found("--quick")["template", "warning"]
    scene.stand.raw["templateIds"] = []
    found = scene.found("--quick", "--all")
    assert {key for key in found if key[0] == "template"} == set()
    assert template in scene.result.stdout


@ONE
def test_credentials_that_100ms_refuses_are_one_fault(scene: Scene) -> None:
    """Not one for each thing that needs them."""
    found = scene.found(env={"HMS_APP_SECRET": "another-secret-that-is-long-enough-for-hs256"})
    assert [key for key in found if key[1] == "fault"] == [("100ms", "fault")]
    assert ("template", "not checked") in found


def test_bucket_that_is_gone_or_elsewhere_is_the_first_fault(scene: Scene) -> None:
    """What cannot be told without it is not checked, and no traceback ends the table."""
    scene.stand.raw["region"] = "us-west1" if scene.stand.provider == "gcs" else "eu-west-1"
    assert "lies in" in scene.found("--quick")["bucket", "fault"]
    scene.stand.raw["bucketName"] = "no-such-bucket-anywhere-0"
    assert ("bucket", "fault") in scene.found("--quick")


@ONE
def test_database_that_was_never_migrated_is_a_fault_and_hides_nothing(scene: Scene, empty_database: str) -> None:
    """The rest is compared without it."""
    scene.seed("assets", path=scene.path(1))
    found = scene.found(env={"DATABASE_URL": empty_database})
    assert "recordings migrate" in found["database", "fault"]
    assert ("object-missing", "fault") in found


def expire(scene: Scene) -> SignedUrl:
    return reader(scene).sign(KEY, timedelta(hours=1), at=datetime.now(UTC) - timedelta(hours=2))


def revoke(scene: Scene) -> SignedUrl:
    scene.stand.deactivate("reader")
    return reader(scene).sign(KEY, timedelta(hours=1))


def deny(scene: Scene) -> SignedUrl:
    scene.stand.deny("reader", "read")
    return reader(scene).sign(KEY, timedelta(hours=1))


def delete(scene: Scene) -> SignedUrl:
    open_store(scene.stand.outputs, Identity.OPERATOR).delete(KEY)
    return reader(scene).sign(KEY, timedelta(hours=1))


KEY = "recordings/a.mp4"
CAUSES: dict[str, Callable[[Scene], SignedUrl]] = {
    "it works": lambda scene: reader(scene).sign(KEY, timedelta(hours=1)),
    "it has expired": expire,
    "the recording is gone": delete,
    "it was signed for something else": lambda scene: reader(scene).sign(KEY, timedelta(hours=1), method="PUT"),
    "its key may not read this": deny,
    "its key is refused": revoke,
}


def reader(scene: Scene) -> Store:
    return open_store(scene.stand.outputs, Identity.READER)


def test_reasons_of_a_signed_url_are_told_apart(scene: Scene) -> None:
    """Expired, wrong key, denied, gone: one after the other, on what the provider really answers."""
    scene.put(f"s3://x/{KEY}")
    told = {}
    for title, damage in CAUSES.items():
        signed = damage(scene)
        told[title] = scene.url(signed)[0]
        if title == "the recording is gone":
            scene.put(f"s3://x/{KEY}")
        if title == "its key may not read this" and scene.stand.provider == "s3":
            iam = aws("iam", scene.sandbox)
            iam.delete_user_policy(UserName=f"{scene.stand.bucket}-reader", PolicyName="less")
    assert told == {title: title for title in CAUSES}


@pytest.mark.parametrize("scene", ["s3"], indirect=True)
def test_region_and_archive_of_a_signed_url_on_s3(scene: Scene) -> None:
    """Google has neither: any region will do in a signature, and every class is read at once."""
    assert isinstance(scene.stand, Stand)
    wrong = scene.stand.declared(region="eu-west-1")
    scene.put(f"s3://x/{KEY}")
    elsewhere = open_store(wrong.outputs, Identity.READER).sign(KEY, timedelta(hours=1))
    assert scene.url(elsewhere) == ["it was signed for the wrong region"]
    scene.stand.s3.put_object(Bucket=scene.stand.bucket, Key="recordings/cold.mp4", Body=b"x", StorageClass="GLACIER")
    cold = reader(scene).sign("recordings/cold.mp4", timedelta(hours=1))
    assert scene.url(cold) == ["the recording is archived"]
    old = reader(scene).sign("recordings/cold.mp4", timedelta(hours=1), at=datetime.now(UTC) - timedelta(hours=2))
    assert scene.url(old) == ["it has expired", "a new URL would fail too: the recording is archived"]


@ONE
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--url", "https://x/?X-Amz-Signature=canary"), "give it on standard input"),
        (("--url", "-"), "no URL"),
        (("--origin", "app.example.com"), "legal is scheme://host"),
        (("--since", "tomorrow"), "no duration"),
    ],
)
def test_bad_input_ends_with_2(scene: Scene, arguments: tuple[str, ...], said: str) -> None:
    """Before anything is asked; a URL on the command line is never repeated."""
    result = scene.run("doctor", *arguments, text="canary\n")
    assert result.exit_code == 2
    assert said in result.stderr
    assert "canary" not in result.output


def record(scene: Scene, room: str, until: str | None) -> None:
    """Start and stop a recording, and wait for a status."""

    def status() -> str:
        return str(scene.api.get("/recordings", params={"room_id": room}).json()["data"][0]["status"])

    assert scene.api.post(f"/recordings/room/{room}/start", json={}).status_code == 200
    eventually(lambda: status() == "running")
    assert scene.api.post(f"/recordings/room/{room}/stop", json={}).status_code == 200
    if until:
        eventually(lambda: status() == until)


def watched(scene: Scene, *arguments: str, url: str | None = None) -> tuple[int, dict[str, int], dict[str, Any]]:
    """Exit code, counts that are not 0, and the whole of what `watch --json` says."""
    result = scene.run("watch", "--json", *arguments, env={VARIABLE: url})
    assert "canary" not in result.output
    said = json.loads(result.stdout)
    return result.exit_code, {name: count for name, count in said["counts"].items() if count}, said


def test_recording_is_watched_from_its_end_to_the_bucket(scene: Scene) -> None:
    """On its way, late, ok, missing and failed with its reason; a heartbeat and a fresh file only when all is well."""
    room = scene.seed("rooms", template_id=scene.template)
    metrics, beat = scene.folder / "recordings.prom", scene.folder / "beat"
    options = {"asset_delay": 3600.0, "webhook": {"url": "http://127.0.0.1:9/"}, "retry_delays": []}
    control(scene.sandbox, "hms", "POST", "options", options)
    try:
        record(scene, room, None)
        eventually(lambda: watched(scene)[1] == {"on its way": 1})
        assert watched(scene, "--late", "0s")[:2] == (1, {"late": 1})
        control(scene.sandbox, "hms", "POST", "options", {"asset_delay": 0.1})
        other = scene.seed("rooms", template_id=scene.template)
        record(scene, other, "completed")
        with Receiver() as receiver:
            code, counts, _ = watched(scene, "--metrics", str(metrics), "--heartbeat", str(beat), url=receiver.url)
            assert (code, counts) == (0, {"on its way": 1, "ok": 1})
            assert receiver.paths == ["/canary"]
            assert beat.exists()
            beat.unlink()
            path = scene.api.get("/recording-assets", params={"room_id": other}).json()["data"][0]["path"]
            open_store(scene.stand.outputs, Identity.OPERATOR).delete(path.split("/", 3)[3])
            scene.stand.deactivate("writer")
            record(scene, scene.seed("rooms", template_id=scene.template), "failed")
            code, counts, said = watched(scene, "--metrics", str(metrics), "--heartbeat", str(beat), url=receiver.url)
            assert (code, counts) == (1, {"on its way": 1, "missing": 1, "failed": 1})
            assert [one["reason"] for one in said["recordings"] if one["state"] == "failed"] == ["UPLOAD_ERROR"]
            assert len(receiver.paths) == 1
            assert not beat.exists()
    finally:
        control(scene.sandbox, "hms", "POST", "options", {"asset_delay": 0.5, "webhook": None})
    assert 'reason="UPLOAD_ERROR"} 1.0' in metrics.read_text()
    table = scene.run("watch").stdout
    assert "UPLOAD_ERROR: 100ms could not upload" in table


@ONE
def test_recording_of_another_template_is_left_out(scene: Scene) -> None:
    """The stack watches its own templates, and alarms for no other; nor for what was moved into the bucket since."""
    mine = scene.seed("rooms", template_id=scene.template)
    theirs = scene.seed("rooms", template_id=scene.seed("templates"))
    for room in (mine, theirs):
        scene.seed("assets", path=f"s3://100ms-own/c/beam/{room}/20260801/Rec-{room}-1.mp4", room_id=room, size=2)
    code, counts, said = watched(scene)
    assert (code, counts, said["others"]) == (1, {"missing": 1}, 1)
    assert said["recordings"][0]["room_id"] == mine
    assert scene.found()["at-100ms", "warning"].startswith("2 (")
    for room in (mine, theirs):
        scene.put(f"s3://x/recordings/beam/{room}/20260801/Rec-{room}-1.mp4")
    code, counts, _ = watched(scene)
    assert (code, counts) == (0, {"ok": 2}), "a backfill has moved them; 100ms goes on naming the place before"
    assert scene.found() == {("row-missing", "not checked"): "DATABASE_URL is not set"}


@ONE
def test_watch_that_cannot_ask_writes_nothing(scene: Scene) -> None:
    """An old file and a heartbeat that stays away are the alarm; the exit code is that of a refusal."""
    metrics = scene.folder / "m.prom"
    metrics.write_text("old\n")
    refused = {"HMS_APP_SECRET": "another-secret-that-is-long-enough-for-hs256"}
    result = scene.run("watch", "--metrics", str(metrics), env={**refused})
    assert result.exit_code == 3
    assert metrics.read_text() == "old\n"
    for arguments in (("--metrics", "/no/such/folder/m.prom"), ("--since", "2999-01-01"), ("--late", "soon")):
        assert scene.run("watch", *arguments).exit_code == 2
