"""What a run looks like: plain progress lines, or a diff by property, then outputs, counts and duration.

Owns the wording and marks of `pulumi`'s plain output; colours only on a terminal. The JSON form is `digest`. Secrets
are shown as `[secret]`, unknown values as `[unknown]`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import RLock
from typing import Final, TextIO

from sandbox.engine import render, urns
from sandbox.engine.steps import Op, Step
from sandbox.values import Value

MARKS: Final = {
    Op.SAME: "  ", Op.CREATE: "+ ", Op.UPDATE: "~ ", Op.DELETE: "- ", Op.REPLACE: "+-", Op.CREATE_REPLACEMENT: "++",
    Op.DELETE_REPLACED: "--", Op.READ: "> ", Op.DISCARD: "< ", Op.IMPORT: "= ", Op.REFRESH: "~ ",
    Op.IMPORT_REPLACEMENT: "=+", Op.READ_REPLACEMENT: ">+", Op.DISCARD_REPLACED: "<<",
}  # fmt: skip
_COLOURS: Final = {"+ ": 32, "++": 32, "~ ": 33, "+-": 35, "- ": 31, "--": 31, "= ": 36, "> ": 36}
# doing, done, to do
_VERBS: Final = {
    Op.SAME: ("", "", "unchanged"),
    Op.CREATE: ("creating", "created", "create"),
    Op.UPDATE: ("updating", "updated", "update"),
    Op.DELETE: ("deleting", "deleted", "delete"),
    Op.REPLACE: ("replacing", "replaced", "replace"),
    Op.CREATE_REPLACEMENT: ("creating replacement", "created replacement", "create replacement"),
    Op.DELETE_REPLACED: ("deleting original", "deleted original", "delete original"),
    Op.READ: ("reading", "read", "read"),
    Op.READ_REPLACEMENT: ("reading replacement", "read replacement", "read replacement"),
    Op.DISCARD: ("discarding", "discarded", "discard"),
    Op.DISCARD_REPLACED: ("discarding original", "discarded original", "discard original"),
    Op.IMPORT: ("importing", "imported", "import"),
    Op.IMPORT_REPLACEMENT: ("importing replacement", "imported replacement", "import replacement"),
    Op.REFRESH: ("refreshing", "refreshed", "refresh"),
}
_PARTS: Final = {
    Op.CREATE_REPLACEMENT,
    Op.DELETE_REPLACED,
    Op.DISCARD_REPLACED,
    Op.IMPORT_REPLACEMENT,
    Op.READ_REPLACEMENT,
}
UNCOUNTED: Final = _PARTS | {Op.READ}
"""What changes nothing, or is said by another step: not among the changes of a run."""
_DOING: Final = {"update": "Updating", "destroy": "Destroying", "refresh": "Refreshing", "import": "Importing"}


def is_hidden(step: Step) -> bool:
    """Whether a step is the engine's own business: default providers are."""
    return step.resource.is_provider and step.resource.name.startswith("default")


@dataclass
class Display:
    """Shows one run on `stream`; `operation` is `update` or `destroy`, `diff` chooses the diff by property.

    `coloured` None means on a terminal.
    """

    stream: TextIO
    stack: str
    operation: str = "update"
    diff: bool = False
    show_secrets: bool = False
    coloured: bool | None = None
    with_outputs: bool = True
    changes: Counter[str] = field(default_factory=Counter)
    _dry_run: bool = False
    _started: float = 0.0
    _since: dict[int, float] = field(default_factory=dict)
    _messages: dict[str, list[str]] = field(default_factory=dict)
    _depths: dict[str, int] = field(default_factory=dict)
    _lock: RLock = field(default_factory=RLock)

    def begin(self, *, dry_run: bool) -> None:
        """Print the heading."""
        self._dry_run, self._started = dry_run, time.monotonic()
        self.changes.clear()
        doing = f"Previewing {self.operation}" if dry_run else _DOING[self.operation]
        self._line(f"{doing} ({self.stack}):")
        if not self.diff:
            self._line("")

    def started(self, step: Step) -> None:
        """Print that a step begins, or in a preview what it is."""
        if is_hidden(step):
            return
        with self._lock:
            self._since[id(step)] = time.monotonic()
            if self.diff and self._dry_run:
                if step.op not in _PARTS:
                    self._block(step)
            elif step.op is not Op.SAME and not (self._dry_run and step.op in _PARTS):
                doing, _, to_do = _VERBS[step.op]
                self._progress(step, f"{to_do}{render.reasons(step.diff)}" if self._dry_run else f"{doing} (0s)")

    def finished(self, step: Step) -> None:
        """Count a step, and outside a preview print that it is done."""
        if is_hidden(step):
            return
        with self._lock:
            if step.op not in UNCOUNTED:
                self.changes[step.op.value] += 1
            if not self._dry_run and step.op is not Op.SAME:
                self._progress(step, f"{_VERBS[step.op][1]} ({self._seconds(step)}s)")

    def failed(self, step: Step, message: str) -> None:
        """Print that a step failed, and keep why for the end."""
        with self._lock:
            doing = _VERBS[step.op][0] or "checking"
            self._progress(step, f"**{doing} failed**")
            self.diagnostic("error", step.urn, message)

    def diagnostic(self, severity: str, urn: str, message: str) -> None:
        """Keep a message for the end."""
        with self._lock:
            text = message if severity == "info" else f"{severity}: {message}"
            self._messages.setdefault(urn, []).append(text)

    def end(self, outputs: Mapping[str, Value], former: Mapping[str, Value]) -> None:
        """Print messages, outputs and counts."""
        self.diagnostics()
        shown = render.outputs(outputs, former, all_=not self.diff, show_secrets=self.show_secrets)
        if shown and self.with_outputs:
            self._line("    --outputs:--" if self.diff else "Outputs:")
            for line in shown:
                self._line(line)
            if not self.diff:
                self._line("")
        self._line("Resources:")
        for line in self._counts():
            self._line(line)
        if not self._dry_run:
            self._line(f"\nDuration: {max(1, round(time.monotonic() - self._started))}s")

    def diagnostics(self, failure: str = "") -> None:
        """Print the messages so far, by resource; `failure` itself is told on stderr when the command ends."""
        with self._lock:
            if self._messages:
                self._line("Diagnostics:")
            for urn, messages in self._messages.items():
                self._line(f"  {render.type_of(urn)} ({urns.name_of(urn)}):")
                for message in messages:
                    self._line("    " + message.replace("\n", "\n    "))
                self._line("")
            self._messages.clear()

    def _counts(self) -> list[str]:
        lines = []
        for op in Op:
            number = self.changes[op.value]
            if number and op is not Op.SAME:
                verb = f"to {_VERBS[op][2]}" if self._dry_run else _VERBS[op][1]
                lines.append(self._coloured(f"    {MARKS[op]}{number} {verb}", MARKS[op]))
        if self.changes[Op.SAME.value]:
            lines.append(f"    {self.changes[Op.SAME.value]} unchanged")
        return lines or ["    no resources"]

    def _progress(self, step: Step, text: str) -> None:
        mark = MARKS[step.op]
        line = f" {mark} {render.type_of(step.urn)} {step.resource.name} {text} "
        self._line(self._coloured(line, mark))

    def _block(self, step: Step) -> None:
        depth = self._depths.get(step.resource.parent, -1) + 1
        shown = step.op is not Op.SAME or step.resource.type == urns.ROOT_TYPE
        self._depths[step.urn] = depth if shown else depth - 1
        if not shown:
            return
        for line in render.block(step, MARKS[step.op], _VERBS[step.op][2].replace("unchanged", "same")):
            self._line(self._coloured("    " * depth + line, MARKS[step.op]))

    def _seconds(self, step: Step) -> str:
        seconds = time.monotonic() - self._since.get(id(step), time.monotonic())
        return f"{seconds:.2f}" if seconds < 10 else f"{seconds:.0f}"

    def _coloured(self, line: str, mark: str) -> str:
        colour = _COLOURS.get(mark)
        coloured = self.stream.isatty() if self.coloured is None else self.coloured
        return f"\x1b[{colour}m{line}\x1b[0m" if colour and coloured else line

    def _line(self, text: str) -> None:
        with self._lock:
            print(text, file=self.stream, flush=True)
