"""Cloud Storage that answers by a script: what the store's unit tests run against, with no socket."""

from __future__ import annotations

from typing import Any, Final

import httpx

from recordings.outputs import StackOutputs
from recordings.stores import AccessKey, Identity, Store, gcs
from tests.unit.hms_fake import Clock
from tests.unit.s3_wire import RAW_OUTPUTS

WRITER: Final = "hms-rec-dev@some-project.iam.gserviceaccount.com"
READER: Final = "hms-rec-dev-r@some-project.iam.gserviceaccount.com"
BASE: Final = "https://storage.googleapis.com/bucket"
Answer = httpx.Response | Exception


def outputs(**changes: Any) -> StackOutputs:
    """Outputs of a stack on Google, with `changes` in the stack's own spelling."""
    google = {"storageProvider": "gcs", "region": "EU", "writerPrincipal": WRITER, "readerPrincipal": READER}
    return StackOutputs.from_mapping(RAW_OUTPUTS | google | changes)


class Script:
    """Answers in their order, the last for ever; `requests` are those that came."""

    def __init__(self, *answers: Answer) -> None:
        self.requests: list[httpx.Request] = []
        self.clock = Clock()
        self._answers = iter(answers)
        self._last: Answer = answers[-1]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = next(self._answers, self._last)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def store(self, identity: Identity | AccessKey = Identity.WRITER, **changes: Any) -> Store:
        """A store that talks to this."""
        transport = httpx.MockTransport(self)
        return gcs.open_store(outputs(**changes), identity, transport=transport, timing=self.clock.timing())


def refusal(status: int, code: str, details: str = "") -> httpx.Response:
    """An error of the XML API."""
    text = f"<Error><Code>{code}</Code><Message>Said so.</Message><Details>{details}</Details></Error>"
    return httpx.Response(status, text=text)


OK: Final = httpx.Response(200, headers={"x-goog-generation": "7", "content-length": "0"})
