"""Taking down what is really there, on both providers: bucket with versions, keys, registered template, recording.

`pulumi` is stood in for: stacks that are deployed, destroyed and removed on both are in `test_pull_request.py`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from subprocess import CompletedProcess
from typing import Any

import pytest
from rich.console import Console

from recordings.cli.frame import Frame
from recordings.cli.place import open_place
from recordings.errors import CredentialsError
from recordings.registration import plan_register
from recordings.stacks import Stacks
from recordings.stores import Identity, deactivate_key, open_store
from recordings.teardown import Teardown, Wish, bucket_is_there, look
from recordings.teardown_waiting import Waiting
from sandbox.servers import Sandbox
from tests.functional.clients import aws, control, eventually, hms
from tests.functional.google_lab import Lab
from tests.functional.google_stand import GoogleStand
from tests.functional.stand import Stand, entered

AnyStand = Stand | GoogleStand
EXPIRES = "2099-01-31T12:00:00Z"


@pytest.fixture(autouse=True)
def in_sandbox(sandbox: Sandbox) -> Iterator[None]:
    with entered(sandbox):
        yield
        control(sandbox, "hms", "DELETE", "faults")


@pytest.fixture(params=["s3", "gcs"])
def stand(request: pytest.FixtureRequest, lab: Lab) -> AnyStand:
    made: AnyStand = Stand.build() if request.param == "s3" else GoogleStand.build(lab)
    users = {f"{who}Principal": f"arn:aws:iam::0:user/{made.bucket}-{who}" for who in ("writer", "reader")}
    return made.declared(**{**users, **made.raw, "forceDestroy": True, "expiresAt": EXPIRES})


@dataclass
class StandIn:
    """`pulumi` with one stack, whose outputs are the stand's."""

    raw: dict[str, Any] = field(repr=False)
    told: list[str] = field(default_factory=list)

    def __call__(self, *arguments: str, quiet: bool = False, story: bool = False) -> CompletedProcess[str]:
        text = ""
        if arguments[:2] == ("stack", "ls"):
            text = json.dumps([{"name": "pr-1", "resourceCount": 16}])
        elif arguments[:2] == ("stack", "output"):
            text = json.dumps(self.raw)
        else:
            self.told.append(" ".join(arguments[:2]))
        return CompletedProcess(["pulumi", *arguments], 0, text)


def template(sandbox: Sandbox) -> str:
    made = control(sandbox, "hms", "POST", "seed", {"templates": [{"settings": {"region": "eu", "recording": None}}]})
    return str(made["templates"][0])


def settings(sandbox: Sandbox, id_: str) -> Any:
    with hms(sandbox) as client:
        return client.get(f"templates/{id_}/settings").json()


def register(stand: AnyStand, id_: str) -> None:
    with open_place(stand.outputs, Frame(story=Console(quiet=True))) as place:
        plan_register(place, [id_]).plan.apply()


def take_down(stand: AnyStand, *, stop: bool = False, meanwhile: Callable[[str], None] = lambda _: None) -> StandIn:
    pulumi = StandIn(stand.raw)
    target = look(Stacks(pulumi), "pr-1")
    assert target is not None
    with open_place(stand.outputs, Frame(story=Console(quiet=True))) as place:
        waiting = Waiting(timedelta(seconds=30))
        plan = Teardown(target, Stacks(pulumi), place, Wish(stop_recordings=stop), waiting).plan()
        plan.apply(before=lambda step: meanwhile(step.title))
    return pulumi


def test_all_that_belongs_to_the_stack_goes(sandbox: Sandbox, stand: AnyStand) -> None:
    """A running recording is stopped and waited for; template as before, keys dead, every version and part deleted."""
    id_ = template(sandbox)
    before = settings(sandbox, id_)
    register(stand, id_)
    operator = open_store(stand.outputs, Identity.OPERATOR)
    for body in (b"one", b"two"):
        operator.put("recordings/a.mp4", body)
    operator.put("recordings/b.mp4", b"deleted")
    operator.delete("recordings/b.mp4")
    operator.create_upload("recordings/part.mp4")
    room = control(sandbox, "hms", "POST", "seed", {"rooms": [{"template_id": id_}]})["rooms"][0]
    with hms(sandbox) as client:
        started = client.post(f"recordings/room/{room}/start", json={"meeting_url": "https://meet.example.com"}).json()
        eventually(lambda: client.get(f"recordings/{started['id']}").json()["status"] == "running")
        pulumi = take_down(stand, stop=True)
        assert client.get(f"recordings/{started['id']}").json()["status"] in ("completed", "failed")
    assert settings(sandbox, id_) == before
    assert stand.contents() == []
    assert pulumi.told == ["destroy --yes", "stack rm"]
    for who in (Identity.WRITER, Identity.READER):
        with pytest.raises(CredentialsError):
            open_store(stand.outputs, who).head("recordings/a.mp4")
    outputs, key = stand.outputs, stand.outputs.writer_access_key_id
    assert deactivate_key(outputs, outputs.writer_principal, key), "once more changes nothing"
    assert not deactivate_key(outputs, outputs.writer_principal, key[:-4] + "AAAA"), "one that is gone is no error"


def test_bucket_deleted_by_hand_is_taken_out_of_templates(sandbox: Sandbox, stand: AnyStand) -> None:
    """What the template had before went with the bucket: 100ms stores for it itself again, and the rest goes on."""
    id_ = template(sandbox)
    register(stand, id_)
    operator = open_store(stand.outputs, Identity.OPERATOR)
    operator.delete_versions(operator.list_versions())
    delete_bucket(sandbox, stand)
    with open_place(stand.outputs, Frame(story=Console(quiet=True))) as place:
        assert not bucket_is_there(place)
    assert take_down(stand).told == ["destroy --yes", "stack rm"]
    assert settings(sandbox, id_)["recording"] is None


def delete_bucket(sandbox: Sandbox, stand: AnyStand) -> None:
    if isinstance(stand, GoogleStand):
        stand.lab.operator.delete(f"/storage/v1/b/{stand.bucket}").raise_for_status()
    else:
        aws("s3", sandbox).delete_bucket(Bucket=stand.bucket)


@pytest.mark.parametrize("stand", ["s3"], indirect=True)
def test_killed_in_a_write_the_next_run_ends_clean(sandbox: Sandbox, stand: AnyStand, python: Sequence[str]) -> None:
    """SIGKILL while 100ms is asked to take the template back: the next run completes it."""
    id_ = template(sandbox)
    before = settings(sandbox, id_)
    register(stand, id_)
    rule = {"match": f"POST /v2/templates/{id_}/settings", "fault": "slow", "delay": 5}
    control(sandbox, "hms", "POST", "faults", rule)
    code = "import json, sys\nfrom tests.functional import test_teardown as t\nt.take_down_alone(json.load(sys.stdin))"
    with subprocess.Popen([*python, "-c", code], stdin=subprocess.PIPE, text=True) as run:
        assert run.stdin is not None
        run.stdin.write(json.dumps(stand.raw))
        run.stdin.close()
        eventually(lambda: not control(sandbox, "hms", "GET", "faults")["rules"])
        os.kill(run.pid, signal.SIGKILL)
    take_down(stand)
    assert settings(sandbox, id_) == before
    assert stand.contents() == []


def take_down_alone(raw: dict[str, Any]) -> None:
    """In a process of its own, which is killed."""
    take_down(Stand(raw, None, None))
