"""What `pulumi` v3.260 ends with: command lines with their exit codes, as a real one gave them.

Each on a stack `dev` that was made and never deployed, of a program with one output and one required configuration
value, which is set; `files` are changed before. Nobody is there to be asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

PROJECT: Final = "name: golden\nruntime: python\nconfig:\n  size: {type: integer}\n"
PROGRAM: Final = 'import pulumi\npulumi.export("shown", 1)\n'


@dataclass(frozen=True)
class Case:
    """A command line without `--stack` and `--cwd`, the exit code, and the files to be written first."""

    line: str
    code: int
    files: Mapping[str, str] = field(default_factory=dict)
    stack: str = "dev"

    def prepare(self, folder: Path) -> None:
        """Write the project's files."""
        for name, text in {"Pulumi.yaml": PROJECT, "__main__.py": PROGRAM, **self.files}.items():
            (folder / name).write_text(text)

    def __str__(self) -> str:
        there = f" of {self.stack}" if self.stack != "dev" else ""
        return f"{self.line}{there}" + "".join(f" with {name} {text!r}" for name, text in self.files.items())


CASES: Final = [
    Case("preview", 0),
    Case("preview --non-interactive", 0),
    Case("preview --expect-no-changes", 7),
    Case("up --yes --expect-no-changes", 7),
    Case("up --yes", 0),
    Case("up --skip-preview", 0),
    Case("up", 2),
    Case("up --non-interactive", 2),
    Case("up --json", 2),
    Case("destroy", 2),
    Case("refresh", 1),
    Case("import aws:iam/user:User u u", 2),
    Case("stack rm", 1),
    Case("stack rm --yes", 0),
    Case("stack init", 1),
    Case("stack init", 0, stack="other"),
    Case("stack init dev", 1),
    Case("stack init", 1, stack="bad name!"),
    Case("nonsense", 1),
    Case("stack nonsense", 1),
    Case("up --nonsense", 1),
    Case("stack output a b c", 1),
    Case("stack output absent", 1),
    Case("config set", 1),
    Case("config set a:b:c 1", 1),
    Case("config set --path x[ 1", 1),
    Case("config set k v --secret --plaintext", 1),
    Case("config get absent", 1),
    Case("stack output", 6, stack="nope"),
    Case("stack rm --yes", 6, stack="nope"),
    Case("destroy --yes", 6, stack="nope"),
    Case("refresh --yes", 6, stack="nope"),
    Case("preview", 1, {"__main__.py": "raise ValueError\n"}),
    Case("up --yes", 1, {"__main__.py": "import sys\nsys.exit(3)\n"}),
    Case("preview", 0, {"__main__.py": "import sys\nsys.exit(0)\n"}),
    Case("preview", 1, {"__main__.py": "def\n"}),
    Case("preview", 1, {"Pulumi.yaml": PROJECT + "  more: {type: string}\n"}),
    Case("preview", 1, {"Pulumi.yaml": PROJECT.replace("integer", "boolean")}),
    Case("preview", 1, {"Pulumi.yaml": "name: ["}),
    Case("preview", 1, {"Pulumi.yaml": "3"}),
    Case("preview", 1, {"Pulumi.yaml": 'name: "b d"\nruntime: python\n'}),
    Case("preview", 1, {"Pulumi.dev.yaml": "["}),
    Case("preview", 1, {"Pulumi.dev.yaml": "config: 3"}),
]
