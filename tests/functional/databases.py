"""Databases of a test's own in the sandbox's Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
from pydantic import SecretStr

from recordings.database import connect
from recordings.migrate import migrations, run_migrations
from sandbox import databases
from sandbox.servers import Sandbox


def temporary_database(sandbox: Sandbox) -> AbstractContextManager[str]:
    """A new, empty database; dropped at the end, whoever is still connected."""
    return databases.temporary_database(sandbox.env["DATABASE_URL"], "test")


@contextmanager
def migrated_database(sandbox: Sandbox) -> Iterator[str]:
    """One that `recordings migrate` has prepared."""
    with temporary_database(sandbox) as url:
        with connect(SecretStr(url)) as connection:
            run_migrations(connection, migrations())
        yield url


def rows(url: str, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """What a statement gives, by another client than the project's own code; nothing for one that gives no rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query.encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []
