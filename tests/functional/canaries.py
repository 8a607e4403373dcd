"""Secrets that must not show, and the search for them in every spelling that a log or report might give them."""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus

from detect_secrets.core.scan import scan_file
from detect_secrets.settings import transient_settings

SIGNED = re.compile(r"[?&](?:X-Amz-Signature|X-Goog-Signature|Signature)=[0-9A-Za-z%+/=_-]{16,}", re.IGNORECASE)
"""A presigned URL is a secret whoever made it."""
BEARER = re.compile(r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}")
"""A JSON Web Token, such as a management token."""


def spellings(secret: str) -> set[str]:
    """`secret` in clear, URL-encoded, as JSON has it, in hexadecimal, and in base64 at each of three offsets."""
    raw = secret.encode()
    found = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), json.dumps(secret)[1:-1]}
    found |= {repr(secret)[1:-1], binascii.hexlify(raw).decode()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for offset in range(3):
            whole = encode(b"\0" * offset + raw).decode().rstrip("=")
            # the first and last characters hold bits of the neighbours
            found.add(whole[(offset * 8 + 5) // 6 : -1])
    return found


SCANNERS: Final = (
    "BasicAuthDetector",
    "JwtTokenDetector",
    "KeywordDetector",
    "PrivateKeyDetector",
    "AzureStorageKeyDetector",
    "GitHubTokenDetector",
    "SlackDetector",
    "StripeDetector",
)
"""Those of detect-secrets that know a secret by its form. Entropy alone would find ids, checksums and ciphertexts; an
access key's id, which the scanner for AWS finds, is none."""


NO_SECRETS: Final = frozenset({"PASSWORD", "[secret]", "false", "true"})
"""What stands where a secret could: a placeholder, a mask, a switch."""


@dataclass
class Canaries:
    """Named secrets; `plant` makes one with characters that encodings change."""

    secrets: dict[str, str] = field(default_factory=dict, repr=False)

    def plant(self, name: str) -> str:
        """A new secret of that name."""
        return self.add(name, f"canary/{secrets.token_urlsafe(9)}+&{secrets.token_hex(6)} ü=")

    def add(self, name: str, secret: str) -> str:
        """Watch a secret that somebody else made."""
        assert len(secret) >= 12, f"{name} is too short to be told from other text"
        self.secrets[name] = secret
        return secret

    def add_all(self, name: str, value: Any) -> None:
        """Watch every secret of a stack's outputs, wherever it lies."""
        for place, secret in secrets_in(value):
            self.add(f"{name}: {place}", secret)

    def leaks(self, text: str) -> list[str]:
        """The names of the secrets that a text gives away."""
        leaked = [name for name, secret in self.secrets.items() if any(form in text for form in spellings(secret))]
        leaked += ["a presigned URL"] if SIGNED.search(text) else []
        return leaked + (["a token"] if BEARER.search(text) else [])


def scanned(folder: Path) -> list[str]:
    """What a secret scanner that knows nothing of ours finds in the files of a folder, as `type in file`."""
    plugins = [{"name": name} for name in SCANNERS]
    with transient_settings({"plugins_used": plugins, "filters_used": []}):
        return [
            f"{secret.type} in {file.name}, line {secret.line_number}"
            for file in sorted(folder.rglob("*"))
            if file.is_file()
            for secret in scan_file(str(file))
            if secret.secret_value not in NO_SECRETS
        ]


def secrets_in(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every string under a name that says secret, as (place, secret)."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            where = f"{place}.{name}".lstrip(".")
            if isinstance(inner, str) and "secret" in name.lower():
                yield where, inner
            else:
                yield from secrets_in(inner, where)
    elif isinstance(value, Iterable) and not isinstance(value, str):
        for number, inner in enumerate(value):
            yield from secrets_in(inner, f"{place}[{number}]")
