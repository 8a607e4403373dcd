"""Webhooks forged, replayed and reordered: a row says what 100ms' API says, or there is none."""

from __future__ import annotations

import random
from typing import Any

from sandbox.hms.state import new_id
from sandbox.servers import Sandbox
from tests.faults.trials import Trials
from tests.functional.databases import migrated_database
from tests.functional.webhook_stand import SECRET, event, posting, seed, stored


def test_spoofed_event_changes_nothing(trials: Trials, sandbox: Sandbox) -> None:
    """With no secret that is ours it is refused; with it, what an event claims is believed of nothing."""
    with migrated_database(sandbox) as database, posting(sandbox, database) as post:
        for rng in trials.of("webhook spoofed", 30):
            before = stored(database)
            data = seed(sandbox)
            assert post(event(data), secret=_wrong(rng)).status_code == 401
            assert stored(database) == before
            lies = {"recording_path": f"s3://evil/{new_id()}", "size": 1, "room_id": new_id(), "session_id": new_id()}
            assert post(event(data | lies)).status_code == 200
            added = set(stored(database)) - set(before)
            assert added == {(data["recording_id"], "s3", "completed", 1_048_576)}


def _wrong(rng: random.Random) -> str:
    """A secret that is nearly ours."""
    place = rng.randrange(len(SECRET))
    wrong = [SECRET[:place], SECRET + SECRET[place], SECRET[:place] + "x" + SECRET[place + 1 :], SECRET.swapcase(), ""]
    return rng.choice([text for text in wrong if text != SECRET])


def test_replayed_and_reordered_events_give_one_row(trials: Trials, sandbox: Sandbox) -> None:
    """Success, failure and replay of one recording, in any order and at the same time: the row is the same."""
    with migrated_database(sandbox) as database, posting(sandbox, database) as post:
        for rng in trials.of("webhook replayed, reordered", 30):
            before = set(stored(database))
            data = seed(sandbox)
            events = [event(data), event(data, is_replay=True), event(data), _failure(data)]
            rng.shuffle(events)
            for _ in range(rng.choice([1, 2])):
                assert post(*events).status_code == 200
            assert set(stored(database)) - before == {(data["recording_id"], "s3", "completed", 1_048_576)}


def _failure(data: dict[str, str]) -> dict[str, Any]:
    return event(data | {"error_type": "UPLOAD_ERROR", "error_message": "no"}, "beam.failure")
