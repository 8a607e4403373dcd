"""The report: verdict first, then findings, then what is replaced, deleted, changed and created.

Owns order, wording and length. The same preview gives the same text, so that an updated comment shows real changes
alone: no time, no duration, no order of the engine's is in it. All that it is made of has passed the veil.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from policy.model import Finding
from recordings.shown import counted
from scripts.preview.changes import Change, Resource
from scripts.preview.markdown import code, folded, own, table
from scripts.preview.verdict import Judgement, Verdict

LONGEST: Final = 60_000
"""Bytes. GitHub takes 65,536 characters a comment; the rest is for title and marker.
https://docs.github.com/en/rest/issues/comments"""
_SIGNS: Final = {Verdict.SAFE: "✅ Safe", Verdict.LOOK: "👀 Needs a look", Verdict.DANGEROUS: "🛑 Dangerous"}
_TITLES: Final = {
    "replace": "Replaced",
    "delete": "Deleted",
    "update": "Changed",
    "import": "Taken over",
    "create": "Created",
}
_FOLDED_FROM: Final = 12
"""Rows; longer tables are folded."""
_ROWS: Final = (10_000, 100, 40, 15, 5, 2, 0)
"""How many rows a table may have, tried in turn until the report is short enough."""


def markdown(judgement: Judgement) -> str:
    """The report in at most 60,000 bytes."""
    for rows in _ROWS:
        text = "\n".join(_lines(judgement, rows)) + "\n"
        if len(text.encode()) <= LONGEST:
            return text
    return "\n".join(_shortest(judgement)) + "\n"


def data(judgement: Judgement) -> dict[str, Any]:
    """The same for programs."""
    return {
        "stack": judgement.stack,
        "verdict": judgement.verdict.value,
        "reasons": list(judgement.reasons),
        "flags": sorted(flag.value for flag in judgement.flags),
        "resources": [
            {
                "operation": item.operation,
                "type": item.kind,
                "name": item.name,
                "because": list(item.reasons),
                "changes": [vars(change) for change in item.changes],
            }
            for item in judgement.resources
        ],
        "findings": [_finding(item) for item in judgement.findings],
        "errors": list(judgement.errors),
        "unchanged": judgement.unchanged,
    }


def _finding(item: Finding) -> dict[str, Any]:
    return {
        "rule": item.rule.id,
        "severity": item.rule.severity.value,
        "stops": item.stops,
        "decided": item.decided,
        "resource": item.name,
        "message": item.message,
        "reason": item.rule.reason,
        "remedy": item.rule.remedy,
        "waived": None if item.waiver is None else {"reason": item.waiver.reason, "expires": item.waiver.expires},
    }


def _lines(judgement: Judgement, rows: int) -> list[str]:
    lines = [_headline(judgement), "", _counts(judgement)]
    lines += _errors(judgement, rows)
    lines += _findings(judgement, rows)
    for operation in ("replace", "delete", "update", "import", "create"):
        found = [item for item in judgement.resources if item.operation == operation]
        if found:
            lines += ["", *_section(operation, found, rows)]
    return lines


def _shortest(judgement: Judgement) -> list[str]:
    """What is left where names are too long even for a few rows: the verdict, and which rules are broken how often."""
    rules = Counter(item.rule.id for item in judgement.findings)
    broken = [f"- `{rule}`: {counted(number, 'finding')}" for rule, number in sorted(rules.items())]
    more = "The rest is too long for a comment; `preview_diff --json` has it."
    return [_headline(judgement), "", _counts(judgement), "", more, *(["", *broken] if broken else [])]


def _headline(judgement: Judgement) -> str:
    why = "; ".join(judgement.reasons) or ("only new resources" if judgement.resources else "nothing changes")
    if judgement.verdict is Verdict.SAFE and any(item.operation != "create" for item in judgement.resources):
        why = "new resources and labels alone"
    return f"**{_SIGNS[judgement.verdict]}**: {why}."


def _counts(judgement: Judgement) -> str:
    operations = [item.operation for item in judgement.resources]
    parts = [f"{operations.count(key)} {title.lower()}" for key, title in _TITLES.items() if key in operations]
    others = len(operations) - sum(operations.count(key) for key in _TITLES)
    parts += [f"{others} read or refreshed"] if others else []
    parts += [f"{judgement.unchanged} unchanged"] if judgement.unchanged or not parts else []
    rules = "" if judgement.ruled else " No recordings storage in this preview: guard rules do not apply."
    return f"Stack {code(judgement.stack)}: {', '.join(parts)}.{rules}"


def _errors(judgement: Judgement, rows: int) -> list[str]:
    if not judgement.errors:
        return []
    shown = sorted(set(judgement.errors))[: max(rows, 1)]
    return ["", "#### The preview did not come to its end", "", *[f"- {code(text)}" for text in shown]]


def _findings(judgement: Judgement, rows: int) -> list[str]:
    if not judgement.findings:
        return []
    found = [
        [_state(item), f"`{item.rule.id}`", code(item.name), _said(item), own(item.rule.remedy)]
        for item in judgement.findings
    ]
    head = ["", "rule", "resource", "what and why", "remedy"]
    return ["", "#### Guard rules", "", *_table(head, found, max(rows, 5))]


def _state(item: Finding) -> str:
    if item.waiver is not None:
        return "waived"
    if not item.decided:
        return "open"
    return "**stops**" if item.stops else "advice"


def _said(item: Finding) -> str:
    said = f"{code(item.message)} {own(item.rule.reason)}"
    if item.waiver is None:
        return said
    return f"{said} Waived until {item.waiver.expires}: {code(item.waiver.reason)}"


def _section(operation: str, found: Sequence[Resource], rows: int) -> list[str]:
    lines = [f"#### {_TITLES[operation]} ({len(found)})", ""]
    if operation in ("delete", "create"):
        lines += _table(["type", "name"], [[code(item.kind), code(item.name)] for item in found], rows)
        described = [item for item in found if item.changes]
        if described and rows > _ROWS[-2]:
            lines += ["", *folded("Their properties", _properties(described, rows))]
        return lines
    for number, item in enumerate(found):
        if number >= max(rows, 1):
            lines.append(f"… and {len(found) - number} more.")
            break
        because = _because(item.reasons, rows)
        lines += [f"**{code(item.kind)} {code(item.name)}**{because}", ""]
        if item.changes:
            lines += [*_table(["property", "before", "after"], [_cells(change) for change in item.changes], rows), ""]
    return lines


def _because(reasons: Sequence[str], rows: int) -> str:
    shown = reasons[: max(rows, 1)]
    more = f" and {len(reasons) - len(shown)} more" if len(reasons) > len(shown) else ""
    return f", because {', '.join(map(code, shown))}{more} changes" if reasons else ""


def _properties(found: Sequence[Resource], rows: int) -> list[str]:
    cells = [
        [code(item.name), code(change.path), code(change.after or "")] for item in found for change in item.changes
    ]
    return _cut(["name", "property", "value"], cells, rows)


def _cells(change: Change) -> list[str]:
    return [code(change.path), *("—" if side is None else code(side) for side in (change.before, change.after))]


def _table(head: Sequence[str], cells: Sequence[Sequence[str]], rows: int) -> list[str]:
    """A table, folded if it is long."""
    lines = _cut(head, cells, rows)
    return lines if len(cells) <= _FOLDED_FROM else folded(counted(len(cells), "row"), lines)


def _cut(head: Sequence[str], cells: Sequence[Sequence[str]], rows: int) -> list[str]:
    more = [] if len(cells) <= rows else ["", f"… and {len(cells) - rows} more."]
    return [*(table(head, cells[:rows]) if rows else []), *more]
