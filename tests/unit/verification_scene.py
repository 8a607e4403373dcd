"""A verification whose signed URLs are answered by a test, on a clock that passes only by sleeping."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from recordings.stores import Identity
from recordings.stores.s3 import open_store
from recordings.verification import Context, http_client
from tests.unit.hms_fake import Clock
from tests.unit.s3_wire import outputs

Respond = Callable[[httpx.Request], httpx.Response]


@contextmanager
def context_on(respond: Respond, clock: Clock | None = None, **changes: Any) -> Iterator[Context]:
    """A context whose signed URLs are answered by `respond`, on a clock that passes only by sleeping."""
    declared = outputs(**changes)
    with http_client(httpx.MockTransport(respond)) as http:
        yield Context(
            outputs=declared,
            slot="blue",
            writer=open_store(declared, Identity.WRITER),
            reader=open_store(declared, Identity.READER),
            operator=open_store(declared, Identity.OPERATOR),
            http=http,
            timing=(clock or Clock()).timing(),
        )


def answering(status: int, code: str = "", headers: dict[str, str] | None = None) -> Respond:
    body = f"<Error><Code>{code}</Code></Error>" if code else ""
    return lambda _: httpx.Response(status, text=body, headers=headers)


def refusing(error: Exception) -> Callable[[], str]:
    def act() -> str:
        raise error

    return act
