"""The job that the demo does, from an empty cloud to an empty cloud, by the commands a user would give.

Every claim on a line is read back through another client (`sandbox.demo.witness`) than the one that made it true.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx

from recordings.outputs import StackOutputs, StorageProvider
from recordings.paths import Home
from recordings.stores import Identity, open_store
from sandbox.demo.back_end import BackEnd
from sandbox.demo.steps import DemoStep, StepError
from sandbox.demo.tied import Tie
from sandbox.demo.witness import AwsWitness, CloudWitness, GoogleWitness, HmsWitness, Visitor
from sandbox.servers import Sandbox, SandboxError

TAIL_LINES = 12
REFUSALS = {400, 403}
"""Google answers an expired URL with 400 ExpiredToken, everything else is 403."""


@dataclass(frozen=True)
class Cloud:
    """What the demo does differently on a provider: the stack that it deploys, and who witnesses it."""

    stack: str
    witness: Callable[[dict[str, str]], CloudWitness]


CLOUDS: Final[Mapping[StorageProvider, Cloud]] = {
    StorageProvider.S3: Cloud("dev", AwsWitness),
    StorageProvider.GCS: Cloud("dev-gcs", GoogleWitness),
}


class Job:
    """The state that the steps hand on, and the steps themselves."""

    cloud: CloudWitness
    hms: HmsWitness
    visitor: Visitor
    outputs: StackOutputs
    before: Any
    asset: dict[str, Any]
    row_id: str
    url: str
    back_end: BackEnd | None = None

    def __init__(self, folder: Path, provider: StorageProvider, tie: Tie) -> None:
        self.sandbox = Sandbox(folder)
        self._tie = tie
        self._cloud = CLOUDS[provider]
        self.env: dict[str, str] = {}

    def steps(self) -> list[DemoStep]:
        """Every step in its order."""
        logs = f"see the logs under {self.sandbox.dir}"
        again = f"run `make demo` again; {logs}"
        return [
            DemoStep("start the sandbox", self.start, f"is another program in the way? {logs}"),
            DemoStep("preview", self.preview, "read the message: it names the key of Pulumi.<stack>.yaml to change"),
            DemoStep("up", self.up, f"run `make demo` again: it starts from an empty cloud; {logs}"),
            DemoStep("register with 100ms", self.register, again),
            DemoStep("verify with the issued keys", self.verify, "the failed check above says the fix"),
            DemoStep("start a back end", self.serve, again),
            DemoStep("start and stop a test recording", self.record, again),
            DemoStep("the recording is in the bucket", self.in_bucket, again),
            DemoStep("its path is in the 100ms asset", self.in_asset, again),
            DemoStep("100ms' webhook wrote its row", self.in_database, again),
            DemoStep("the download endpoint leads to it", self.deliver, again),
            DemoStep("a signed URL downloads it", self.download, again),
            DemoStep("without a valid signature: refused", self.refused, again),
            DemoStep("preview again: no change", self.no_change, "the preview's diff shows what drifted"),
            DemoStep("unregister: the template as it was", self.unregister, again),
            DemoStep("destroy: no bucket, no identity left", self.destroy, again),
            DemoStep("stop the sandbox", self.stop, logs),
        ]

    def start(self) -> str:
        """Start the servers; the operator's environment is theirs from here on."""
        try:
            self.sandbox.start(watched=os.getpid())
        except SandboxError as error:
            raise StepError(str(error)) from None
        state = {"PULUMI_BACKEND_URL": (self.sandbox.dir / "state").as_uri()}
        self.env = {**os.environ, **self.sandbox.env, **state}
        os.environ.update(self.env)  # boto3 reads a profile from there whatever it is given; it may be the user's own
        self.cloud, self.hms, self.visitor = self._cloud.witness(self.env), HmsWitness(self.env), Visitor(self.env)
        self.before = self._settings()
        return f"{', '.join(server.name for server in self.sandbox.status())} on 127.0.0.1 over TLS"

    def preview(self) -> str:
        """`pulumi preview`."""
        changes = json.loads(self._engine("preview", "--json"))["changeSummary"]
        return ", ".join(f"{count} to {operation}" for operation, count in changes.items())

    def up(self) -> str:
        """`pulumi up --yes`."""
        self._engine("up", "--yes")
        self.outputs = StackOutputs.from_json(self._engine("stack", "output", "--json", "--show-secrets"))
        return f"bucket {self.outputs.bucket_name}, a writer, a reader"

    def register(self) -> str:
        """`recordings register`."""
        self._recordings("register", "--template", self.env["HMS_TEMPLATE_ID"])
        upload = self._settings()["recording"]["upload"]
        return f"template {self.env['HMS_TEMPLATE_ID']} uploads to {upload['type']}://{upload['location']}/{upload['prefix']}"

    def verify(self) -> str:
        """`recordings verify`."""
        checks = self._recordings("verify", "--template", self.env["HMS_TEMPLATE_ID"])["checks"]
        told = Counter(check["status"] for check in checks)
        if told.keys() - {"passed", "warning"}:
            raise StepError(f"not every check ran and passed: {dict(told)}")
        denied = sum(check["title"].startswith("denied:") and check["status"] == "passed" for check in checks)
        warnings = [f"warning: {check['detail']}" for check in checks if check["status"] == "warning"]
        return "; ".join([f"{told['passed']} checks passed, {denied} of them refusals", *warnings])

    def serve(self) -> str:
        """`recordings migrate`, then `recordings serve` beside everything else."""
        changes = self._recordings("migrate", stack=False)["changes"]
        self.back_end = BackEnd(self.env, self._cloud.stack, self._tie, self.sandbox.dir / "back-end.log")
        return f"{len(changes)} changes to the database, serving on {self.back_end.wait()}"

    def record(self) -> str:
        """`recordings test-recording`."""
        self.asset = self._recordings("test-recording", "--keep", "1s", "--room", self.env["HMS_ROOM_ID"])
        return f"room {self.asset['room']}, recording {self.asset['recording']}"

    def in_bucket(self) -> str:
        """Ask the cloud's own client."""
        key = self._key
        return f"{self.cloud.size(self.outputs.bucket_name, key):,} bytes at {key}"

    def in_asset(self) -> str:
        """Ask 100ms."""
        assets = self.hms.get("/recording-assets", room_id=self.env["HMS_ROOM_ID"])["data"]
        paths = [asset["path"] for asset in assets if asset["status"] == "completed"]
        if self.asset["path"] not in paths:
            raise StepError(f"no completed asset of the room has the path {self.asset['path']}: {paths}")
        return str(self.asset["path"])

    def in_database(self) -> str:
        """Ask Postgres."""
        assert self.back_end is not None
        self.row_id, provider = self.back_end.row(self.asset["path"])
        if provider != self.outputs.storage_provider.value:
            raise StepError(f"its storage_provider is {provider!r}, not {self.outputs.storage_provider.value!r}")
        return f"recording {self.row_id}, storage_provider {provider}"

    def deliver(self) -> str:
        """Follow the redirect with no credentials."""
        assert self.back_end is not None
        answer = self.visitor.get(self.back_end.download(self.row_id))
        self._check_bytes(answer)
        return f"GET /recordings/{self.row_id}/download: 307, then {len(answer.content):,} bytes"

    def download(self) -> str:
        """`recordings sign`, then GET it with no credentials."""
        self.url = self._recordings("sign", self.asset["path"], "--expires", "10m")["url"]
        answer = self.visitor.get(self.url)
        return f"{len(answer.content):,} bytes, SHA-256 {self._check_bytes(answer)}"

    def refused(self) -> str:
        """The same URL without, with a changed and with an old signature."""
        key = self._key
        past = datetime.now(UTC) - timedelta(hours=2)
        expired = open_store(self.outputs, Identity.READER).sign(key, timedelta(hours=1), at=past).reveal()
        tampered = self.url[:-1] + ("0" if self.url[-1] != "0" else "1")
        urls = {"unsigned": self.url.split("?")[0], "tampered": tampered, "expired": expired}
        answers = {name: self.visitor.get(url).status_code for name, url in urls.items()}
        if not set(answers.values()) <= REFUSALS:
            raise StepError(f"every answer should be 403, or 400 for Google's expired URL: {answers}")
        return ", ".join(f"{name} {status}" for name, status in answers.items())

    def no_change(self) -> str:
        """`pulumi preview --expect-no-changes`."""
        changes = json.loads(self._engine("preview", "--json", "--expect-no-changes"))["changeSummary"]
        return f"{changes['same']} unchanged"

    def unregister(self) -> str:
        """`recordings unregister`, and compare what 100ms holds with what it held at the start."""
        self._recordings("unregister", "--template", self.env["HMS_TEMPLATE_ID"])
        if self._settings() != self.before:
            raise StepError("the template's settings are not what they were at the start")
        return f"template {self.env['HMS_TEMPLATE_ID']}: settings equal to those before"

    def destroy(self) -> str:
        """`pulumi destroy --yes`, and ask the cloud what is left."""
        self._engine("destroy", "--yes")
        if remains := self.cloud.remains():
            raise StepError(f"still there: {', '.join(remains)}")
        return "0 buckets, 0 identities, as before"

    def stop(self) -> str:
        """Stop the servers."""
        if self.back_end is not None:
            self.back_end.stop()
            self.back_end = None
        self.sandbox.stop()
        return "no process left"

    def _check_bytes(self, answer: httpx.Response) -> str:
        """SHA-256 of a download, which must be that of the object in the bucket."""
        key = self._key
        digest = hashlib.sha256(answer.content).hexdigest()
        if answer.status_code != 200 or digest != self.cloud.sha256(self.outputs.bucket_name, key):
            raise StepError(f"HTTP {answer.status_code}: the bytes downloaded are not those in the bucket")
        return digest

    @property
    def _key(self) -> str:
        """Object key of the test recording."""
        return Home.of(self.outputs).own(self.asset["path"]).key

    def _settings(self) -> Any:
        return self.hms.get(f"/templates/{self.env['HMS_TEMPLATE_ID']}/settings")

    def _engine(self, *arguments: str) -> str:
        return self._run("sandbox", *arguments, "--stack", self._cloud.stack)

    def _recordings(self, *arguments: str, stack: bool = True) -> Any:
        place = ("--stack", self._cloud.stack) if stack else ()
        return json.loads(self._run("recordings", *arguments, *place, "--json"))

    def _run(self, *arguments: str) -> str:
        done = self._tie.run(*arguments, env=self.env)
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-TAIL_LINES:]
            raise StepError("\n".join([f"`{' '.join(arguments)}` ended with exit code {done.returncode}:", *said]))
        return done.stdout
