"""100ms and a bucket, in memory: what unit tests of clients and use cases run against, with no socket.

Every operation passes a hook before and after its effect, where a test can refuse, lose the answer, change things as
somebody else would, or end the run as SIGKILL does.
"""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import httpx
import jwt
from pydantic import SecretStr

from recordings.errors import ObjectNotFoundError, PreconditionError
from recordings.hms import HmsClient
from recordings.hms_auth import HmsCredentials
from recordings.memory import Memory
from recordings.outputs import StackOutputs
from recordings.registration import Place
from recordings.retry import RetryPolicy, Timing
from recordings.stores.base import ObjectInfo

APP_SECRET = "app-secret-that-is-long-enough-for-hs256-0123456789"
ACCESS_KEY = "access-key"
CUSTOMER = "627cda54ff688c037a39291b"
START = 1_790_000_000.0

SEED = int(os.environ.get("TEST_SEED", random.randrange(10**6)))

Hook = Callable[[str], httpx.Response | None]
"""Gets `METHOD /path`; may raise, or give a response instead of the real one."""


def seeded() -> random.Random:
    """Chance for one test; pytest shows the printed seed if it fails, and TEST_SEED repeats it."""
    print(f"TEST_SEED={SEED}")
    return random.Random(SEED)


class KilledError(BaseException):
    """SIGKILL: nothing after it runs, and nothing catches it."""


@dataclass
class Clock:
    """Time that passes only when somebody sleeps."""

    time: float = START
    slept: list[float] = field(default_factory=list)
    skew: float = 0.0

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    def timing(self, seed: int = 0) -> Timing:
        """What the code under test sees; its clock is off by `skew` seconds."""
        return Timing(lambda: self.time + self.skew, lambda: self.time, self.sleep, random.Random(seed).random)


def no_hook(_: str) -> None:
    return None


@dataclass
class FakeHms:
    """Templates of one workspace: settings are replaced by POST and echoed with `credentials.secret`."""

    clock: Clock = field(default_factory=Clock)
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    destinations: dict[str, Any] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    before: Hook = no_hook
    after: Hook = no_hook
    mask_secrets: bool = False

    def handle(self, request: httpx.Request) -> httpx.Response:
        what = f"{request.method} {request.url.path.removeprefix('/v2')}"
        self.log.append(what)
        instead = self.before(what)
        if instead is not None:
            return instead
        answer = self.refuse_token(request) or self.answer(request, what)
        return self.after(what) or answer

    def refuse_token(self, request: httpx.Request) -> httpx.Response | None:
        """401 unless the token is ours and valid by our clock, checked by hand: PyJWT asks the real one."""
        token = request.headers["Authorization"].removeprefix("Bearer ")
        try:
            claims = jwt.decode(
                token,
                APP_SECRET,
                algorithms=["HS256"],
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            return self.refusal(401, "Token validation error", "signature")
        fine = claims["type"] == "management" and claims["version"] == 2 and claims["access_key"] == ACCESS_KEY
        if fine and claims["nbf"] <= self.clock.time < claims["exp"]:
            return None
        return self.refusal(401, "Token validation error", "expired or not yet valid")

    def refusal(self, status: int, message: str, *details: str, **headers: str) -> httpx.Response:
        """An error in 100ms' form, dated by our clock."""
        date = httpx.Headers({"date": http_date(self.clock.time), **headers})
        return httpx.Response(status, json={"code": status, "message": message, "details": details}, headers=date)

    def answer(self, request: httpx.Request, what: str) -> httpx.Response:
        _, _, id_, *rest = what.split("/")
        if not what.split(" ")[1].startswith("/templates/") or id_ not in self.settings:
            return self.refusal(404, "not found")
        if not rest:
            body = {"id": id_, "name": f"name of {id_}", "customerId": CUSTOMER}
            return httpx.Response(200, json={**body, "destinations": self.destinations.get(id_, {})})
        if request.method == "POST":
            self.settings[id_] = stored(json.loads(request.content))
        return httpx.Response(200, json=self.shown(id_))

    def shown(self, id_: str) -> dict[str, Any]:
        """The settings as 100ms answers them."""
        settings = copy.deepcopy(self.settings[id_])
        upload = (settings.get("recording") or {}).get("upload")
        if self.mask_secrets and upload and upload.get("credentials"):
            upload["credentials"]["secret"] = "********"
        return {**settings, "retry": {}}

    def posts(self) -> int:
        return sum(entry.startswith("POST") for entry in self.log)

    def client(self, seed: int = 0, policy: RetryPolicy | None = None) -> HmsClient:
        """A client of ours, on our clock."""
        transport = httpx.MockTransport(self.handle)
        return HmsClient(credentials(), transport=transport, timing=self.clock.timing(seed), policy=policy)


def stored(settings: dict[str, Any]) -> dict[str, Any]:
    """How 100ms keeps a document that it was sent: `secretKey` becomes `secret`."""
    settings = copy.deepcopy(settings)
    settings.pop("retry", None)
    sent = (((settings.get("recording") or {}).get("upload")) or {}).get("credentials")
    if sent and "secretKey" in sent:
        sent["secret"] = sent.pop("secretKey")
    return settings


def http_date(moment: float) -> str:
    return formatdate(moment, usegmt=True)


def credentials() -> HmsCredentials:
    return HmsCredentials(access_key=ACCESS_KEY, app_secret=SecretStr(APP_SECRET))


@dataclass
class MemoryStore:
    """The part of the Store protocol that memory and guards use, over a dict."""

    bucket: str = "our-bucket"
    objects: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    before: Hook = no_hook
    after: Hook = no_hook
    writes: int = 0
    account_id: str = "000000000000"

    def put(
        self,
        key: str,
        body: bytes,
        *,
        content_type: str = "application/octet-stream",
        if_match: str | None = None,
        if_none_match: bool = False,
    ) -> ObjectInfo:
        self.before(f"put {key}")
        etag = self.objects[key][1] if key in self.objects else None
        if (if_none_match and etag is not None) or (if_match is not None and if_match != etag):
            raise PreconditionError(f"{key} is not as it was read")
        self.writes += 1
        self.objects[key] = (body, f"etag-{self.writes}")
        info = self.head(key)  # of this write, whatever comes after it
        self.after(f"put {key}")
        return info

    def read(self, key: str, *, first: int | None = None, last: int | None = None) -> tuple[bytes, ObjectInfo]:
        info = self.head(key)
        return self.objects[key][0], info

    def head(self, key: str) -> ObjectInfo:
        if key not in self.objects:
            raise ObjectNotFoundError(f"no object {key}")
        body, etag = self.objects[key]
        return ObjectInfo(key, len(body), etag)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        return (self.head(key) for key in sorted(self.objects) if key.startswith(prefix))

    def delete(self, key: str) -> None:
        self.before(f"delete {key}")
        self.objects.pop(key, None)
        self.after(f"delete {key}")

    def account(self) -> str:
        return self.account_id


def stack_outputs(bucket: str = "our-bucket", key: str = "AKIAOURS", **changes: Any) -> StackOutputs:
    """The outputs of a small S3 stack; `changes` by their camelCase names."""
    slot = {"id": key, "secret": f"secret-of-{key}", "status": "active"}
    raw = {
        "storageProvider": "s3",
        "bucketName": bucket,
        "region": "eu-central-1",
        "pathPrefix": "recordings/",
        "writerAccessKeyId": key,
        "writerSecretAccessKey": f"secret-of-{key}",
        "readerAccessKeyId": "AKIAREADER",
        "readerSecretAccessKey": "secret-of-reader",
        "writerKeys": {"blue": slot},
        "readerKeys": {},
        "registeredKey": "blue",
        "writerAccess": "full",
        "environment": "dev",
    }
    return StackOutputs.from_mapping({**raw, **changes})


def foreign_settings(**fields: Any) -> dict[str, Any]:
    """Settings that point at another bucket, with fields that we know nothing of at every level."""
    upload = {
        "type": "s3",
        "location": "their-bucket",
        "prefix": "their/prefix",
        "options": {"region": "us-west-2", "unknownOption": 1},
        "credentials": {"key": "AKIATHEIRS", "secret": "secret-of-theirs"},
        "unknownUpload": {"deep": [1, {"er": True}]},
    }
    return {
        "region": "eu",
        "recording": {"upload": upload, "unknownRecording": "kept"},
        "roomState": {"messageInterval": 5, "enabled": False},
        "unknownTop": [1, 2, 3],
        **fields,
    }


def unset_settings() -> dict[str, Any]:
    """Settings of a template whose recordings 100ms stores itself."""
    return {"region": "in", "recording": None, "roomState": {"messageInterval": 5, "enabled": False}}


def place(hms: FakeHms, store: MemoryStore, outputs: StackOutputs | None = None, seed: int = 0) -> Place:
    """Everything a registration works on; new objects each time, as a new run has."""
    memory = Memory(store, SecretStr(APP_SECRET))  # type: ignore[arg-type]  # the part of Store that is used
    return Place(hms.client(seed), store, memory, outputs or stack_outputs(store.bucket))  # type: ignore[arg-type]
