"""`recordings rotate` as a user runs it: the engine, the clouds and the fake 100ms of the sandbox, SIGKILL and all.

Every kill point is in `tests.unit.test_rotation_kills`; here is that the real parts fit, once for each provider.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import httpx
import pytest

from recordings.cli.frame import Frame
from recordings.cli.place import open_place
from recordings.cli.rotate import Run, Wish, opened
from recordings.errors import CredentialsError, NotDueError
from recordings.outputs import StackOutputs
from recordings.registration import plan_register
from recordings.rotation import Role
from recordings.stores import AccessKey, Identity, open_store
from sandbox.servers import Sandbox
from tests.functional.clients import control, eventually, hms
from tests.functional.project import ROOT, Project
from tests.functional.stand import entered


class Site:
    """A deployed stack, two rooms of a registered template, and the recordings that 100ms made in them."""

    def __init__(self, sandbox: Sandbox, project: Project) -> None:
        self.sandbox, self.project = sandbox, project
        self.template = control(sandbox, "hms", "POST", "seed", {"templates": [{}]})["templates"][0]
        rooms = [{"template_id": self.template}] * 2
        self.rooms = control(sandbox, "hms", "POST", "seed", {"rooms": rooms})["rooms"]
        self.started: list[str] = []

    def outputs(self) -> StackOutputs:
        return StackOutputs.from_json(self.project.raw_outputs())

    def record(self) -> str:
        """Begin a recording in the next room; its id, once it runs."""
        with hms(self.sandbox) as api:
            id_ = str(api.post(f"recordings/room/{self.rooms[len(self.started)]}/start", json={}).json()["id"])
            eventually(lambda: api.get(f"recordings/{id_}").json()["status"] == "running")
        self.started.append(id_)
        return id_

    def end_all(self) -> list[str]:
        """Stop all recordings; their statuses once each has come to its end."""
        with hms(self.sandbox) as api:
            for id_ in self.started:
                api.post(f"recordings/{id_}/stop", json={}).raise_for_status()
            return [eventually(partial(_ended, api, id_)) for id_ in self.started]

    def registered_key(self) -> str:
        with hms(self.sandbox) as api:
            settings = api.get(f"templates/{self.template}/settings").json()
        return str(settings["recording"]["upload"]["credentials"]["key"])

    def killed_at(self, line: str, *options: str) -> None:
        """Run `recordings rotate`, and SIGKILL it and all that it started when it prints this line."""
        where = ["--stack", self.project.stack, "--cwd", str(self.project.folder)]
        command = [*self.project.python, "-m", "recordings", "rotate", *where, *options]
        with subprocess.Popen(command, cwd=ROOT, env=os.environ, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            seen = []
            for each in process.stderr:
                seen.append(each)
                if each.startswith(line):
                    process.send_signal(signal.SIGKILL)
                    break
            assert process.wait(60) == -signal.SIGKILL, "".join(seen)

    def run(self, role: Role = Role.WRITER, **wish: Any) -> None:
        """The same command in this process, whose clock and environment are the test's."""
        with opened(Frame(), self.project.stack, self.project.folder, role, deploys=True) as rotation:
            Run(Frame(), rotation, Wish(role=role, **wish)).perform()


def _ended(api: httpx.Client, id_: str) -> str:
    status = str(api.get(f"recordings/{id_}").json()["status"])
    return status if status in ("completed", "failed") else ""


@pytest.fixture
def site(
    sandbox: Sandbox,
    project_at: Callable[..., Project],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Site]:
    provider = str(request.param)
    project = project_at("rot", bucketName=f"rotated-{provider}-recordings", forceDestroy=True)
    if provider == "gcs":
        file = project.folder / "Pulumi.rot.yaml"
        file.write_text(file.read_text() + "  recordings:provider: gcs\n  gcp:region: europe-west1\n")
    project.up()
    with entered(sandbox):
        monkeypatch.setenv("PULUMI_BACKEND_URL", project.env["PULUMI_BACKEND_URL"])
        monkeypatch.setenv("PULUMI_COMMAND", project.env["PULUMI_COMMAND"])
        made = Site(sandbox, project)
        with open_place(made.outputs(), Frame()) as place:
            plan_register(place, [made.template]).plan.apply()
        yield made


@pytest.mark.parametrize(("site", "line"), [("s3", "now: give 100ms"), ("gcs", "Updating")], indirect=["site"])
def test_rotation_is_killed_while_100ms_records(site: Site, line: str) -> None:
    """SIGKILL in the hand-over, and in the middle of `up`: the next run goes on, and every recording arrives."""
    first = site.outputs()
    old = site.record()
    site.killed_at(line, "--overlap", "0s")
    with pytest.raises(NotDueError, match="recordings that began under the old key") as waiting:
        site.run()
    assert old in str(waiting.value)
    assert site.registered_key() == site.outputs().writer_access_key_id != first.writer_access_key_id
    site.record()
    assert site.end_all() == ["completed"] * 2
    site.run()
    last = site.outputs()
    assert [*last.writer_keys] == ["green"]
    assert site.registered_key() == last.writer_access_key_id
    store = open_store(last, Identity.READER)
    assert len([each for each in store.list(last.path_prefix) if each.key.endswith(".mp4")]) == 2
    gone = open_store(last, AccessKey(first.writer_access_key_id, first.writer_secret_access_key))
    with pytest.raises(CredentialsError):
        gone.put(f"{last.path_prefix}late", b"late")
