"""`recordings backfill` and `recordings worker` in the sandbox: both providers, faults on the wire, a worker killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from recordings.backfill.wire import Wire
from recordings.cli import app
from recordings.stores.checksums import CRC32C, CRC64NVME
from recordings.stores.gcs_operator import OperatorStore
from recordings.stores.landing import Target, open_landing
from sandbox.servers import Sandbox
from tests.functional.backfill_stand import BackfillStand, Kept
from tests.functional.clients import aws, eventually
from tests.functional.databases import rows
from tests.functional.places import google_place, s3_place
from tests.functional.pooler import pooler
from tests.functional.stand import entered
from tests.functional.test_pooler import through

MIB = 1 << 20
LENGTHS = (0, 1000, 17 * MIB + 1)
PLACES = {"s3": s3_place, "gcs": google_place}


@pytest.fixture(params=["s3", "gcs"])
def stand(request: pytest.FixtureRequest, sandbox: Sandbox, database: str) -> Iterator[BackfillStand]:
    """A bucket on each provider."""
    with entered(sandbox):
        yield BackfillStand(sandbox, PLACES[request.param](sandbox, "recordings/"), database)


@pytest.fixture
def s3_stand(sandbox: Sandbox, database: str) -> Iterator[BackfillStand]:
    """A bucket on S3, for what is the same on both."""
    with entered(sandbox):
        made = BackfillStand(sandbox, s3_place(sandbox, "recordings/"), database)
        yield made
        made.faults("aws")


def row(stand: BackfillStand, kept: Kept) -> tuple[Any, ...] | None:
    """Provider, path and size in the database."""
    found = rows(
        stand.database_url, "select asset_id, storage_provider, file_path, size from public.meeting_recordings"
    )
    return next(((provider, path, size) for id_, provider, path, size in found if id_ == kept.asset_id), None)


def stored_checksum(stand: BackfillStand, kept: Kept) -> str:
    """What the store has of the whole object, told by another client than moved it."""
    if stand.outputs.storage_provider.value == "s3":
        s3, bucket = aws("s3", stand.sandbox), stand.outputs.bucket_name
        head = s3.head_object(Bucket=bucket, Key=kept.key, ChecksumMode="ENABLED")
        assert head["ChecksumType"] == "FULL_OBJECT"
        return head["ChecksumCRC64NVME"]
    store = stand.store
    assert isinstance(store, OperatorStore)
    return str(store.describe(kept.key).crc32c)


def test_recordings_at_100ms_come_into_the_bucket(stand: BackfillStand) -> None:
    """Each once, whole, under its documented path, with checksum, type and row; then there is nothing left to do."""
    kept = stand.keep(*LENGTHS)
    today = datetime.now(UTC).date()
    would = stand.said("--dry-run")
    assert (would["recordings"], would["bytes"]) == (3, sum(LENGTHS))
    day = would["days"][0]
    looked = date.fromisoformat(day["lastDay"]) - timedelta(days=day["daysLeft"])
    assert today <= looked <= datetime.now(UTC).date(), "the day may end meanwhile"
    assert day["daysLeft"] in (14, 15)
    assert list(stand.store.list("recordings/")) == []
    done = stand.run()
    assert done.exit_code == 0, done.output
    told = [line.removeprefix("now: ") for line in done.stderr.splitlines() if line.startswith("now: ")]
    assert sorted(told) == sorted(would["steps"])
    algorithm = CRC64NVME if stand.outputs.storage_provider.value == "s3" else CRC32C
    for each in kept:
        assert stand.whole(each)
        assert stored_checksum(stand, each) == algorithm.text(algorithm.update(memoryview(each.body), 0))
        assert stand.store.head(each.key).content_type == "video/mp4"
        path = f"{stand.store.scheme}://{stand.outputs.bucket_name}/{each.key}"
        assert row(stand, each) == (stand.outputs.storage_provider.value, path, len(each.body))
    again = stand.said()
    assert (again["recordings"], again["done"]) == (0, 3)
    assert [info.key for info in stand.store.list(".recordings/")] == []
    assert list(stand.store.list_uploads()) == []
    assert "X-Amz" not in done.output


def test_a_glance_tells_what_a_look_tells(stand: BackfillStand) -> None:
    """Size, checksum and mark; and that there is nothing."""
    kept = stand.keep(*LENGTHS)
    landing = open_landing(stand.outputs, stand.store)
    targets = [Target(each.key, "video/mp4", each.asset_id) for each in kept]
    requests = [landing.glance(target) for target in targets]
    with closing(Wire()) as wire:
        assert {wire.head(request.url, request.headers).status for request in requests} == {404}
        assert stand.run().exit_code == 0
        answers = [wire.head(request.url, request.headers) for request in requests]
    assert [landing.seen(answer.headers) for answer in answers] == [landing.look(target) for target in targets]


def test_an_erased_recording_is_left_alone(s3_stand: BackfillStand) -> None:
    """A tombstone is obeyed: no object, no row, and nothing to do."""
    kept = s3_stand.keep(1000)[0]
    with psycopg.connect(s3_stand.database_url) as connection:
        statement = "insert into recordings_internal.tombstones (kind, id) values ('asset', %s)"
        connection.execute(statement, [kept.asset_id])
    assert s3_stand.said()["recordings"] == 0
    assert list(s3_stand.store.list("recordings/")) == []
    assert row(s3_stand, kept) is None


def test_faults_on_the_wire_are_overcome(s3_stand: BackfillStand) -> None:
    """Cut and refused ranges, parts and completion, and a completion whose answer is lost."""
    kept = s3_stand.keep(17 * MIB, 1000)
    theirs, ours = f"/{s3_stand.own.location}/.*", f"/{s3_stand.outputs.bucket_name}/recordings/.*"
    s3_stand.faults(
        "aws",
        {"match": f"GET {theirs}", "fault": "truncate", "skip": 1},
        {"match": f"GET {theirs}", "fault": "503", "skip": 2, "retry_after": 0},
        {"match": f"PUT {ours}", "fault": "reset", "times": 2},
        {"match": f"PUT {ours}", "fault": "500"},
        {"match": f"POST {ours}", "fault": "lost_answer", "skip": 1},
    )
    assert s3_stand.said()["moved"] == 2
    assert all(s3_stand.whole(each) for each in kept)


def test_another_object_is_reported_and_kept(s3_stand: BackfillStand) -> None:
    """Exit code 1, the reason and the last day; the object that is there stays."""
    kept = s3_stand.keep(1000)[0]
    s3_stand.store.put(kept.key, b"another")
    result = s3_stand.run()
    assert result.exit_code == 1
    assert "was not overwritten" in result.stderr
    assert "100ms deletes it after 20" in result.stderr
    assert s3_stand.store.read(kept.key)[0] == b"another"


def worker(stand: BackfillStand, folder: Path) -> subprocess.Popen[str]:
    """`recordings worker` as a process of its own."""
    outputs = folder / "outputs.json"
    outputs.write_text(stand.raw)
    command = [sys.executable, "-m", "recordings", "worker", "--until-empty", "--dead-after", "2s"]
    env = {**os.environ, "DATABASE_URL": stand.database_url}
    return subprocess.Popen(
        [*command, "--outputs", str(outputs)], env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_a_worker_killed_in_mid_copy_loses_nothing(s3_stand: BackfillStand, tmp_path: Path) -> None:
    """Two workers, one ended by SIGKILL with a recording half copied: every object once and whole, every row there."""
    kept = s3_stand.keep(34 * MIB, 1000, 1000, 1000, 1000, 1000)
    large, bucket = kept[0], s3_stand.outputs.bucket_name
    assert s3_stand.said("--enqueue") == {"enqueued": 6, "queued": 0}
    assert s3_stand.said("--enqueue") == {"enqueued": 0, "queued": 6}
    slow = {"match": f"PUT /{bucket}/{large.key}", "fault": "slow", "times": 0, "delay": 40, "skip": 1}
    s3_stand.faults("aws", slow)
    s3 = aws("s3", s3_stand.sandbox)

    def parts() -> int:
        uploads = [upload.upload_id for upload in s3_stand.store.list_uploads(large.key)]
        found = [s3.list_parts(Bucket=bucket, Key=large.key, UploadId=upload_id) for upload_id in uploads]
        return sum(len(each.get("Parts", ())) for each in found)

    def workers() -> int:
        query = "select count(*) from recordings_queue.procrastinate_workers"
        return int(rows(s3_stand.database_url, query)[0][0])

    with worker(s3_stand, tmp_path) as first:
        eventually(lambda: parts() == 1)
        with worker(s3_stand, tmp_path) as second:
            eventually(lambda: workers() == 2)
            first.kill()
            first.communicate()
            s3_stand.faults("aws")
            said = second.communicate(timeout=120)
    assert (first.returncode, second.returncode) == (-9, 0), said
    assert f"moved: {large.asset_id}" in said[1]
    assert all(s3_stand.whole(each) for each in kept)
    assert all(row(s3_stand, each) for each in kept)
    assert list(s3_stand.store.list_uploads()) == []
    assert list(s3_stand.store.list(".recordings/")) == []
    assert rows(s3_stand.database_url, "select count(*) from recordings_queue.procrastinate_jobs") == [(0,)]


def test_the_queue_goes_through_a_pooler(s3_stand: BackfillStand) -> None:
    """Transaction mode: neither session nor setting nor notification is relied on; a dry run takes no job."""
    kept = s3_stand.keep(1000)[0]
    with pooler(s3_stand.database_url) as port:
        s3_stand.database_url, direct = through(s3_stand.database_url, port), s3_stand.database_url
        assert s3_stand.said("--enqueue")["enqueued"] == 1
        runner, command = CliRunner(env={"DATABASE_URL": s3_stand.database_url}), ["worker", "--json", "--outputs", "-"]
        for _ in range(2):
            waiting = runner.invoke(app, [*command, "--dry-run"], input=s3_stand.raw)
            assert len(json.loads(waiting.stdout)["steps"]) == 1, waiting.output
        result = runner.invoke(app, [*command, "--until-empty"], input=s3_stand.raw)
        assert result.exit_code == 0, result.output
        assert json.loads(runner.invoke(app, [*command, "--dry-run"], input=s3_stand.raw).stdout)["steps"] == []
    s3_stand.database_url = direct
    assert s3_stand.whole(kept)
