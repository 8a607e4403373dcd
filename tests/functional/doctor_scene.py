"""A registered stand with a workspace of 100ms to itself, and something that waits for a heartbeat."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
from typer.testing import CliRunner, Result

from recordings.cli import app
from recordings.stores import Identity, SignedUrl, open_store
from recordings.upload_settings import Upload, with_upload
from sandbox.servers import Sandbox
from tests.functional.clients import control
from tests.functional.google_stand import GoogleStand
from tests.functional.stand import Stand

AnyStand = Stand | GoogleStand


@dataclass
class Scene:
    """A stand that is registered with a template of its own, and 100ms with nothing else in it."""

    sandbox: Sandbox
    stand: AnyStand
    folder: Path
    api: httpx.Client
    template: str = ""
    result: Result = field(init=False)

    def seed(self, kind: str, **entry: Any) -> str:
        return str(control(self.sandbox, "hms", "POST", "seed", {kind: [entry]})[kind][0])

    def register(self) -> None:
        self.template = self.seed("templates")
        self.stand.raw["templateIds"] = [self.template]
        path = f"/templates/{self.template}/settings"
        self.api.post(path, json=with_upload(self.api.get(path).json(), Upload.from_outputs(self.stand.outputs)))
        modes = [{"name": "default", "role": "host", "compositeRecording": {"browserComposite": {"width": 1280}}}]
        self.api.post(f"/templates/{self.template}/recordings", json=modes)

    def path(self, number: int) -> str:
        moment = 1785542400000 + number
        scheme = self.stand.outputs.storage_provider.scheme
        return f"{scheme}://{self.stand.bucket}/recordings/beam/room/20260801/Rec-room-{moment}.mp4"

    def put(self, path: str) -> str:
        open_store(self.stand.outputs, Identity.OPERATOR).put(path.split("/", 3)[3], b"xx")
        return path

    def run(self, *arguments: str, text: str | None = None, env: dict[str, str | None] | None = None) -> Result:
        file = self.folder / "outputs.json"
        file.write_text(json.dumps(self.stand.raw))
        command = [*arguments, "--outputs", str(file)]
        return CliRunner(env={"DATABASE_URL": None, **(env or {})}).invoke(app, command, input=text)

    def found(self, *arguments: str, **how: Any) -> dict[tuple[str, str], str]:
        """What `doctor` finds that is not fine: (id, severity) to what was seen, of all of them together."""
        self.result = result = self.run("doctor", "--json", *arguments, **how)
        findings: dict[tuple[str, str], str] = {}
        for one in json.loads(result.stdout)["findings"]:
            if one["severity"] != "fine":
                key = (one["id"], one["severity"])
                findings[key] = " | ".join(filter(None, (findings.get(key), one["seen"], *one["things"])))
        return findings

    def url(self, signed: SignedUrl) -> list[str]:
        """The titles of what `doctor --url -` finds; no secret may be in what it prints."""
        url = signed.reveal()
        result = self.run("doctor", "--url", "-", "--json", text=url + "\n")
        assert url.rpartition("=")[2] not in result.output
        assert "Signature=" not in result.output
        return [one["title"] for one in json.loads(result.stdout)["findings"]]


class Receiver:
    """Something that waits for a heartbeat."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        paths = self.paths

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                paths.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/canary"

    def __enter__(self) -> Receiver:
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
