"""What the gateway reads off a request before ministack sees it: credentials, their scope, the bucket."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

from sandbox.servers.serving import Scope

_CREDENTIAL: Final = re.compile(r"Credential=([^,\s]*)")
_REAL_KEY: Final = re.compile(r"A[KS]IA[A-Z0-9]{16}")


@dataclass(frozen=True)
class Claim:
    """Who a request says it is from, not yet proved. `keys` are all access keys that it names anywhere."""

    keys: tuple[str, ...] = ()
    region: str = ""
    service: str = ""
    presigned: bool = False
    version_2: bool = False

    @staticmethod
    def of(scope: Scope) -> Claim:
        """Read headers and query."""
        authorization = header(scope, b"authorization")
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        found = _CREDENTIAL.search(authorization)
        in_header = found.group(1) if found else ""
        in_query = (query.get("X-Amz-Credential") or query.get("x-amz-credential") or [""])[0]
        old = query.get("AWSAccessKeyId", [])[:1]
        if authorization.startswith("AWS "):
            old.append(authorization.removeprefix("AWS ").partition(":")[0])
        parts = (in_header or in_query).split("/")
        keys = [value.split("/")[0] for value in (in_header, in_query) if value] + old
        return Claim(
            keys=tuple(keys),
            region=parts[2] if len(parts) == 5 else "",
            service=parts[3] if len(parts) == 5 else "",
            presigned=bool(in_query) and not in_header,
            version_2=bool(old),
        )


def looks_real(key: str) -> bool:
    """Whether an access key has the form that AWS gives out. ministack takes others (`test`, an account) as root."""
    return bool(_REAL_KEY.fullmatch(key))


def header(scope: Scope, name: bytes) -> str:
    """One header's value, empty if it is absent."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name), "")


def bucket_of(path: str) -> str:
    """The bucket of a path-style path, which is decoded (as ASGI gives it)."""
    return path.lstrip("/").partition("/")[0]
