"""Databases of a test's own in the sandbox's Postgres."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql
from pydantic import SecretStr

from recordings.database import connect
from recordings.migrate import migrations, run_migrations
from sandbox.servers import Sandbox


@contextmanager
def temporary_database(sandbox: Sandbox) -> Iterator[str]:
    """A new, empty database; dropped at the end, whoever is still connected."""
    url, name = sandbox.env["DATABASE_URL"], f"test_{secrets.token_hex(6)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        try:
            yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        finally:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


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
