"""What of a preview must not be shown, decided before anything is.

A value is secret if any of its four sides (inputs and outputs, before and after) is masked, if the resource names it
among its secret outputs, if its name says so, or if it holds a text that is secret elsewhere in the document, in clear
or encoded. So a value that became secret only now is hidden on both sides, although the side of before stands there in
clear. Owns that decision and masking; does not know Markdown.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, quote_plus

from policy.plans import MASKED, SIGNATURE
from policy.rules.secrets import is_secret_name
from scripts.preview.document import Document

HIDDEN: Final = MASKED
_SHORTEST: Final = 4
"""A shorter secret is hidden at its own place; elsewhere it would take half of all words with it."""
WORDS: Final = frozenset({"true", "false", "null", "none", "active", "inactive", "enabled", "disabled"})
"""What stands at secret places and is none, such as the state in a list of keys."""
_SPEAKING: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"  # a JSON web token
    r"|\b(?:gh[pousr]_|xox[abp]-|ya29\.|pul-)[\w.-]{10,}"  # tokens of GitHub, Slack, Google, Pulumi
    r"|[?&](?:X-Amz-Signature|X-Goog-Signature|Signature|sig|token)="  # presigned URLs
    r"|://[^/\s:@]+:[^/\s@]+@",  # a password in a URL
    re.IGNORECASE,
)
"""Texts that are secrets by their own form."""

Place = tuple[str, ...]
"""Where a value lies: the keys that lead to it, `[]` for an item of a list."""


def is_masked(value: Any) -> bool:
    """Whether the CLI has masked it, or left it in one of its secret forms."""
    return value == MASKED or (isinstance(value, Mapping) and SIGNATURE in value)


def holds_masked(value: Any) -> bool:
    """Whether something masked lies anywhere in the value."""
    if is_masked(value):
        return True
    if isinstance(value, Mapping):
        return any(map(holds_masked, value.values()))
    return isinstance(value, list) and any(map(holds_masked, value))


def document_in(value: Any) -> Any:
    """What a text holds that is a JSON object or list, as policies are; else None."""
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return None
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict | list) else None


@dataclass(frozen=True)
class Veil:
    """Knows the secrets of one document; everything that is shown passes through it.

    `texts` are secret wherever they stand, `places` (paths of keys) those of the one resource that is looked at.
    """

    texts: frozenset[str]
    places: frozenset[Place] = frozenset()

    @classmethod
    def over(cls, document: Document) -> Veil:
        """Collect what is secret anywhere in the document."""
        found: set[str] = set()
        for step in document.steps:
            for _, sides in _secret_places(_sides(step), secret_outputs(step)):
                found.update(*map(_leaves, sides))
        for key, text in document.config.items():
            for _, sides in _secret_places([text], (), (key.rpartition(":")[2],)):
                found.update(*map(_leaves, sides))
        telling = [text for text in found if len(text) >= _SHORTEST and text.casefold() not in WORDS]
        return cls(frozenset(form for text in telling for form in _forms(text)))

    def at(self, step: Mapping[str, Any]) -> Veil:
        """The same over one resource: it knows its secret places too."""
        places = frozenset(place for place, _ in _secret_places(_sides(step), secret_outputs(step)))
        return Veil(self.texts, places)

    def hides(self, place: Place, *sides: Any) -> bool:
        """Whether what lies at this place is shown on no side."""
        return place in self.places or is_secret_name(place[-1]) or any(self.is_secret(side) for side in sides)

    def is_secret(self, value: Any) -> bool:
        """Whether a value is masked, or a text that is secret, or a list with one in it."""
        if isinstance(value, list):
            return any(self.is_secret(item) for item in value)
        if not isinstance(value, str):
            return is_masked(value)
        return is_masked(value) or bool(_SPEAKING.search(value)) or any(text in value for text in self.texts)

    def masked(self, value: Any, place: Place) -> Any:
        """The value with everything in it that is secret masked; JSON in a text is looked into."""
        inner = document_in(value)
        if inner is not None and place not in self.places:
            return self.masked(inner, place)
        if self.hides(place, value):
            return HIDDEN
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.masked(item, (*place, str(key))) for key, item in value.items()}
        return [self.masked(item, (*place, "[]", place[-1])) for item in value] if isinstance(value, list) else value

    def text(self, text: str) -> str:
        """A name or message with secrets masked in it."""
        for secret in sorted(self.texts, key=lambda item: (-len(item), item)):
            text = text.replace(secret, HIDDEN)
        return HIDDEN if _SPEAKING.search(text) else text


def secret_outputs(step: Mapping[str, Any]) -> frozenset[str]:
    """The properties that the resource itself names as secret."""
    states = [step.get(key) or {} for key in ("oldState", "newState")]
    return frozenset(name for state in states for name in state.get("additionalSecretOutputs") or ())


def _sides(step: Mapping[str, Any]) -> list[Any]:
    """Inputs and outputs, before and after: four sides of the same properties."""
    states = [step.get(key) or {} for key in ("oldState", "newState")]
    return [state.get(key) or {} for state in states for key in ("inputs", "outputs")]


def _secret_places(
    sides: Sequence[Any], names: Collection[str], place: Place = ()
) -> Iterator[tuple[Place, list[Any]]]:
    """The places that are secret on any side, each with what all sides have there; a list is secret as a whole."""
    opened = [document_in(side) or side for side in sides]
    lists = [side for side in opened if isinstance(side, list)]
    named = bool(place) and (is_secret_name(place[-1]) or (len(place) == 1 and place[0] in names))
    if named or any(map(is_masked, opened)) or any(map(holds_masked, lists)):
        yield place, list(sides)
        return
    maps = [side for side in opened if isinstance(side, Mapping)]
    for key in {str(key) for side in maps for key in side}:
        yield from _secret_places([side[key] for side in maps if key in side], names, (*place, key))
    for item in (item for side in lists for item in side):
        if isinstance(item, Mapping | list):
            yield from _secret_places([item], (), (*place, "[]"))


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from () if key in (SIGNATURE, "ciphertext") else _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, str) and not is_masked(value):
        yield value
        yield from _leaves(document_in(value))


def _forms(text: str) -> set[str]:
    """A secret in clear, as JSON, in a URL, and in base64 wherever in a longer text it began."""
    raw = text.encode(errors="surrogatepass")
    forms = {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], raw.hex()}
    forms |= {quote(raw, safe=""), quote(raw), quote_plus(raw)}
    for shift in range(3):
        # only whole groups of six bits depend on the secret alone
        start, end = -(-shift * 8 // 6), (shift + len(raw)) * 8 // 6
        encoded = base64.b64encode(b"\0" * shift + raw).decode()[start:end]
        forms |= {encoded, encoded.replace("+", "-").replace("/", "_")}
    return {form for form in forms if len(form) >= _SHORTEST}
