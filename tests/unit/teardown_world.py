"""Everything that a tear-down works on, in memory: 100ms, a bucket with versions, keys, and `pulumi` with stacks.

`events` lists what was changed, in its order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from recordings.errors import BucketNotFoundError
from recordings.memory import Memory
from recordings.outputs import StackOutputs
from recordings.registration import Place, plan_register
from recordings.stacks import Stacks
from recordings.stores.base import ObjectInfo, ObjectVersion, Upload
from recordings.teardown import Teardown, Wish, look
from recordings.teardown_waiting import Waiting
from tests.unit.hms_fake import Clock, MemoryStore, stack_outputs
from tests.unit.hms_in_process import Api
from tests.unit.hms_transport import client_of, credentials_of

NAME = "pr-7"
EXPIRES = "2099-01-31T12:00:00Z"


@dataclass
class Bucket(MemoryStore):
    """A versioned bucket, with what its operator sees."""

    old: list[ObjectVersion] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)
    gone: bool = False
    events: list[str] = field(default_factory=list)

    def _there(self) -> None:
        if self.gone:
            raise BucketNotFoundError(f"no bucket {self.bucket}")

    def bucket_region(self) -> str:
        self._there()
        return "eu-central-1"

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        self._there()
        return super().list(prefix)

    def list_versions(self, prefix: str = "") -> Iterator[ObjectVersion]:
        self._there()
        live = [
            ObjectVersion(key, etag, True, False, len(body), datetime.now(UTC))
            for key, (body, etag) in self.objects.items()
        ]
        return (version for version in [*live, *self.old] if version.key.startswith(prefix))

    def delete_versions(self, versions: Iterable[ObjectVersion]) -> int:
        count = 0
        for version in versions:
            self.before(f"delete_version {version.key}")
            self.events.append(f"delete {version.key}")
            if version.is_latest and not version.is_marker:
                self.objects.pop(version.key, None)
            else:
                self.old.remove(version)
            count += 1
        return count

    def list_uploads(self, prefix: str = "") -> Iterator[Upload]:
        return iter(self.uploads)

    def abort_upload(self, key: str, upload_id: str) -> None:
        self.events.append(f"abort {key}")
        self.uploads = [upload for upload in self.uploads if upload.upload_id != upload_id]

    def is_empty(self) -> bool:
        return not (self.objects or self.old or self.uploads)


@dataclass
class World:
    """One deployed stack, and what it is deployed in."""

    api: Api = field(default_factory=Api)
    store: Bucket = field(default_factory=Bucket)
    events: list[str] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    stacks: dict[str, int] = field(default_factory=lambda: {NAME: 16})
    configuration: dict[str, Any] = field(default_factory=dict)
    inactive: set[str] = field(default_factory=set)
    clock: Clock = field(default_factory=lambda: Clock(datetime.now(UTC).timestamp()))

    @classmethod
    def deployed(cls, **outputs: Any) -> World:
        """A test stack with a template registered and two versions of a recording in its bucket."""
        world = cls()
        world.store.events = world.events
        template = world.api.seed(templates=[{"settings": {"region": "eu", "recording": None}}])["templates"][0]
        test = {"forceDestroy": True, "expiresAt": EXPIRES, "templateIds": [template]}
        reader = {"blue": {"id": "AKIAREADER", "secret": "secret-of-reader", "status": "active"}}
        made = stack_outputs(**{**test, "readerKeys": reader, **outputs})
        world.raw = json.loads(made.model_dump_json(by_alias=True))
        for who in ("writer", "reader"):
            slot = world.raw[f"{who}Keys"]["blue"]
            slot["secret"] = f"secret-of-{slot['id']}"
            world.raw[f"{who}SecretAccessKey"] = slot["secret"]
        plan_register(world.place(), world.outputs.template_ids).plan.apply()
        world.store.put("recordings/beam/r/20260101/Rec-r-1.mp4", b"recording")
        now = datetime.now(UTC)
        world.store.old.append(ObjectVersion("recordings/beam/r/20260101/Rec-r-1.mp4", "v0", False, False, 5, now))
        world.store.old.append(ObjectVersion("recordings/gone.mp4", "v1", True, True, 0, now))
        world.store.uploads.append(Upload("recordings/part.mp4", "u"))
        world.events.clear()
        return world

    @property
    def outputs(self) -> StackOutputs:
        return StackOutputs.from_mapping(self.raw)

    @property
    def template(self) -> str:
        return str(self.raw["templateIds"][0])

    def settings(self) -> Any:
        return self.api.get(f"/templates/{self.template}/settings")

    def place(self) -> Place:
        """As a new run opens it."""
        memory = Memory.open(self.store, credentials_of(self.api))  # type: ignore[arg-type]  # the part that is used
        return Place(client_of(self.api), self.store, memory, self.outputs)  # type: ignore[arg-type]

    def teardown(self, wish: Wish = Wish(), wait: timedelta = timedelta(0)) -> Teardown:  # noqa: B008
        """What a new run finds."""
        target = look(Stacks(self.pulumi), NAME)
        assert target is not None
        place = self.place() if target.outputs else None
        waiting = Waiting(wait, self.clock.timing())
        return Teardown(target, Stacks(self.pulumi), place, wish, waiting, deactivate=self.deactivate)

    def deactivate(self, outputs: StackOutputs, principal: str, key: str) -> bool:
        template = self.api.state.templates.get(self.template)
        assert template is None or not template["settings"]["recording"], "100ms is left with a key that does not work"
        self.events.append(f"deactivate {key}")
        self.inactive.add(key)
        return True

    def pulumi(self, *arguments: str, quiet: bool = False, story: bool = False) -> CompletedProcess[str]:
        """The commands that a tear-down uses."""
        done = CompletedProcess(["pulumi", *arguments], 0, "")
        match arguments:
            case ("stack", "ls", "--json"):
                listed = [{"name": name, "resourceCount": count} for name, count in self.stacks.items()]
                done.stdout = json.dumps(listed)
            case ("stack", "output", *_):
                done.stdout = json.dumps(self.raw if self.stacks[arguments[-1]] else {})
            case ("config", "--json", *_):
                entries = {f"recordings:{key}": {"value": value} for key, value in self.configuration.items()}
                done.stdout = json.dumps(entries)
            case ("stack", "init", name, *_):
                self.stacks[name] = 0
                with Path(f"Pulumi.{name}.yaml").open("a") as file:
                    file.write("encryptionsalt: v1:salt\n")
            case ("state", "unprotect", *_):
                self.events.append("unprotect")
            case ("destroy", *_):
                assert self.store.gone or self.store.is_empty(), "the bucket is not empty"
                self.events.append("destroy")
                self.stacks[arguments[-1]] = 0
                self.store.gone = True
            case ("stack", "rm", *_):
                assert self.stacks[arguments[-1]] == 0
                self.events.append(f"rm{' and keep file' if '--preserve-config' in arguments else ''}")
                del self.stacks[arguments[-1]]
            case _:
                raise AssertionError(f"unexpected: pulumi {arguments}")
        return done

    def record(
        self, status: str, *, template: str | None = None, room: dict[str, Any] | None = None, **more: Any
    ) -> str:
        """A recording in a room of its own; gives its id."""
        entry = {"template_id": template or self.template, **(room or {})}
        room_id = self.api.seed(rooms=[entry])["rooms"][0]
        id_ = f"rec-{len(self.api.state.recordings)}"
        now = datetime.now(UTC).isoformat()
        made = {
            "id": id_, "room_id": room_id, "session_id": "s", "status": status, "created_at": now, "started_at": now,
            "stopped_at": None, "meeting_url": "", "recording_assets": None, **more,
        }  # fmt: skip
        self.api.state.recordings[id_] = made
        return id_
