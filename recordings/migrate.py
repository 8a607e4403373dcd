"""Bringing the database to the form that the catalog needs, and back.

Owns finding and running the SQL. Does not know what it says: that is `migrations/`, in the form that the Supabase CLI
takes, and `migrations_back/` for the way back. They lie in the project's root and, in the wheel, beside this module.
Each file is one statement that tells by notices what it changes; a dry run is the same run, rolled back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

import psycopg

from recordings.database import mapped
from recordings.errors import ConfigurationError

_MARK: Final = "recordings: "
_ROOT: Final = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Migration:
    """One file: its name, and its one statement."""

    name: str
    statement: str = field(repr=False)


@dataclass(frozen=True)
class Outcome:
    """What was changed (or would be), and what the owner of the table should know."""

    changes: Sequence[str]
    warnings: Sequence[str]


def migrations(*, back: bool = False) -> list[Migration]:
    """Every migration in the order in which it has to run. Raises ConfigurationError if the files are not there."""
    name = "migrations_back" if back else "migrations"
    places: list[Traversable] = [files("recordings") / name, _ROOT / name]
    for place in places:
        if place.is_dir():
            found = sorted((file for file in place.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
            return [Migration(file.name, file.read_text(encoding="utf-8")) for file in found][:: -1 if back else 1]
    raise ConfigurationError(f"the folder {name} is missing from this installation: install hms-recordings again")


def run_migrations(
    connection: psycopg.Connection[Any], wanted: Sequence[Migration], *, dry_run: bool = False
) -> Outcome:
    """Run all of them in one transaction, which is rolled back if `dry_run`. Raises DatabaseError; then none was run.

    The table is locked for as long as that takes; if others do not let go of it within 10 seconds, it is given up.
    """
    changes: list[str] = []
    warnings: list[str] = []

    def hear(said: psycopg.errors.Diagnostic) -> None:
        text = said.message_primary or ""
        if text.startswith(_MARK):
            (warnings if said.severity_nonlocalized == "WARNING" else changes).append(text.removeprefix(_MARK))

    connection.add_notice_handler(hear)
    try:
        with mapped(), connection.transaction(force_rollback=dry_run):
            for migration in wanted:
                connection.execute(migration.statement.encode())
    finally:
        connection.remove_notice_handler(hear)
    return Outcome(changes, list(dict.fromkeys(warnings)))
