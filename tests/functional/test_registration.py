"""`recordings register` and `unregister` as a user runs them, against the sandbox's 100ms and AWS."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pytest
from rich.console import Console
from typer.testing import Result

from recordings.cli.frame import Frame
from recordings.cli.place import open_place
from recordings.errors import ConflictError
from recordings.registration import plan_register
from recordings.upload_settings import Upload, differences
from sandbox.servers import Sandbox
from tests.functional.clients import aws, control, eventually, hms, refused
from tests.functional.project import ROOT, Project
from tests.functional.stand import Stand, entered

EARLIER = {
    "type": "s3",
    "location": "earlier-bucket",
    "prefix": "earlier",
    "options": {"region": "eu-west-1", "newOption": 1},
    "credentials": {"key": "AKIAEARLIER", "secretKey": "earlier-secret"},
}
UNKNOWN = {"region": "eu", "noiseCancellation": {"enabled": True}}
HLS = {"hlsDestinations": {"live": {"name": "live", "recording": {"hlsVod": True, "enableZipUpload": False}}}}


@pytest.fixture(autouse=True)
def in_sandbox(sandbox: Sandbox) -> Iterator[None]:
    with entered(sandbox):
        yield
        control(sandbox, "hms", "DELETE", "faults")


@pytest.fixture(scope="module")
def stand(sandbox: Sandbox) -> Iterator[Stand]:
    with entered(sandbox):
        yield Stand.build()


def template(sandbox: Sandbox, recording: Any = None, **fields: Any) -> str:
    """A new template; its id."""
    entry = {"settings": {**UNKNOWN, "recording": recording}, **fields}
    return str(control(sandbox, "hms", "POST", "seed", {"templates": [entry]})["templates"][0])


def settings(sandbox: Sandbox, id_: str) -> dict[str, Any]:
    with hms(sandbox) as client:
        answer = client.get(f"templates/{id_}/settings")
    answer.raise_for_status()
    return dict(answer.json())


def write_settings(sandbox: Sandbox, id_: str, value: dict[str, Any]) -> None:
    with hms(sandbox) as client:
        client.post(f"templates/{id_}/settings", json=value).raise_for_status()


def fail(sandbox: Sandbox, id_: str, fault: str, **how: Any) -> None:
    """Make the next write of the template's settings fail."""
    rule = {"match": f"POST /v2/templates/{id_}/settings", "fault": fault, **how}
    control(sandbox, "hms", "POST", "faults", rule)


def is_registered(sandbox: Sandbox, stand: Stand, id_: str) -> bool:
    return differences(settings(sandbox, id_), Upload.from_outputs(stand.outputs)) == []


def said(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def options(ids: list[str]) -> list[str]:
    return [part for id_ in ids for part in ("--template", id_)]


def test_register_and_unregister(sandbox: Sandbox, stand: Stand) -> None:
    """Many templates at once: registered, not written again, and put back exactly; no secret in any output."""
    ids = [template(sandbox), template(sandbox, {"upload": EARLIER, "compositeMode": "grid"})]
    before = [settings(sandbox, id_) for id_ in ids]
    first = stand.recordings("register", "--json", *options(ids))
    assert said(first)["templates"] == dict.fromkeys(ids, "registered")
    assert all(is_registered(sandbox, stand, id_) for id_ in ids)
    assert settings(sandbox, ids[1])["recording"]["compositeMode"] == "grid"
    assert settings(sandbox, ids[1])["noiseCancellation"] == UNKNOWN["noiseCancellation"]
    again = said(stand.recordings("register", "--json", *options(ids)))
    assert again == {
        "templates": dict.fromkeys(ids, "was registered already"),
        "steps": [],
        "faults": [],
        "dryRun": False,
    }
    back = stand.recordings("unregister", "--json")
    assert said(back)["templates"] == dict.fromkeys(ids, "put back as it was before")
    assert [settings(sandbox, id_) for id_ in ids] == before
    for result in (first, back):
        assert "earlier-secret" not in result.output
        assert stand.raw["writerSecretAccessKey"] not in result.output


def test_dry_run_prints_the_steps_that_apply_runs(sandbox: Sandbox, stand: Stand) -> None:
    """The same list, word by word; the dry run writes nothing."""
    id_ = template(sandbox, {"upload": EARLIER})
    before = settings(sandbox, id_), stand.contents()
    dry = stand.recordings("register", "--dry-run", "--json", "--template", id_)
    assert (settings(sandbox, id_), stand.contents()) == before
    done = stand.recordings("register", "--json", "--template", id_)
    assert said(dry)["steps"] == said(done)["steps"]
    assert dry.stderr.replace("would: ", "now: ") == done.stderr
    assert "~ recording.upload.location: 'earlier-bucket' => " in done.stderr
    dry = stand.recordings("unregister", "--dry-run", "--json", "--template", id_)
    assert is_registered(sandbox, stand, id_)
    assert said(dry)["steps"] == said(stand.recordings("unregister", "--json", "--template", id_))["steps"]


def test_memory_is_for_the_operator_alone(sandbox: Sandbox, stand: Stand) -> None:
    """What is remembered lies outside the prefix, unreadable without the app secret; writer and reader are denied."""
    id_ = template(sandbox, {"upload": EARLIER})
    said(stand.recordings("register", "--json", "--template", id_))
    key = f".recordings/registration/{id_}"
    blob = stand.s3.get_object(Bucket=stand.bucket, Key=key)["Body"].read()
    assert b"earlier" not in blob
    for who in ("writer", "reader"):
        client = aws("s3", sandbox, (stand.raw[f"{who}AccessKeyId"], stand.raw[f"{who}SecretAccessKey"]))
        assert refused(partial(client.get_object, Bucket=stand.bucket, Key=key))[0] == 403
    stand.recordings("unregister", "--template", id_)


def test_deployed_stack(sandbox: Sandbox, deployed_project: Project) -> None:
    """With the outputs of a real deployment: registered with its bucket and prefix, then put back."""
    id_ = template(sandbox)
    before = settings(sandbox, id_)
    deployed_project.recordings("register", "--template", id_)
    upload = settings(sandbox, id_)["recording"]["upload"]
    assert (upload["type"], upload["location"], upload["prefix"]) == ("s3", "functional-recordings", "recordings")
    deployed_project.recordings("unregister", "--template", id_)
    assert settings(sandbox, id_) == before


def test_partial_failure_says_what_was_done(sandbox: Sandbox, stand: Stand) -> None:
    """Many templates, one refused: what was done stays and is said, the rest is named, a second run completes it."""
    ids = [template(sandbox) for _ in range(3)]
    fail(sandbox, ids[1], "400")
    stopped = stand.recordings("register", *options(ids))
    assert stopped.exit_code == 3
    _, done, rest, advice = stopped.stderr.rstrip().rsplit("\n", 3)
    assert done.startswith("done: ")
    assert ids[0] in done
    assert rest.startswith("not done: ")
    assert all(id_ in rest for id_ in ids[1:])
    assert "again" in advice
    assert [is_registered(sandbox, stand, id_) for id_ in ids] == [True, False, False]
    said(stand.recordings("register", "--json", *options(ids)))
    assert all(is_registered(sandbox, stand, id_) for id_ in ids)
    stand.recordings("unregister")


def test_debug_logs_hold_no_secret(sandbox: Sandbox, stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    """With every library logging all it can, no secret of ours and no token is in it."""
    id_ = template(sandbox, {"upload": EARLIER})
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "httpx"):  # `verify` may have silenced it
        stand.recordings("register", "--template", id_)
        stand.recordings("unregister", "--template", id_)
    assert "httpx" in caplog.text
    assert "botocore" in caplog.text
    own = sandbox.env["HMS_APP_SECRET"], stand.raw["writerSecretAccessKey"], stand.raw["readerSecretAccessKey"]
    for secret in (*own, sandbox.env["AWS_SECRET_ACCESS_KEY"], "earlier-secret", "Bearer "):
        assert secret not in caplog.text


# Faults


@pytest.mark.parametrize("fault", ["429", "500", "503", "reset", "lost_answer", "truncate", "corrupt"])
def test_register_outlives_a_failed_write(fault: str, sandbox: Sandbox, stand: Stand) -> None:
    """Whatever happens to one write, before or after its effect, the end is the right state, both ways."""
    id_ = template(sandbox, {"upload": EARLIER})
    before = settings(sandbox, id_)
    fail(sandbox, id_, fault, retry_after=0)
    said(stand.recordings("register", "--json", "--template", id_))
    assert is_registered(sandbox, stand, id_)
    fail(sandbox, id_, fault, retry_after=0)
    said(stand.recordings("unregister", "--json", "--template", id_))
    assert settings(sandbox, id_) == before


@pytest.mark.parametrize(("reads", "written"), [(1, False), (2, True)])
@pytest.mark.parametrize("command", ["register", "unregister"])
def test_killed_around_the_write(
    command: str, reads: int, written: bool, sandbox: Sandbox, stand: Stand, python: Sequence[str]
) -> None:
    """SIGKILL just before or just after the write: the next run completes it, and the way back stays open."""
    id_ = template(sandbox, {"upload": EARLIER})
    before = settings(sandbox, id_)
    if command == "unregister":
        said(stand.recordings("register", "--json", "--template", id_))
    rule = {"match": f"GET /v2/templates/{id_}/settings", "fault": "slow", "delay": 5, "skip": reads}
    control(sandbox, "hms", "POST", "faults", rule)
    run_and_kill(sandbox, stand, [*python, "-m", "recordings", command, "--template", id_, "--outputs", "-"])
    assert is_registered(sandbox, stand, id_) is (written == (command == "register"))
    said(stand.recordings(command, "--json", "--template", id_))
    assert is_registered(sandbox, stand, id_) is (command == "register")
    said(stand.recordings("unregister", "--json", "--template", id_))
    assert settings(sandbox, id_) == before


def run_and_kill(sandbox: Sandbox, stand: Stand, command: list[str]) -> None:
    """Run the command as a process of its own; SIGKILL once the fault that was set is being carried out."""
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as run:
        assert run.stdin is not None
        run.stdin.write(json.dumps(stand.raw))
        run.stdin.close()
        eventually(lambda: not control(sandbox, "hms", "GET", "faults")["rules"])
        os.kill(run.pid, signal.SIGKILL)


def test_change_by_somebody_else_is_not_overwritten(sandbox: Sandbox, stand: Stand) -> None:
    """What the second read shows stays as it is."""
    id_ = template(sandbox)
    with open_place(stand.outputs, Frame(story=Console(quiet=True))) as place:
        intent = plan_register(place, [id_])
        theirs = {**settings(sandbox, id_), "region": "us"}
        write_settings(sandbox, id_, theirs)
        with pytest.raises(ConflictError, match="region"):
            intent.plan.apply()
    assert settings(sandbox, id_) == theirs


def test_two_stacks_race_for_one_template(sandbox: Sandbox, stand: Stand) -> None:
    """In three races over the network the template is one stack's whole, and both ways back together are complete."""
    other = Stand.build()
    ends: list[str] = []
    for _ in range(3):
        id_ = template(sandbox, {"upload": EARLIER})
        before = settings(sandbox, id_)
        threads = [threading.Thread(target=_register, args=(one, id_, ends)) for one in (stand, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert is_registered(sandbox, stand, id_) or is_registered(sandbox, other, id_)
        for one in (stand, other, stand, other):
            said(one.recordings("unregister", "--json", "--template", id_))
        assert settings(sandbox, id_) == before
    assert len(ends) == 6
    assert set(ends) <= {"done", "ConflictError"}


def _register(stand: Stand, id_: str, ends: list[str]) -> None:
    with open_place(stand.outputs, Frame(story=Console(quiet=True))) as place:
        try:
            plan_register(place, [id_]).plan.apply()
            ends.append("done")
        except Exception as error:
            ends.append(type(error).__name__)


# What stops it


def test_hls_vod_stops_unless_accepted(sandbox: Sandbox, stand: Stand) -> None:
    """A template that records HLS VOD is listed with exit code 1 and left as it is, until accepted."""
    id_ = template(sandbox, destinations=HLS)
    before = settings(sandbox, id_)
    stopped = stand.recordings("register", "--template", id_)
    assert stopped.exit_code == 1
    assert id_ in stopped.stderr
    assert "--accept-hls-vod" in stopped.stderr
    assert settings(sandbox, id_) == before
    said(stand.recordings("register", "--json", "--accept-hls-vod", "--template", id_))
    said(stand.recordings("unregister", "--json", "--template", id_))


@pytest.mark.parametrize(
    ("expected", "named"),
    [
        ({"expectedAccount": "999999999999"}, "expectedAccount"),
        ({"expectedRegions": ["eu-central-1"]}, "expectedRegions"),
        ({"expectedCustomer": "somebody-else"}, "expectedCustomer"),
    ],
)
@pytest.mark.parametrize("command", ["register", "unregister"])
def test_wrong_place(command: str, expected: dict[str, Any], named: str, sandbox: Sandbox, stand: Stand) -> None:
    """The wrong account, region or customer ends with exit code 2 before anything is changed."""
    id_ = template(sandbox)
    before = settings(sandbox, id_), sorted(stand.contents())
    stopped = stand.declared(**expected).recordings(command, "--template", id_)
    assert stopped.exit_code == 2
    assert named in stopped.stderr
    assert (settings(sandbox, id_), sorted(stand.contents())) == before


@pytest.mark.parametrize(
    ("environment", "arguments", "exit_code", "named"),
    [
        ({"HMS_ACCESS_KEY": "", "HMS_APP_SECRET": ""}, ["--template", "t"], 2, "HMS_ACCESS_KEY and HMS_APP_SECRET"),
        ({"HMS_APP_SECRET": "", "HMS_MANAGEMENT_TOKEN": "x"}, ["--template", "t"], 2, "HMS_APP_SECRET is not set"),
        ({"HMS_APP_SECRET": "wrong " * 10}, ["--template", "t"], 3, "401"),
        ({"HMS_API_URL": "http://example.com"}, ["--template", "t"], 2, "HMS_API_URL"),
        ({"SSL_CERT_FILE": ""}, ["--template", "t"], 3, "certificate is not trusted"),
        ({}, [], 2, "recordings:templateIds"),
        ({}, ["--template", "../x"], 2, "not a template id"),
        ({}, ["--template", "0123456789abcdef01234567"], 3, "404"),
    ],
)
def test_bad_input(
    environment: dict[str, str],
    arguments: list[str],
    exit_code: int,
    named: str,
    stand: Stand,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each ends with its exit code and one message that says what to do; with --json it is on stdout as an object."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    result = stand.recordings("register", "--json", *arguments)
    assert result.exit_code == exit_code, result.output
    assert named in json.loads(result.stdout)["error"]["message"]
    assert "Traceback" not in result.output


def test_app_secret_that_was_rotated(sandbox: Sandbox, stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was remembered under an earlier app secret is still there, and the error says how to read it."""
    id_ = template(sandbox)
    said(stand.recordings("register", "--json", "--template", id_))
    with monkeypatch.context() as patch:
        token = "".join(hms(sandbox).headers["Authorization"].split("Bearer "))
        patch.setenv("HMS_MANAGEMENT_TOKEN", token)
        patch.delenv("HMS_ACCESS_KEY")
        patch.setenv("HMS_APP_SECRET", "rotated " * 8)
        refused_ = stand.recordings("unregister", "--template", id_)
        assert refused_.exit_code == 2
        assert "another 100ms app secret" in refused_.stderr
    said(stand.recordings("unregister", "--json", "--template", id_))
