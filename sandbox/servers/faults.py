"""Make a server fail on demand: an ASGI layer in front of it, told what to do over `/_sandbox/faults`.

`POST` takes one rule or a list of them, `GET` shows those that are left, `DELETE` forgets all. A rule:

    {"match": "POST /v2/templates/.*/settings", "fault": "429", "times": 2, "skip": 1, "retry_after": 1, "delay": 0.5}

`match` is a regular expression for the whole of "METHOD path"; the first rule that matches counts, `skip` requests are
let pass, then `times` fail (default 1; 0 means all). Faults: an HTTP status from 400 to 599, `lost_answer` (the work is
done, then the connection is cut), `reset` (cut before any work), `slow` (waits `delay` seconds, default 1), `truncate`
(half of the answer's body, then cut), `corrupt` (one byte of the body is changed).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any, Final

from sandbox.servers.serving import Application, Message, Receive, Scope, Send

PATH: Final = "/_sandbox/faults"
_NAMED: Final = frozenset({"lost_answer", "reset", "slow", "truncate", "corrupt"})

ErrorBody = Callable[[int], tuple[str, bytes]]
"""Content type and body of an error, in the words of the server behind."""


@dataclass
class Rule:
    """One fault; see the module's text."""

    match: str
    fault: str
    times: int = 1
    skip: int = 0
    retry_after: float | None = None
    delay: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot work. Raises ValueError."""
        self.fault = str(self.fault)
        re.compile(self.match)
        if self.fault not in _NAMED and not (self.fault.isdigit() and 400 <= int(self.fault) <= 599):
            raise ValueError(f"unknown fault {self.fault!r}: a status from 400 to 599 or {', '.join(sorted(_NAMED))}")

    def takes(self, request: str) -> bool:
        """Whether this request fails by this rule; counts it."""
        if not re.fullmatch(self.match, request):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times == 1:
            self.times = -1
        elif self.times > 1:
            self.times -= 1
        return True


class Faults:
    """The layer. `error_body` words an error status as the server would."""

    def __init__(self, application: Application, error_body: ErrorBody) -> None:
        self._application = application
        self._error_body = error_body
        self._rules: list[Rule] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the control path, fail as told, or pass on."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
        elif scope["path"] == PATH:
            await self._control(scope, receive, send)
        else:
            rule = self._rule(f"{scope['method']} {scope['path']}")
            if rule is None:
                await self._application(scope, receive, send)
            else:
                await self._fail(rule, scope, receive, send)

    def _rule(self, request: str) -> Rule | None:
        for rule in self._rules:
            if rule.takes(request):
                if rule.times < 0:
                    self._rules.remove(rule)
                return rule
        return None

    async def _fail(self, rule: Rule, scope: Scope, receive: Receive, send: Send) -> None:
        abort = scope["extensions"]["sandbox.abort"]
        if rule.fault == "reset":
            abort()
        elif rule.fault == "lost_answer":
            await self._application(scope, receive, _swallow)
            abort()
        elif rule.fault == "slow":
            await asyncio.sleep(rule.delay)
            await self._application(scope, receive, send)
        elif rule.fault in ("truncate", "corrupt"):
            await self._application(scope, receive, _damaging(send, rule.fault, abort))
        else:
            await self._refuse(rule, send)

    async def _refuse(self, rule: Rule, send: Send) -> None:
        content_type, body = self._error_body(int(rule.fault))
        after = {} if rule.retry_after is None else {"retry-after": f"{rule.retry_after:g}"}
        await answer(send, int(rule.fault), body, content_type, **after)

    async def _control(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "DELETE":
            self._rules.clear()
        elif scope["method"] == "POST":
            try:
                value: Any = json.loads(await read_body(receive))
                self._rules += [Rule(**rule) for rule in (value if isinstance(value, list) else [value])]
            except (ValueError, TypeError, re.error) as error:
                await answer_json(send, {"message": f"not a fault rule: {error}"}, 400)
                return
        await answer_json(send, {"rules": [asdict(rule) for rule in self._rules]})


async def _swallow(message: Message) -> None:
    """Drop an answer."""


def _damaging(send: Send, fault: str, abort: Callable[[], None]) -> Send:
    damaged = False

    async def damage(message: Message) -> None:
        nonlocal damaged
        body = message.get("body", b"")
        if not body or damaged:
            await send(message)
            return
        damaged = True
        if fault == "corrupt":
            await send({**message, "body": bytes([body[0] ^ 1]) + body[1:]})
            return
        await send({**message, "body": body[: len(body) // 2], "more_body": True})
        abort()

    return damage


async def read_body(receive: Receive) -> bytes:
    """The whole body of a request."""
    chunks = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


async def answer(send: Send, status: int, body: bytes, content_type: str, **headers: str) -> None:
    """Send a whole answer. Underscores in header names stand for hyphens."""
    fields = {"content-type": content_type, "content-length": str(len(body)), **headers}
    encoded = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


async def answer_json(send: Send, value: Any, status: int = HTTPStatus.OK) -> None:
    """Send a JSON answer."""
    await answer(send, status, json.dumps(value).encode(), "application/json")
