"""The demo's back end: `recordings serve` in a process of its own, and the sandbox's 100ms told of its webhook."""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg

from sandbox.demo.steps import StepError
from sandbox.demo.tied import Tie
from sandbox.demo.witness import trust

_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.1
_READY: Final = "serving on http://"


class BackEnd:
    """Serves on a free port of the loopback interface until `stop`; its log lies in the sandbox's folder."""

    def __init__(self, env: Mapping[str, str], stack: str, tie: Tie, log: Path) -> None:
        self._env = dict(env)
        self._log = log
        self._secret = secrets.token_hex(16)
        self._database = env["DATABASE_URL"]
        serve = ("recordings", "serve", "--stack", stack, "--port", "0", "--allow-all")
        with log.open("wb") as file:
            self._process = tie.start(*serve, env={**env, "HMS_WEBHOOK_SECRET": self._secret}, log=file)
        self._http = httpx.Client(timeout=10, trust_env=False)
        self.url = ""

    def wait(self) -> str:
        """Its address, once it answers; from then on the sandbox's 100ms sends it events."""
        self.url = f"http://{_until(self._address, 'the back end did not come up')}"
        webhook = {"url": f"{self.url}/webhooks/100ms", "headers": {"X-Webhook-Secret": self._secret}}
        options = f"{self._env['HMS_API_URL'].removesuffix('/v2')}/_sandbox/options"
        with httpx.Client(verify=trust(self._env), timeout=10, trust_env=False) as sandbox:
            sandbox.post(options, json={"webhook": webhook}).raise_for_status()
        return self.url

    def row(self, path: str) -> tuple[str, str]:
        """Id and storage provider of the row that has this path, as soon as there is one."""
        query = "select asset_id, storage_provider from public.meeting_recordings where file_path = %s"
        with psycopg.connect(self._database, autocommit=True) as connection:
            found = _until(lambda: connection.execute(query, [path]).fetchone(), f"no row with the path {path}")
        return str(found[0]), str(found[1])

    def download(self, recording_id: str) -> str:
        """Where the download endpoint leads to."""
        answer = self._http.get(f"{self.url}/recordings/{recording_id}/download")
        if answer.status_code != 307:
            raise StepError(f"HTTP {answer.status_code}: {answer.text[:300]}")
        return answer.headers["location"]

    def stop(self) -> None:
        """End the process."""
        self._http.close()
        self._process.terminate()
        try:
            self._process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _address(self) -> str | None:
        said = self._log.read_text(encoding="utf-8", errors="replace")
        if self._process.poll() is not None:
            raise StepError(f"`recordings serve` ended: {said[-500:]}")
        return said.partition(_READY)[2].split()[0] if _READY in said else None


def _until(look: Any, failure: str) -> Any:
    deadline = time.monotonic() + _SECONDS
    while not (found := look()):
        if time.monotonic() > deadline:
            raise StepError(f"{failure} within {_SECONDS:.0f} s")
        time.sleep(_POLL_SECONDS)
    return found
