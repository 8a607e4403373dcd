"""Databases for a while in the sandbox's Postgres, for tests and `make bench`."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

END_SESSIONS: Final = (
    "select pg_terminate_backend(pid, 20000) from pg_stat_activity where datname = %s and usename = current_user"
)
"""Ends this user's sessions in a database, each within 20,000 ms; only a superuser may end those of autovacuum."""


@contextmanager
def temporary_database(url: str, prefix: str) -> Iterator[str]:
    """A new, empty database beside the one of a connection string: its own connection string; dropped at the end.

    Sessions of the same user are ended first. Not by `drop database … with (force)`: that is refused to who is no
    superuser while autovacuum works there, which the plain statement stops by itself (PostgreSQL's `dropdb`).
    """
    name = f"{prefix}_{secrets.token_hex(6)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        try:
            yield urlsplit(url)._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(END_SESSIONS, [name])
            connection.execute(sql.SQL("drop database {}").format(sql.Identifier(name)))
