"""Text that came from outside, made fit to be shown: no secret, no query of a URL, no endless body.

Owns masking in free text. Does not know settings documents: `recordings.upload_settings` shows those by an allow-list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "[secret]"
_LONGEST = 300
_URL_QUERY = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s?#\"']*)[?#][^\s\"']*", re.IGNORECASE)
_SHORTEST_SECRET = 4


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Mask every one of `secrets` and the query of every URL in `text`, and cut it at 300 characters.

    A presigned URL is a secret by its query; what is left names the object. Secrets shorter than four characters are
    not masked: they would eat ordinary words.
    """
    for secret in sorted({s for s in secrets if len(s) >= _SHORTEST_SECRET}, key=len, reverse=True):
        text = text.replace(secret, MASK)
    text = " ".join(_URL_QUERY.sub(r"\1?" + MASK, text).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
