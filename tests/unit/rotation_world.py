"""A stack, its cloud and a busy 100ms, in memory: what a rotation is tried in, with no socket and a clock of its own.

100ms records all the time: at every call, new recordings begin in each template and room, with the key that it had at
that moment, and end a while later; then they are uploaded with that key, and a URL is signed with it. Whatever a key
that was taken away would have done is kept in `harm`: an upload that is refused, a template whose key does not work, a
URL that dies before its time.
"""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from components.handover import check_moved
from components.settings import parse_settings
from recordings.adoption.stack_file import StackFile
from recordings.cli.frame import Frame
from recordings.cli.rotate import Run, Wish
from recordings.errors import CheckFailedError, NotDueError
from recordings.outputs import KeyStatus, StackOutputs
from recordings.rotation import Means, Role, Rotation
from recordings.rotation.position import Journal
from tests.unit.hms_fake import KilledError, MemoryStore, place, stack_outputs
from tests.unit.hms_workspace import Workspace

USABLE_AFTER = 12.0
"""Seconds until a new access key works."""
BOTH = {"blue": "active", "green": "active"}
OURS = "AKIAWRITER"
"""What the ids of the writer's keys begin with."""
LASTS = 5
"""Calls for which a recording goes on."""
URL_SECONDS = 72 * 3600.0
REGIONS = {"s3": ("aws", "eu-central-1"), "gcs": ("gcp", "europe-west1")}


def no_fuse(_: str) -> None:
    """Nobody is killed."""


@dataclass
class Key:
    """An access key in the cloud."""

    id: str
    active: bool
    made: float


@dataclass
class Cloud:
    """The keys of each role by slot, and the outputs of the last `up` that came to its end."""

    keys: dict[tuple[Role, str], Key] = field(default_factory=dict)
    gone: dict[str, Key] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def find(self, id_: str) -> Key | None:
        return next((key for key in self.keys.values() if key.id == id_), None)

    def works(self, id_: str, now: float) -> bool:
        key = self.find(id_)
        return key is not None and key.active and now >= key.made + USABLE_AFTER


class HookedFile(StackFile):
    """A stack's file whose writing passes the world's hook."""

    passage: Callable[[str], None]

    def write(self, values: Mapping[str, Any]) -> None:
        self.passage("before file")
        super().write(values)
        self.passage("after file")


@dataclass
class World:
    """Everything; `fuse` is called before and after each effect and may end the run as SIGKILL does."""

    folder: Path
    provider: str = "s3"
    fuse: Callable[[str], None] = no_fuse
    hms: Workspace = field(default_factory=Workspace)
    store: MemoryStore = field(default_factory=MemoryStore)
    cloud: Cloud = field(default_factory=Cloud)
    harm: list[str] = field(default_factory=list)
    urls: dict[str, float] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    deploys: bool = True
    stubborn: bool = False
    """Whether the cloud goes on taking keys that were made inactive."""
    ups: int = 0

    def __post_init__(self) -> None:
        (self.folder / "Pulumi.yaml").write_text("name: recordings\n")
        namespace, region = REGIONS[self.provider]
        config = {
            f"{namespace}:region": region,
            "recordings:provider": self.provider,
            "recordings:bucketName": "our-bucket",
        }
        self.path.write_text(yaml.safe_dump({"config": config}))
        self.up()
        self.hms.clock.time += 60
        for number in (1, 2):
            self.hms.settings[f"t{number}"] = self.registered(self.outputs().writer_access_key_id)
            self.hms.add_room(f"r{number}", f"t{number}")
        self.hms.settings["elsewhere"] = {"recording": None}
        self.hms.add_room("r-elsewhere", "elsewhere")
        self.hms.before = self.hms_before
        self.hms.after = self.hms_after
        self.store.after = lambda what: self.passage(f"after {what}")

    @property
    def path(self) -> Path:
        return self.folder / "Pulumi.dev.yaml"

    @property
    def now(self) -> float:
        return self.hms.clock.time

    # the cloud

    def outputs(self) -> StackOutputs:
        return StackOutputs.from_mapping(self.cloud.outputs)

    def up(self) -> None:
        """What Pulumi does with the file: by the settings' own rules, resource by resource, outputs at the end."""
        self.ups += 1
        config = yaml.safe_load(self.path.read_text())["config"]
        raw = {key.removeprefix("recordings:"): v for key, v in config.items() if key.startswith("recordings:")}
        texts = {key: v if isinstance(v, str) else json.dumps(v) for key, v in raw.items()}
        settings = parse_settings(texts, stack="dev", region=REGIONS[self.provider][1])
        check_moved(self.cloud.outputs, settings)
        wanted = {Role.WRITER: settings.writer_keys, Role.READER: settings.reader_keys}
        for role, slots in wanted.items():
            for each, status in slots.items():
                self.set_key(role, each.value, status)
        for role, slot in [each for each in self.cloud.keys if each[1] not in wanted[each[0]]]:
            self.passage(f"before delete {role} {slot}")
            gone = self.cloud.keys.pop((role, slot))
            self.taken_away(gone)
            self.passage(f"after delete {role} {slot}")
        self.passage("before outputs")
        self.cloud.outputs = self.exported(settings.registered_key.value, settings.signing_slot.value)
        self.passage("after outputs")

    def set_key(self, role: Role, slot: str, status: KeyStatus) -> None:
        key, active = self.cloud.keys.get((role, slot)), status is KeyStatus.ACTIVE
        if key is not None and key.active == active:
            return
        self.passage(f"before set {role} {slot}")
        if key is None:
            id_ = f"AKIA{role.upper()}{next(self.cloud.numbers)}"
            self.cloud.keys[role, slot] = Key(id_, active, self.now)
        else:
            key.active = active
            if not active:
                self.taken_away(key)
        self.passage(f"after set {role} {slot}")

    def taken_away(self, key: Key) -> None:
        if self.urls.get(key.id, 0.0) > self.now:
            self.harm.append(f"URLs of {key.id} die {self.urls[key.id] - self.now:.0f} s before their time")
        running = [r["id"] for r in self.hms.recordings.values() if r["_key"] == key.id and r["status"] == "running"]
        if running:
            self.harm.append(f"{key.id} goes while {running} need it")

    def exported(self, registered: str, signing: str) -> dict[str, Any]:
        slots: dict[Role, dict[str, Any]] = {Role.WRITER: {}, Role.READER: {}}
        for (role, slot), key in self.cloud.keys.items():
            status = "active" if key.active else "inactive"
            slots[role][slot] = {"id": key.id, "secret": f"secret-of-{key.id}", "status": status}
        writer, reader = slots[Role.WRITER][registered], slots[Role.READER][signing]
        changes = {
            "writerSecretAccessKey": writer["secret"],
            "readerAccessKeyId": reader["id"],
            "readerSecretAccessKey": reader["secret"],
            "writerKeys": slots[Role.WRITER],
            "readerKeys": slots[Role.READER],
            "registeredKey": registered,
            "storageProvider": self.provider,
            "region": REGIONS[self.provider][1],
        }
        return stack_outputs(key=writer["id"], **changes).model_dump(by_alias=True, mode="json") | changes

    def prove(self, outputs: StackOutputs, role: Role, slot: str) -> None:
        """As `verify` does: use the key, for up to a minute."""
        self.passage(f"before prove {slot}")
        keys = outputs.writer_keys if role is Role.WRITER else outputs.reader_keys
        for _ in range(12):
            if self.cloud.works(keys[slot].id, self.now):
                self.passage(f"after prove {slot}")
                return
            self.hms.clock.sleep(5)
        raise CheckFailedError(f"slot {slot} does not work")

    def probe(self, outputs: StackOutputs, role: Role, old: str, new: str) -> None:
        self.prove(outputs, role, new)
        keys = outputs.writer_keys if role is Role.WRITER else outputs.reader_keys
        if old in keys and (self.stubborn or self.cloud.works(keys[old].id, self.now)):
            raise CheckFailedError(f"slot {old} still works")

    # 100ms

    def registered(self, key: str) -> dict[str, Any]:
        """Settings of a template that uploads here, as 100ms keeps them."""
        upload = {
            "type": {"s3": "s3", "gcs": "gs"}[self.provider],
            "location": "our-bucket",
            "prefix": "recordings",
            "options": {"region": REGIONS[self.provider][1]},
            "credentials": {"key": key, "secret": f"secret-of-{key}"},
        }
        return {"region": "eu", "recording": {"upload": upload}, "unknown": [1]}

    def hms_before(self, what: str) -> None:
        self.record()
        if what.startswith("POST"):
            self.passage(f"before {what}")

    def hms_after(self, what: str) -> None:
        if what.startswith("POST"):
            self.passage(f"after {what}")

    def passage(self, what: str) -> None:
        """Something is about to happen, or has: 100ms goes on with its work, then the fuse may burn out."""
        self.record()
        self.fuse(what)

    def record(self) -> None:
        """100ms works: recordings begin, others end; whatever does not work is harm."""
        for room in list(self.hms.rooms):
            key = self.hms.key_of(room)
            if not key.startswith(OURS):
                continue
            if not self.cloud.works(key, self.now):
                self.harm.append(f"a recording in {room} begins with {key}, which does not work")
            number = len(self.hms.recordings)
            self.hms.recordings[f"rec{number}"] = {
                "id": f"rec{number}", "room_id": room, "status": "running", "_key": key, "_ends": number + LASTS * 2,
            }  # fmt: skip
        self.finish(lambda recording: recording["_ends"] <= len(self.hms.recordings))

    def finish(self, which: Callable[[dict[str, Any]], bool] = lambda _: True) -> None:
        """Upload what has ended."""
        for recording in self.hms.recordings.values():
            if recording["status"] == "running" and which(recording):
                recording["status"] = "completed"
                if recording["_key"].startswith(OURS) and not self.cloud.works(recording["_key"], self.now):
                    self.harm.append(f"the upload of {recording['id']} with {recording['_key']} is refused")
                self.urls[recording["_key"]] = self.now + URL_SECONDS

    # runs

    def open(self, role: Role = Role.WRITER) -> Rotation:
        """A new run: nothing of an earlier one is left."""

        def file() -> StackFile:
            opened = HookedFile.open(self.path)
            opened.passage = self.passage
            return opened

        means = Means(
            outputs=self.outputs,
            file=file,
            up=self.up if self.deploys else None,
            prove=self.prove,
            probe=self.probe,
            timing=self.hms.clock.timing(),
            tell=self.told.append,
        )
        return Rotation(role, place(self.hms, self.store, self.outputs()), means)

    def run(self, **wish: Any) -> dict[str, Any]:
        """One run of the command; gives its result, or raises as it does."""
        out = io.StringIO()
        frame = Frame(True, Console(file=io.StringIO()), Console(file=out))
        result: dict[str, Any] = {}
        object.__setattr__(frame, "result", lambda data, _: result.update(data))
        asked = Wish(**wish)
        Run(frame, self.open(asked.role), asked).perform()
        return result

    def until_done(self, most: int = 40, **wish: Any) -> None:
        """Run, and whenever it says when to come back, come back then; --advance in between goes step by step."""
        role = wish.get("role", Role.WRITER)
        for number in range(most):
            if number and not self.under_way(role):
                return
            try:
                self.run(**(wish if number == 0 else {**wish, "advance": not wish.get("back")}))
            except NotDueError as error:
                self.wait_for(error.until)
        raise AssertionError("the rotation does not come to its end")

    def wait_for(self, moment: datetime) -> None:
        """Time passes, and recordings end meanwhile."""
        assert moment > datetime.fromtimestamp(self.now, UTC)
        self.hms.clock.time = max(self.now, moment.timestamp())
        self.finish()

    def under_way(self, role: Role = Role.WRITER) -> bool:
        return Journal(place(self.hms, self.store, self.outputs()).memory, role).position is not None

    def killed(self, effects: int, **wish: Any) -> str:
        """Rotate to the end, unless killed after so many effects, when this gives what the last effect was."""
        self.fuse = Fuse(effects)
        try:
            self.until_done(**wish)
        except KilledError as killed:
            return str(killed)
        finally:
            self.fuse = no_fuse
        return ""

    def go_on(self, **wish: Any) -> None:
        """Come to the end from wherever a killed run left it."""
        self.until_done(**wish, advance=self.under_way(wish.get("role", Role.WRITER)))

    def assert_whole(self, slot: str, role: Role = Role.WRITER) -> None:
        """One key, in this slot, that works; every template has it; and nothing was lost on the way."""
        assert self.harm == []
        outputs = self.outputs()
        assert [each for each in self.cloud.keys if each[0] is role] == [(role, slot)]
        id_ = self.cloud.keys[role, slot].id
        assert self.cloud.works(id_, self.now)
        if role is Role.WRITER:
            assert outputs.writer_access_key_id == id_
            assert {self.hms.key_of(room) for room in ("r1", "r2")} == {id_}
        else:
            assert outputs.reader_access_key_id == id_


class Fuse:
    """Burns out after so many effects; what lies between two effects makes no difference to the next run."""

    def __init__(self, effects: int) -> None:
        self.left = effects

    def __call__(self, what: str) -> None:
        if what.startswith("after"):
            self.left -= 1
            if self.left < 0:
                raise KilledError(what)


def slots(world: World) -> dict[str, Any]:
    config = yaml.safe_load(world.path.read_text())["config"]
    return {key: value for key, value in config.items() if key.endswith(("Keys", "Key"))}


def write(world: World, **values: Any) -> None:
    """Somebody else's hand in the stack's file."""
    document = yaml.safe_load(world.path.read_text())
    document["config"] |= {f"recordings:{key}": value for key, value in values.items()}
    world.path.write_text(yaml.safe_dump(document))


def waits(world: World, **wish: Any) -> NotDueError:
    with pytest.raises(NotDueError) as caught:
        world.run(**wish)
    return caught.value


def hours(world: World, until: datetime) -> float:
    return (until - datetime.fromtimestamp(world.now, UTC)) / timedelta(hours=1)
