"""Differences between two sets of inputs, by property path, in the meaning that the cloud gives them.

Owns the comparison alone: JSON documents by meaning, lists that the official provider holds as sets without regard to
order, an absent property as its default. What forces a replacement is told by the resource kind.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from sandbox.providers.base import DiffKind
from sandbox.values import UNKNOWN, Properties, Value


@dataclass(frozen=True)
class Rules:
    """How to compare: JSON properties, paths of sets (`rules`, `rules[].methods`), defaults at the top level.

    `nothing` maps a path below the top level to the values that mean the same there as no value; `caseless` are paths
    of text in which upper and lower case mean the same.
    """

    json: Set[str] = frozenset()
    sets: Set[str] = frozenset()
    defaults: Mapping[str, Value] = field(default_factory=dict)
    nothing: Mapping[str, Sequence[Value]] = field(default_factory=dict)
    caseless: Set[str] = frozenset()


def differences(old: Properties, new: Properties, rules: Rules) -> dict[str, DiffKind]:
    """Property path (`rules[0].id`, `tags.env`) to ADD, DELETE or UPDATE."""
    return dict(_properties(_with_defaults(old, rules), _with_defaults(new, rules), "", "", rules))


def same(name: str, old: Value, new: Value, rules: Rules) -> bool:
    """Whether the top-level property `name` means the same in both; None stands for absent."""
    return not differences({name: old}, {name: new}, rules)


def _with_defaults(properties: Properties, rules: Rules) -> Properties:
    given = {key: value for key, value in properties.items() if value is not None and not key.startswith("__")}
    return {
        key: value
        for key, value in given.items()
        if value is UNKNOWN or key not in rules.defaults or value != rules.defaults[key]
    }


def _properties(
    old: Properties, new: Properties, path: str, pattern: str, rules: Rules
) -> Iterator[tuple[str, DiffKind]]:
    for key in [*old, *(key for key in new if key not in old)]:
        dot = f"{path}{key_path(key, first=not path)}"
        yield from _values(old.get(key), new.get(key), dot, f"{pattern}.{key}" if pattern else key, rules)


def _values(old: Value, new: Value, path: str, pattern: str, rules: Rules) -> Iterator[tuple[str, DiffKind]]:
    old, new = (None if side in rules.nothing.get(pattern, ()) else side for side in (old, new))
    if old is None or new is None:
        if old is not None:
            yield path, DiffKind.DELETE
        elif new is not None:
            yield path, DiffKind.ADD
    elif isinstance(old, dict) and isinstance(new, dict):
        yield from _properties(old, new, path, pattern, rules)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _lists(old, new, path, pattern, rules)
    elif old is UNKNOWN or new is UNKNOWN or not _equal(old, new, pattern, rules):
        yield path, DiffKind.UPDATE


def _equal(old: Value, new: Value, pattern: str, rules: Rules) -> bool:
    """Whether two single values mean the same."""
    if pattern in rules.json:
        return bool(canonical_document(old) == canonical_document(new))
    if pattern in rules.caseless and isinstance(old, str) and isinstance(new, str):
        return old.casefold() == new.casefold()
    return bool(old == new)


def _lists(
    old: Sequence[Value], new: Sequence[Value], path: str, pattern: str, rules: Rules
) -> Iterator[tuple[str, DiffKind]]:
    pattern = f"{pattern}[]"
    pairs = _paired(old, new, pattern, rules) if pattern[:-2] in rules.sets else None
    if pairs is None:
        length = max(len(old), len(new))
        pairs = [(i if i < len(old) else None, i if i < len(new) else None) for i in range(length)]
    for left, right in pairs:
        index = right if right is not None else left
        before = None if left is None else old[left]
        after = None if right is None else new[right]
        yield from _values(before, after, f"{path}[{index}]", pattern, rules)


def _paired(
    old: Sequence[Value], new: Sequence[Value], pattern: str, rules: Rules
) -> list[tuple[int | None, int | None]]:
    """Index pairs of a set: equal elements are left out, the others are paired in order."""
    rest = list(range(len(new)))
    gone: list[int] = []
    for index, item in enumerate(old):
        equal = next((i for i in rest if not any(_values(item, new[i], "", pattern, rules))), None)
        if equal is None:
            gone.append(index)
        else:
            rest.remove(equal)
    length = max(len(gone), len(rest))
    return [(gone[i] if i < len(gone) else None, rest[i] if i < len(rest) else None) for i in range(length)]


def key_path(key: str, *, first: bool) -> str:
    """One key of a property path in Pulumi's spelling: `.env`, or `["a.b"]` where the key is no plain word."""
    plain = key.isidentifier() and key.isascii()
    if not plain:
        return f"[{json.dumps(key)}]"
    return key if first else f".{key}"


def canonical_document(document: Value) -> Value:
    """An IAM policy document in one form for all that mean the same; text that is no JSON stands for itself.

    A list of one word is that word, lists have no order, `true` is `"true"`, a principal `*` is every AWS principal
    (the rules of the IAM policy grammar: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html).
    """
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except ValueError:
            return document
    return _canonical(document)


def _canonical(value: Value) -> Value:
    if isinstance(value, dict):
        items = {key: _canonical(item) for key, item in value.items()}
        return {key: {"AWS": "*"} if key == "Principal" and item == "*" else item for key, item in items.items()}
    if isinstance(value, list):
        items_ = sorted((_canonical(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
        return items_[0] if len(items_) == 1 else items_
    if isinstance(value, bool):
        return str(value).lower()
    return value
