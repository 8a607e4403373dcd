"""What the checks share: the stores of the three identities, HTTP, the names of what they write, and patience.

Owns requests to presigned URLs, with retries of what may be repeated, and the waiting for new keys to become usable.
A URL never gets into a message: what is said names the object.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, TypeVar

import httpx

from recordings.errors import AccessDeniedError, CredentialsError, OrganisationPolicyError, StoreUnreachableError
from recordings.outages import Outages
from recordings.outputs import StackOutputs
from recordings.policies import OPERATOR_PREFIX
from recordings.retry import Attempts, RetryPolicy, Timing
from recordings.stores import SignedUrl, Store
from recordings.verification.checks import Fault

T = TypeVar("T")

KEY_PATIENCE: Final = timedelta(seconds=60)
"""A new IAM key is refused for 10 to 15 seconds, at times longer."""
POLICY_PATIENCE: Final = timedelta(seconds=15)
"""A new policy takes effect sooner; a wrong one would make everybody wait for nothing."""
URL_LIFE: Final = timedelta(minutes=10)
VERIFY_FOLDER: Final = ".verify/"
"""Under the prefix: all that checks write, which the lifecycle takes away if they cannot."""
CONTENT_TYPE: Final = "video/mp4"
PART_BYTES: Final = 5 * 1024 * 1024
"""The smallest first part that S3 and Google take."""

_ERROR_CODE = re.compile(r"<Code>([A-Za-z.]+)</Code>")


@dataclass(frozen=True)
class Answer:
    """An HTTP answer: status, headers (case-insensitive), body, and the store's error code if it named one."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The store's error code, or ''."""
        match = _ERROR_CODE.search(self.body[:4096].decode("utf-8", "replace")) if self.status >= 400 else None
        return match[1] if match else ""

    def __str__(self) -> str:
        return f"{self.status} {self.code}".strip()


def http_client(transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """A client for presigned URLs: it follows no redirect, and its log is silent because that would show them."""
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return httpx.Client(transport=transport, timeout=httpx.Timeout(60.0, connect=10.0), follow_redirects=False)


@dataclass
class Context:
    """One run of the checks. `writer` acts with the key of `slot`, the one to prove; all lies under `folder`."""

    outputs: StackOutputs
    slot: str
    writer: Store
    reader: Store
    operator: Store
    http: httpx.Client
    patience: timedelta = KEY_PATIENCE
    timing: Timing = field(default_factory=Timing)
    tell: Callable[[str], None] = lambda _: None
    run_id: str = field(default_factory=lambda: secrets.token_hex(8))

    def __post_init__(self) -> None:
        self.folder = f"{self.outputs.path_prefix}{VERIFY_FOLDER}{self.run_id}/"
        self.small_key = f"{self.folder}small.mp4"
        self.parts_key = f"{self.folder}parts.mp4"
        self.aborted_key = f"{self.folder}aborted.mp4"
        self.small = secrets.token_bytes(1024)
        self.parts = (secrets.token_bytes(PART_BYTES), secrets.token_bytes(1024))
        self._begun = self.timing.monotonic()

    @property
    def outside_key(self) -> str:
        """A key that neither writer nor reader may touch; with no prefix, only the operator's own place is one."""
        return f"{'.verify-outside/' if self.outputs.path_prefix else OPERATOR_PREFIX}verify-{self.run_id}"

    def sign(self, key: str, *, method: str = "GET") -> SignedUrl:
        """A URL signed by the reader, good for ten minutes."""
        return self.reader.sign(key, URL_LIFE, method=method)

    def usable(self, act: Callable[[], T]) -> T:
        """Do what a key must be able to do, again and again while the key may be too new to work."""
        policy = RetryPolicy(attempts=1000, budget=self.patience.total_seconds(), base=0.5, cap=5.0)
        attempts = Attempts(policy, self.timing, Outages())  # it is told here, in other words
        while True:
            try:
                return act()
            except OrganisationPolicyError:
                raise  # no patience changes it
            except (CredentialsError, AccessDeniedError) as error:
                limit = self.patience if isinstance(error, CredentialsError) else min(self.patience, POLICY_PATIENCE)
                if self.timing.monotonic() - self._begun >= limit.total_seconds():
                    raise
                self.tell(f"not usable yet ({type(error).__name__}); new keys and policies take a moment")
                if not attempts.wait_again(str(error)):
                    raise

    def fetch(
        self, url: str, *, of: str, method: str = "GET", headers: Mapping[str, str] | None = None, tries: int = 5
    ) -> Answer:
        """Send one request, again on 429, 5xx and broken connections; raises StoreUnreachableError about `of`."""
        attempts = Attempts(RetryPolicy(attempts=tries, budget=120.0), self.timing, party="signed URLs")
        while True:
            try:
                response = self.http.request(method, url, headers=dict(headers or {}))
                answer = Answer(response.status_code, response.headers, response.content)
                reason = f"{method} {of} answered {answer}"
                if answer.status != 429 and answer.status < 500:
                    return answer
            except httpx.HTTPError as error:
                reason = f"{method} {of} got no answer ({type(error).__name__})"
            if not attempts.wait_again(reason):
                raise StoreUnreachableError(f"{reason} in {attempts.failures} tries")

    def fetch_signed(self, key: str, *, method: str = "GET", headers: Mapping[str, str] | None = None) -> Answer:
        """Fetch through a URL signed by the reader; refusals are StoreErrors, so that `usable` can wait for the key."""

        def act() -> Answer:
            answer = self.fetch(self.sign(key, method=method).reveal(), of=key, method=method, headers=headers)
            if answer.status in (401, 403):
                raise self.reader.refusal(answer.status, answer.body, f"{method} {key} through the reader's signed URL")
            return answer

        return self.usable(act)


def must_be(answer: Answer, status: int, fix: str) -> None:
    """Raise Fault unless the answer has this status."""
    if answer.status != status:
        raise Fault(f"expected {status}, got {answer}", fix)
