"""What a preview would do, by resource and property, with nothing secret in it.

Owns comparing before and after: objects key by key, JSON policies inside, lists as what comes and what goes. Every
value that leaves this module has passed the veil.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from policy.plans import UNKNOWN, kind_of
from scripts.preview.document import Document
from scripts.preview.secrecy import HIDDEN, Place, Veil, document_in, holds_masked

AFTERWARDS: Final = "(known after the deployment)"
_PARTS: Final = frozenset(
    {"create-replacement", "delete-replaced", "import-replacement", "read-replacement", "discard-replaced"}
)
_OPERATIONS: Final = ("replace", "delete", "update", "create", "import", "read", "refresh", "discard")
_IDENTITIES: Final = ("Sid", "id", "name", "slot")
"""What tells items of a list apart, so that an inserted one does not shift all others."""
_LONGEST: Final = 300
_MISSING: Any = object()


@dataclass(frozen=True)
class Change:
    """One property, before and after as text; None where there is none."""

    path: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Resource:
    """One resource that something happens to. `reasons` are the properties that force a replacement."""

    operation: str
    kind: str
    name: str
    urn: str
    changes: Sequence[Change] = ()
    reasons: Sequence[str] = ()
    paths: frozenset[str] = field(default=frozenset(), repr=False)
    """The top-level properties that change."""


def resources(document: Document, veil: Veil) -> list[Resource]:
    """Every resource that does not stay as it is: what is replaced first, then by type and name."""
    whole = {step["urn"] for step in document.steps if step["op"] not in _PARTS}
    found = []
    for step in document.steps:
        if step["op"] in _PARTS and step["urn"] in whole:
            continue
        resource = _resource(step, veil)
        if resource is not None:
            found.append(resource)
    order = {operation: place for place, operation in enumerate(_OPERATIONS)}
    return sorted(found, key=lambda item: (order.get(item.operation, 99), item.kind, item.name, item.urn))


def _resource(step: Mapping[str, Any], veil: Veil) -> Resource | None:
    operation = _operation(step["op"])
    chain, name = step["urn"].split("::", 3)[2:]
    changes = sorted(_changes(step, veil), key=lambda item: (item.path, item.before or "", item.after or ""))
    if operation == "same":
        if not changes:
            return None
        operation = "update"
    if operation == "delete":
        changes = []
    return Resource(
        operation,
        veil.text(kind_of(chain.rsplit("$", 1)[-1])),
        veil.text(name),
        veil.text(step["urn"]),
        tuple(dict.fromkeys(changes)),
        tuple(veil.text(reason) for reason in _reasons(step)),
        frozenset(change.path.split(".")[0].split("[")[0] for change in changes),
    )


def _reasons(step: Mapping[str, Any]) -> list[str]:
    """What forces a replacement. Of `replace_on_changes` inside a property the engine says it in the diff alone."""
    detailed = step.get("detailedDiff") or {}
    kinds = {path: diff.get("kind") if isinstance(diff, Mapping) else None for path, diff in detailed.items()}
    inside = {str(path) for path, kind in kinds.items() if str(kind).endswith("-replace")}
    return sorted(set(step.get("replaceReasons") or ()) or inside)


def _operation(text: str) -> str:
    return "replace" if text in _PARTS else text


def _changes(step: Mapping[str, Any], veil: Veil) -> Iterator[Change]:
    old, new = step.get("oldState") or {}, step.get("newState") or {}
    before, after = old.get("inputs") or {}, new.get("inputs") or {}
    if step["op"] in ("delete", "discard", "read"):
        return
    veil = veil.at(step)
    for key in sorted({*before, *after}):
        yield from _compare(veil.text(key), (key,), before.get(key, _MISSING), after.get(key, _MISSING), veil)
    if old and new:
        yield from _further(step, before, after, veil)
        if old.get("protect", False) != new.get("protect", False):
            yield Change("(protect)", _truth(old.get("protect")), _truth(new.get("protect")))


def _further(
    step: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any], veil: Veil
) -> Iterator[Change]:
    """Properties that the provider says differ and whose inputs do not: secrets, and drift against the cloud."""
    old, new = step["oldState"].get("outputs") or {}, step["newState"].get("outputs") or {}
    paths = {str(path).split(".")[0].split("[")[0] for path in step.get("detailedDiff") or {}}
    for key in sorted({*paths, *(step.get("diffReasons") or ())}):
        if _differs(before.get(key, _MISSING), after.get(key, _MISSING)):
            continue
        was, will = old.get(key, _MISSING), after.get(key, new.get(key, _MISSING))
        if veil.hides((key,), was, will):
            # of a masked secret both sides look the same
            yield Change(veil.text(key), HIDDEN, HIDDEN)
        else:
            yield from _compare(veil.text(key), (key,), was, will, veil)


def _differs(before: Any, after: Any) -> bool:
    return before is _MISSING or isinstance(before, bool) != isinstance(after, bool) or before != after


def _compare(path: str, place: Place, before: Any, after: Any, veil: Veil) -> Iterator[Change]:
    if not _differs(before, after):
        return
    inside = [document_in(side) for side in (before, after)]
    if all(item is not None for item in inside):
        before, after = inside
        if before == after:
            yield Change(path, "(JSON)", "(the same JSON, written otherwise)")
            return
    if veil.hides(place, before, after):
        yield _hidden(path, before, after)
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            sides = before.get(key, _MISSING), after.get(key, _MISSING)
            yield from _compare(f"{path}.{veil.text(key)}", (*place, key), *sides, veil)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _lists(path, place, before, after, veil)
    elif _MISSING not in (before, after) and any(map(holds_masked, (before, after))):
        yield _hidden(path, before, after)  # what has another form on the other side cannot be told apart by place
    else:
        yield Change(path, shown(before, place, veil), shown(after, place, veil))


def _lists(path: str, place: Place, before: list[Any], after: list[Any], veil: Veil) -> Iterator[Change]:
    inside = (*place, "[]", place[-1])
    key = _identity(before, after)
    if key is not None:
        sides = [{item[key]: item for item in side} for side in (before, after)]
        for identity in sorted({*sides[0], *sides[1]}):
            pair = [side.get(identity, _MISSING) for side in sides]
            yield from _compare(f"{path}[{veil.text(identity)}]", inside, pair[0], pair[1], veil)
        return
    if any(isinstance(item, Mapping | list) for item in (*before, *after)):
        for number in range(max(len(before), len(after))):
            pair = [side[number] if number < len(side) else _MISSING for side in (before, after)]
            yield from _compare(f"{path}[{number}]", inside, pair[0], pair[1], veil)
        return
    texts = [{json.dumps(item) for item in side} for side in (before, after)]
    gone = [item for item in before if json.dumps(item) not in texts[1]]
    come = [item for item in after if json.dumps(item) not in texts[0]]
    if not gone and not come:
        yield Change(path, shown(before, place, veil), shown(after, place, veil))
    yield from (Change(f"{path}[]", shown(item, inside, veil), None) for item in gone)
    yield from (Change(f"{path}[]", None, shown(item, inside, veil)) for item in come)


def _identity(before: list[Any], after: list[Any]) -> str | None:
    """The key that tells all items of both lists apart."""
    for key in _IDENTITIES:
        found = [[item.get(key) if isinstance(item, Mapping) else None for item in side] for side in (before, after)]
        if all(all(isinstance(value, str) for value in side) and len(set(side)) == len(side) for side in found):
            return key
    return None


def _hidden(path: str, before: Any, after: Any) -> Change:
    return Change(path, *(None if side is _MISSING else HIDDEN for side in (before, after)))


def shown(value: Any, place: Place, veil: Veil) -> str | None:
    """A value as text, masked, and cut at 300 characters; None where there is none."""
    if value is _MISSING:
        return None
    safe = veil.masked(value, place)
    text = safe if isinstance(safe, str) else json.dumps(safe, ensure_ascii=False, sort_keys=True)
    text = text.replace(UNKNOWN, AFTERWARDS)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _truth(value: Any) -> str:
    return "true" if value is True else "false"
