"""No secret shows: not in a result, story, error or debug log of any command, nor in anything that is written.

Every secret within reach is watched, planted or issued, in every spelling (`canaries`). The one place where a presigned
URL may stand is the result that it is.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import secrets
import shlex
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr
from typer.main import get_command
from typer.testing import CliRunner

from recordings.cli import app
from recordings.hms_auth import HmsCredentials
from recordings.outputs import StackOutputs
from recordings.web import create_app
from recordings.webhook_guard import WebhookSettings
from sandbox.servers import Sandbox
from tests.faults.trials import NAME, Tried
from tests.functional.backfill_stand import BackfillStand
from tests.functional.canaries import Canaries, scanned
from tests.functional.clients import control
from tests.functional.databases import migrated_database
from tests.functional.google_stand import GoogleStand
from tests.functional.project import Project
from tests.functional.stand import Stand, entered
from tests.functional.web_server import everybody, serving

ROOM: Final = "65a0f1e2c3b4a59687d8e9f0"
URL_IS_RESULT: Final = {"sign"}
"""Commands whose result is a presigned URL."""

COMMANDS: Final[Mapping[str, list[list[str]]]] = {
    "register": [["--dry-run"], [], ["--json"]],
    "verify": [["--wait", "0s"], ["--dry-run", "--json"]],
    "doctor": [["--all"], ["--json"]],
    "watch": [["--metrics", "metrics.txt", "--heartbeat", "beat"], ["--json"]],
    "rooms": [[], ["--update", "--dry-run"], ["--update", "--json"]],
    "migrate": [["--dry-run"], ["--json"]],
    "sync": [["--dry-run"], ["--json"]],
    "list": [[], ["--json"]],
    "reconcile": [[], ["--fix", "--json"]],
    "sign": [["{path}"], ["{path}", "--json"], ["s3://elsewhere/{path}"]],
    "download": [["{path}", "-o", "downloaded"], ["{path}", "-o", "downloaded", "--force", "--json"], ["nobody"]],
    "backfill": [
        ["--room", ROOM, "--dry-run"],
        ["--room", ROOM],  # 100ms has lost it
        ["--room", "{kept}", "--json"],
        ["--room", "{queued}", "--enqueue"],
    ],
    "worker": [["--until-empty"]],
    "usage": [["--svg", "usage.svg"], ["--json"]],
    "test-recording": [["--room", "{room}", "--dry-run"], ["--room", "nobody", "--json"]],
    "erase": [["--room", ROOM, "--dry-run"], ["--room", ROOM, "--yes", "--receipt", "receipt.json", "--json"]],
    "unregister": [["--dry-run"], ["--json"]],
    "adopt": [["--stack", "dev", "--cwd", "{project}", "--bucket", "{bucket}", "--dry-run"]],
    "rotate": [
        ["--stack", "dev", "--cwd", "{project}", "--dry-run"],
        ["--stack", "dev", "--cwd", "{project}", "--json"],
    ],
    "serve": [["--port", "0", "--authorise", "nothing:here"], ["--allow-all", "--authorise", "nothing:here"]],
}
"""What each command is called with. One that is not here fails the test."""
WITHOUT_OUTPUTS: Final = {"migrate", "adopt", "rotate"}


@dataclass
class Watched:
    """Runs commands in this process and keeps all that they say."""

    raw: dict[str, Any] = field(repr=False)
    canaries: Canaries
    folder: Path
    log: pytest.LogCaptureFixture
    places: Mapping[str, str]
    runs: int = 0
    said: list[str] = field(default_factory=list)

    def run(self, command: str, *arguments: str, raw: Any = None) -> int:
        """Run one command; fails the test if it says a secret. Gives its exit code."""
        given = [argument.format_map(self.places) for argument in arguments]
        where = [] if command in WITHOUT_OUTPUTS else ["--outputs", "-"]
        self.log.clear()
        result = CliRunner().invoke(app, [command, *given, *where], input=json.dumps(raw or self.raw))
        self.runs += 1
        assert result.exception is None or isinstance(result.exception, SystemExit), f"{command} broke down"
        told = [("result", result.stdout), ("story", result.stderr), ("log", self.log.text)]
        for name, text in told:
            if name == "result" and command in URL_IS_RESULT and result.exit_code == 0:
                continue
            assert self.canaries.leaks(text) == [], f"{name} of `recordings {command} {' '.join(given)}`"
            self.said.append(text)
        return result.exit_code

    def assert_nothing_written(self) -> None:
        """Of all that is in the folder, and all that was said."""
        lines = dict.fromkeys(line for text in self.said for line in text.splitlines())
        (self.folder / "said").write_text("\n".join(lines))
        for file in self.folder.rglob("*"):
            if file.is_file():
                text = file.read_bytes().decode("utf-8", "replace")
                assert self.canaries.leaks(text) == [], file.name
        assert scanned(self.folder) == []


def plant_at_100ms(sandbox: Sandbox, canaries: Canaries) -> dict[str, list[str]]:
    """Templates and rooms whose storage, of somebody else, has secrets of its own."""

    def upload(name: str, field_: str) -> dict[str, Any]:
        credentials = {"key": "AKIASOMEBODYELSE0000", field_: canaries.plant(name)}
        place = {"location": "their-bucket", "prefix": "theirs", "options": {"region": "eu-west-1"}}
        return {"type": "s3", "credentials": credentials, **place}

    templates = [
        {"name": f"t{n}", "settings": {"recording": {"upload": upload(f"template {n}", "secretKey")}}} for n in range(8)
    ]
    rooms = [
        {
            "name": f"r{n}",
            "recording_info": {"enabled": True, "upload_info": upload(f"room {n}", "secret")},
            "webhook": {"url": "https://hook.invalid/", "headers": {"X-Secret": canaries.plant(f"header of room {n}")}},
        }
        for n in range(6)
    ]
    made: dict[str, list[str]] = control(sandbox, "hms", "POST", "seed", {"templates": templates, "rooms": rooms})
    return made


def with_spare_slots(raw: dict[str, Any], canaries: Canaries) -> dict[str, Any]:
    """The outputs, with keys in the second slots too."""
    full = copy.deepcopy(raw)
    for slots in ("writerKeys", "readerKeys"):
        full[slots]["green"] = {"id": "AKIAGREENGREENGREEN0", "secret": canaries.plant(slots), "status": "inactive"}
    return full


def with_wrong_keys(raw: dict[str, Any], canaries: Canaries) -> dict[str, Any]:
    """Outputs whose keys the cloud does not know."""
    wrong = copy.deepcopy(raw)
    for who in ("writer", "reader"):
        secret = canaries.plant(f"wrong {who} of {raw['storageProvider']}")
        wrong[f"{who}SecretAccessKey"] = wrong[f"{who}Keys"]["blue"]["secret"] = secret
    return wrong


@pytest.fixture
def surroundings(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Canaries]:
    """An environment in which every secret is watched, the database's password too; the process is in `tmp_path`."""
    canaries = Canaries()
    with entered(sandbox), migrated_database(sandbox) as database:
        canaries.add("DATABASE_URL", urlsplit(database).password or "")
        monkeypatch.setenv("DATABASE_URL", database)
        monkeypatch.setenv("HMS_WEBHOOK_SECRET", canaries.plant("HMS_WEBHOOK_SECRET"))
        beat = canaries.add("RECORDINGS_HEARTBEAT_URL", secrets.token_hex(12))
        # nobody takes it there, which is told
        monkeypatch.setenv("RECORDINGS_HEARTBEAT_URL", f"{sandbox.env['HMS_API_URL']}/{beat}")
        for name in ("HMS_APP_SECRET", "AWS_SECRET_ACCESS_KEY", "PULUMI_CONFIG_PASSPHRASE"):
            if len(os.environ[name]) >= 12:
                canaries.add(name, os.environ[name])
        monkeypatch.chdir(tmp_path)
        yield canaries


@pytest.fixture
def spied_pulumi(python: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """`pulumi` notes its arguments first; gives all that it noted."""
    notes, script = tmp_path / "argv", tmp_path / "pulumi"
    real = shlex.join([*python, "-m", "sandbox"])
    script.write_text(f'#!/bin/sh\necho "$@" >> {shlex.quote(str(notes))}\nexec {real} "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PULUMI_COMMAND", str(script))
    return notes.read_text


def exercise(watched: Watched) -> None:
    """Every command in every form."""
    assert set(COMMANDS) == set(get_command(app).commands)  # type: ignore[attr-defined]
    for command, forms in COMMANDS.items():
        for arguments in forms:
            watched.run(command, *arguments)


def refuse(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command with outputs that are none, and with keys, an app secret and a token that nobody knows."""
    canaries, raw = watched.canaries, watched.raw
    mangled = {**copy.deepcopy(raw), "region": {"of": canaries.plant("mangled outputs")}}
    mangled["writerKeys"]["blue"]["secret"] = [canaries.plant("mangled key")]
    wrong = with_wrong_keys(raw, canaries)
    for command in COMMANDS.keys() - WITHOUT_OUTPUTS:
        code = watched.run(command, *COMMANDS[command][0], raw=mangled)
        assert code == (0 if command == "list" else 2), command  # with a database it needs no outputs
    for command, form in (("verify", 0), ("doctor", 0), ("download", 1)):
        assert watched.run(command, *COMMANDS[command][form], raw=wrong) in (1, 3)
    with monkeypatch.context() as patch:
        patch.setenv("HMS_APP_SECRET", canaries.plant("wrong HMS_APP_SECRET"))
        for command in ("register", "sync", "watch", "rooms", "unregister", "erase", "backfill"):
            assert watched.run(command, *COMMANDS[command][0]) == 3
        patch.delenv("HMS_APP_SECRET")
        patch.setenv("HMS_MANAGEMENT_TOKEN", canaries.plant("HMS_MANAGEMENT_TOKEN").encode().hex())
        canaries.add("HMS_MANAGEMENT_TOKEN", os.environ["HMS_MANAGEMENT_TOKEN"])
        assert watched.run("sync") == 3
    with monkeypatch.context() as patch:
        patch.setenv("DATABASE_URL", f"postgresql://u:{canaries.plant('wrong DATABASE_URL').encode().hex()}@[::/x")
        for command in ("migrate", "sync", "list", "reconcile"):
            assert watched.run(command, *COMMANDS[command][0]) == 2


def serve(watched: Watched) -> None:
    """The web application with every request refused or allowed, everything logged."""
    settings = WebhookSettings(SecretStr(os.environ["HMS_WEBHOOK_SECRET"]))
    url, hms = SecretStr(os.environ["DATABASE_URL"]), HmsCredentials.from_environment(os.environ)
    outputs = StackOutputs.from_mapping(watched.raw)
    watched.log.clear()
    app_ = create_app(outputs, url, authorise=everybody, hms=hms, webhook=settings)
    with serving(app_) as address, httpx.Client(base_url=address, trust_env=False) as http:
        for path in ("/", "/recordings", "/recordings/nobody", "/recordings/nobody/download", "/openapi.json"):
            assert watched.canaries.leaks(http.get(path).text) == []
        secret = watched.canaries.plant("wrong webhook secret").encode().hex()
        answer = http.post("/webhooks/100ms", json={"secret": secret}, headers={"X-Webhook-Secret": secret})
        assert (answer.status_code, watched.canaries.leaks(answer.text)) == (401, [])
    assert watched.canaries.leaks(watched.log.text) == []


@pytest.fixture(params=["s3", "gcs"])
def stand(request: pytest.FixtureRequest, surroundings: Canaries) -> Stand | GoogleStand:
    """A bucket with its identities, on each provider."""
    if request.param == "s3":
        return Stand.build()
    return GoogleStand.build(request.getfixturevalue("lab"))


def _at_100ms(sandbox: Sandbox, outputs: StackOutputs) -> str:
    """A room with a recording in 100ms' own storage."""
    at_100ms = BackfillStand(sandbox, outputs, os.environ["DATABASE_URL"])
    at_100ms.keep(4711)
    return at_100ms.room


def test_no_command_shows_a_secret(
    stand: Stand | GoogleStand,
    sandbox: Sandbox,
    surroundings: Canaries,
    deployed_project: Project,
    spied_pulumi: Callable[[], str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Forty secrets and more, every command, every form of its result, every failure, with everything logged."""
    canaries, folder = surroundings, tmp_path / "written"
    folder.mkdir()
    monkeypatch.chdir(folder)
    made = plant_at_100ms(sandbox, canaries)
    raw = with_spare_slots(stand.raw, canaries) | {"templateIds": made["templates"][:1]}
    canaries.add_all("outputs", raw)
    canaries.add_all("deployed", json.loads(deployed_project.raw_outputs()))
    wanted = {
        "rooms": [{"name": "of-ours", "template_id": made["templates"][0]}],
        "assets": [{"room_id": ROOM, "type": "room-composite"}],
    }
    rooms = control(sandbox, "hms", "POST", "seed", wanted)
    stand.put(f"recordings/beam/{ROOM}/20260115/Rec-{ROOM}-1768471200123.mp4", b"a recording", "video/mp4")
    places = {
        "path": f"{stand.outputs.storage_provider.scheme}://{stand.bucket}/recordings/beam/{ROOM}/20260115/"
        f"Rec-{ROOM}-1768471200123.mp4",
        "room": rooms["rooms"][0],
        "bucket": stand.bucket,
        "project": str(deployed_project.folder),
        "kept": _at_100ms(sandbox, stand.outputs),
        "queued": _at_100ms(sandbox, stand.outputs),
    }
    monkeypatch.setenv("PULUMI_BACKEND_URL", deployed_project.env["PULUMI_BACKEND_URL"])
    watched = Watched(raw, canaries, folder, caplog, places)
    with caplog.at_level(logging.DEBUG):
        exercise(watched)
        refuse(watched, monkeypatch)
        serve(watched)
    assert canaries.leaks(spied_pulumi()) == []
    watched.assert_nothing_written()
    assert len(canaries.secrets) >= 40
    tried = Tried(f"secret canaries, {stand.provider}, {watched.runs} runs", 40, len(canaries.secrets))
    record_property(NAME, astuple(tried))


@dataclass
class Engine:
    """Runs the embedded engine and reports on a project, and keeps what they say in a folder."""

    project: Project
    canaries: Canaries
    folder: Path

    def __call__(self, *arguments: str, input_: str | None = None, code: int = 0) -> str:
        """Run one command of the engine; fails the test if it says a secret. Gives its stdout."""
        where = ["--cwd", str(self.project.folder), "--stack", self.project.stack]
        done = self.project.run("-m", "sandbox", *arguments, *where, check=False, input=input_)
        assert done.returncode == code, f"{arguments}: {done.stderr}"
        self.keep(f"{'-'.join(arguments)[:60].replace('/', '-')}.out", done.stdout + done.stderr)
        return done.stdout

    def keep(self, name: str, text: str) -> None:
        """Note what was said, which holds no secret."""
        (self.folder / name).write_text(text)
        assert self.canaries.leaks(text) == [], name


def test_no_configured_secret_shows(project_at: Callable[..., Project], tmp_path: Path) -> None:
    """In clear it is refused and not repeated; as a secret no preview, diff, report, state or history shows it."""
    canaries = Canaries()
    first, second = canaries.plant("first key"), canaries.plant("second key")
    principal = {"principal": "arn:aws:iam::000000000000:user/other", "accessKeyId": "AKIAOTHERSOTHERS0000"}
    project = project_at(
        "canary",
        bucketName="canary-configuration",
        forceDestroy=True,
        writerExternal={**principal, "secretAccessKey": first},
    )
    engine = Engine(project, canaries, tmp_path)
    engine("preview", code=1)
    project.configure(bucketName="canary-configuration", forceDestroy=True, writerExternal=principal)
    for secret, form in ((first, "--json"), (second, "--diff")):
        engine("config", "set", "--secret", "--path", "recordings:writerExternal.secretAccessKey", input_=secret)
        engine("preview", form)
        planned = engine("preview", "--json", "--show-sames")
        report = project.run("-m", "scripts.preview_diff", "-", input=planned)
        engine.keep("report", report.stdout + report.stderr)
        engine("up", "--yes", form)
        assert StackOutputs.from_json(project.raw_outputs()).writer_secret_access_key.get_secret_value() == secret
    for command in ("refresh --yes", "stack output", "stack output --json", "config", "config --json"):
        engine(*command.split())
    engine("destroy", "--yes", "--json")
    for file in (*project.folder.rglob("state/**/*"), project.folder / "Pulumi.canary.yaml"):
        if file.is_file():
            engine.keep(file.name, file.read_text())
    assert [found for found in scanned(tmp_path) if "Pulumi.canary.yaml" not in found] == []
