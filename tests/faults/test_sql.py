"""Names of the application's own columns are never read as SQL, on a real Postgres."""

from __future__ import annotations

import random

import psycopg
from psycopg import sql

from recordings.migrate import migrations
from sandbox.servers import Sandbox
from tests.faults.trials import Trials
from tests.functional.databases import temporary_database

PIECES = (
    '"',
    "'",
    ";",
    "--",
    "drop table x",
    "%s",
    "%",
    "{}",
    "$$",
    "\\",
    "\n",
    " ",
    "ü",
    "\u202e",
    "$1",
    "/*",
    ":a",
    "or 1=1",
)
MOST = 63
"""Bytes of a name in Postgres."""


def hostile(rng: random.Random) -> str:
    """A legal name that would be something else if it were read as SQL or as a format."""
    name = "".join(rng.choice(PIECES) for _ in range(rng.randrange(1, 12)))
    return name.encode()[:MOST].decode(errors="ignore")


def test_names_are_never_read_as_sql(trials: Trials, sandbox: Sandbox) -> None:
    """Whatever the columns of a table are called: there, again and back leaves them and their rights as they were."""
    with temporary_database(sandbox) as url, psycopg.connect(url) as connection:
        for rng in trials.of("SQL in table and column names", 40):
            name = sql.Identifier(hostile(rng))
            connection.execute(
                sql.SQL("create table public.meeting_recordings ({0} int, primary key ({0}))").format(name)
            )
            connection.execute(sql.SQL("grant select ({}) on public.meeting_recordings to anon").format(name))
            before = _columns(connection)
            for step in (migrations(), migrations(), migrations(back=True)):
                for migration in step:
                    connection.execute(migration.statement.encode())
            assert _columns(connection) == before
            query = "select has_column_privilege('anon', 'public.meeting_recordings', 1::int2, 'select')"
            assert connection.execute(query).fetchone() == (True,)
            connection.rollback()


def _columns(connection: psycopg.Connection) -> list[tuple[str]]:
    return connection.execute(
        "select attname from pg_attribute where attrelid = 'public.meeting_recordings'::regclass and attnum > 0 "
        "and not attisdropped"
    ).fetchall()
