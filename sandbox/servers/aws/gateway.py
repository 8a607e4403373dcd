"""The layer in front of ministack: what the real AWS settles about a request before it looks at any permission.

It answers for itself: keys that AWS never gave out (ministack lets `test` or an account number in as root), keys that
are too new (`key_delay`), Signature Version 2 (refused by buckets made since June 2020), a signature for another region
than the bucket's, and ministack's own control paths. It strips `X-Forwarded-*`, which ministack believes, and tells
the rules inside (`strict`) the TLS version of the connection. `/_sandbox/options` and `/_sandbox/lifecycle` are the
means to test with; the latter is `sweep`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs

from sandbox.servers.aws.emulator import Emulator
from sandbox.servers.aws.errors import Answer, s3_error, unknown_key
from sandbox.servers.aws.request import Claim, bucket_of, looks_real
from sandbox.servers.aws.strict import TLS_VERSION
from sandbox.servers.faults import answer_json, read_body
from sandbox.servers.serving import Receive, Scope, Send, tls_version

_CONTROL: Final = "/_sandbox/"
_EMULATOR_PATHS: Final = ("/_", "/health")
_FORWARDED: Final = (b"forwarded", b"x-forwarded-", b"x-real-ip")

Sweep = Callable[[datetime], list[dict[str, str]]]


class Gateway:
    """The layer. `sweep` runs the lifecycle rules as of a time (in a thread) and tells what it did."""

    def __init__(self, emulator: Emulator, sweep: Sweep) -> None:
        self._emulator = emulator
        self._sweep = sweep
        self._key_delay = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on to ministack."""
        if scope["type"] != "http":
            return
        if scope["path"].startswith(_CONTROL):
            await self._control(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await _send(send, refusal, scope["method"])
            return
        TLS_VERSION.set(tls_version(scope))
        headers = [(name, value) for name, value in scope["headers"] if not name.lower().startswith(_FORWARDED)]
        await self._emulator.application({**scope, "headers": headers}, receive, send)
        if scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            self._emulator.changed.set()

    def _refusal(self, scope: Scope) -> Answer | None:
        if scope["path"].startswith(_EMULATOR_PATHS):
            return s3_error(400, "InvalidBucketName", "The specified bucket is not valid.")
        if scope["method"] == "OPTIONS":
            return None
        claim = Claim.of(scope)
        if claim.version_2:
            message = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
            return s3_error(400, "InvalidRequest", message)
        for key in claim.keys:
            if key != self._emulator.root and not (looks_real(key) and self._is_usable(key)):
                return unknown_key(claim.service)
        return self._wrong_region(claim, bucket_of(scope["path"])) if claim.service == "s3" else None

    def _is_usable(self, key: str) -> bool:
        """IAM is eventually consistent: a new key takes a while to be known everywhere."""
        created = self._emulator.key_created(key) if self._key_delay else None
        return created is None or (datetime.now(UTC) - created).total_seconds() >= self._key_delay

    def _wrong_region(self, claim: Claim, bucket: str) -> Answer | None:
        region = self._emulator.bucket_region(bucket)
        if region is None or region == claim.region:
            return None
        wrong = f"the region '{claim.region}' is wrong; expecting '{region}'"
        if claim.presigned:
            message = f"Error parsing the X-Amz-Credential parameter; {wrong}"
            return s3_error(400, "AuthorizationQueryParametersError", message, Region=region)
        message = f"The authorization header is malformed; {wrong}"
        return s3_error(400, "AuthorizationHeaderMalformed", message, Region=region)

    async def _control(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        try:
            if path == f"{_CONTROL}lifecycle" and method == "POST":
                query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
                done = await asyncio.to_thread(self._sweep, _time(query.get("now", [""])[0]))
                await answer_json(send, {"done": done})
            elif path == f"{_CONTROL}options":
                if method == "POST":
                    self._change(json.loads(await read_body(receive)))
                await answer_json(send, {"key_delay": self._key_delay})
            else:
                await answer_json(send, {"message": f"{method} {path} is not there"}, 404)
        except (ValueError, TypeError) as error:
            await answer_json(send, {"message": str(error)}, 400)

    def _change(self, options: Any) -> None:
        if not isinstance(options, dict) or set(options) - {"key_delay"}:
            raise ValueError("unknown option: key_delay (seconds until a new access key works) is known")
        self._key_delay = float(options.get("key_delay", self._key_delay))


def _time(text: str) -> datetime:
    """A time from a query, UTC unless it says otherwise; now if empty."""
    moment = datetime.fromisoformat(text.replace(" ", "+")) if text else datetime.now(UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


async def _send(send: Send, answer: Answer, method: str) -> None:
    status, headers, body = answer
    body = b"" if method == "HEAD" else body
    fields = {**headers, "Content-Length": str(len(body))}
    encoded = [(name.lower().encode(), value.encode()) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
