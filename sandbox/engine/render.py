"""Property values and their differences as text, in the form of `pulumi preview --diff`.

Owns indentation, marks and masking; knows nothing of streams or colours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.engine.steps import Op, Step
from sandbox.engine.values import UNKNOWN_SENTINEL, mask, unwrap
from sandbox.providers.base import DiffResult
from sandbox.values import Secret, Value

_ABSENT: Any = object()


def type_of(urn: str) -> str:
    """The resource type as progress lines show it: `aws:s3:Bucket` for `aws:s3/bucket:Bucket`."""
    package, module, name = urn.split("::")[2].rsplit("$", 1)[-1].split(":")
    return f"{package}:{module.split('/')[0]}:{name}"


def reasons(diff: DiffResult | None) -> str:
    """The properties that differ, as ` [diff: ~tags]`."""
    if diff is None:
        return ""
    marks = {"add": "+", "delete": "-"}
    detailed = {path.split(".")[0].split("[")[0]: kind for path, (kind, _) in diff.detailed.items()}
    keys = dict.fromkeys([*diff.changed, *diff.replaces, *detailed])
    parts = [f"{marks.get(str(detailed.get(key, '')).removesuffix('-replace'), '~')}{key}" for key in keys]
    return f" [diff: {','.join(parts)}]" if parts else ""


def block(step: Step, mark: str, verb: str) -> Iterator[str]:
    """The lines of one resource in a diff."""
    resource = step.resource
    yield f"{mark}{resource.type}: ({verb})"
    if step.old is not None and step.old.id:
        yield f"    [id={step.old.id}]"
    yield f"    [urn={resource.urn}]"
    if resource.provider:
        yield f"    [provider={resource.provider}]"
    if step.op is Op.SAME:
        return
    old = step.old.inputs if step.old is not None else None
    new = step.new.inputs if step.new is not None else None
    changed = {*step.diff.changed, *step.diff.replaces} if step.diff is not None else set()
    changed |= {path.split(".")[0].split("[")[0] for path in (step.detailed or {})}
    if old is None or new is None or step.op in (Op.CREATE, Op.DELETE):
        yield from _object(mask_all(new if old is None or new is not None else old), "    ", "")
        return
    yield from _changes(old, new, "  ", changed)


def outputs(
    now: Mapping[str, Value], former: Mapping[str, Value], *, all_: bool, show_secrets: bool = False
) -> list[str]:
    """The stack's outputs with `+`, `-`, `~` for those that differ; unchanged ones only with `all_`."""
    keys = sorted({*now, *former})
    width = max(map(len, keys), default=0)
    lines = []
    for key in keys:
        old, new = former.get(key, _ABSENT), now.get(key, _ABSENT)
        if isinstance(old, Secret) != isinstance(new, Secret) and not show_secrets and _ABSENT not in (old, new):
            old, new = Secret(old), Secret(new)
        same = old is not _ABSENT and new is not _ABSENT and _seen(old, show_secrets) == _seen(new, show_secrets)
        if same and not all_:
            continue
        mark = "  " if same or not former else "+ " if old is _ABSENT else "- " if new is _ABSENT else "~ "
        before, after = (_text(value, show_secrets) for value in (old, new))
        shown = f"{before} => {after}" if mark == "~ " and before != after else before if mark == "- " else after
        lines.append(f"  {mark}{key:<{width}}: {shown}")
    return lines


def mask_all(value: Value) -> Any:
    """Secrets as `[secret]`, unknowns as `[unknown]`."""
    return _marked(mask(value))


class _Bare(str):
    """Text that is shown without quotation marks."""

    __slots__ = ()


def _marked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _marked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_marked(item) for item in value]
    if value == UNKNOWN_SENTINEL:
        return _Bare("[unknown]")
    return _Bare(value) if value == "[secret]" else value


def _text(value: Value, show_secrets: bool = False) -> str:
    if value is _ABSENT:
        return ""
    return _scalar(_seen(value, show_secrets))


def _seen(value: Value, show_secrets: bool) -> Any:
    return _marked(mask(unwrap(value) if show_secrets else value))


def _scalar(value: Any) -> str:
    if isinstance(value, _Bare):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def _object(fields: Mapping[str, Any] | None, indent: str, mark: str) -> Iterator[str]:
    width = max(map(len, fields or {}), default=0)
    for key in sorted(fields or {}):
        yield from _entry(f"{indent}{mark}{key:<{width}}: ", (fields or {})[key], indent, mark)


def _entry(head: str, value: Any, indent: str, mark: str) -> Iterator[str]:
    parsed = _document(value)
    if isinstance(parsed, Mapping) and parsed:
        yield f"{head}{'(json) ' if parsed is not value else ''}{{"
        yield from _object(parsed, f"{indent}    ", mark)
        yield f"{indent}{mark}}}"
    elif isinstance(value, list) and value:
        yield f"{head}["
        for place, item in enumerate(value):
            yield from _entry(f"{indent}    {mark}[{place}]: ", item, f"{indent}    ", mark)
        yield f"{indent}{mark}]"
    else:
        yield f"{head}{_scalar(value)}"


def _document(value: Any) -> Any:
    """A JSON document in a string is shown as what it holds."""
    if isinstance(value, str) and not isinstance(value, _Bare) and value.startswith("{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _changes(old: Value, new: Value, indent: str, changed: set[str]) -> Iterator[str]:
    """The properties in which two objects differ; of those in `changed`, also ones that differ in no visible way."""
    keys = [key for key in sorted({*old, *new}) if key in changed or unwrap(old.get(key)) != unwrap(new.get(key))]
    width = max(map(len, keys), default=0)
    for key in keys:
        yield from _change(f"{key:<{width}}: ", old.get(key, _ABSENT), new.get(key, _ABSENT), indent)


def _change(head: str, old: Value, new: Value, indent: str) -> Iterator[str]:
    if old is _ABSENT or new is _ABSENT:
        mark = "+ " if old is _ABSENT else "- "
        yield from _entry(f"{indent}{mark}{head}", mask_all(new if old is _ABSENT else old), indent, mark)
        return
    if isinstance(old, Secret) or isinstance(new, Secret):
        # what became a secret, or was one, is one on both sides
        yield f"{indent}~ {head}[secret] => [secret]"
        return
    before, after = _document(old), _document(new)
    if isinstance(before, dict) and isinstance(after, dict):
        yield f"{indent}~ {head}{'(json) ' if before is not old else ''}{{"
        yield from _changes(before, after, f"{indent}    ", set())
        yield f"{indent}  }}"
    elif isinstance(before, list) and isinstance(after, list):
        yield f"{indent}~ {head}["
        for place in range(max(len(before), len(after))):
            pair = [side[place] if place < len(side) else _ABSENT for side in (before, after)]
            if unwrap(pair[0]) != unwrap(pair[1]):
                yield from _change(f"[{place}]: ", pair[0], pair[1], f"{indent}    ")
        yield f"{indent}  ]"
    else:
        yield f"{indent}~ {head}{_scalar(mask_all(old))} => {_scalar(mask_all(new))}"
