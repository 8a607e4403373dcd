"""Everything that we do in a database goes through a transaction-mode pooler: nothing of it outlives a transaction."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from pydantic import SecretStr

from recordings.catalog import AsyncCatalog, Catalog, Written
from recordings.catalog_entries import CatalogEntry
from recordings.database import connect
from recordings.migrate import migrations, run_migrations
from sandbox.servers.postgres import unprivileged
from tests.functional.clients import eventually
from tests.functional.databases import rows
from tests.functional.pooler import pooler

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")


def use(connection: psycopg.Connection[Any], name: str) -> None:
    """Every statement that the library has."""
    run_migrations(connection, migrations(), dry_run=True)
    run_migrations(connection, migrations())
    Catalog(connection, dry_run=True).upsert([CatalogEntry("never", "gcs")])  # a rollback clears what was prepared
    catalog = Catalog(connection)
    entries = [CatalogEntry(f"{name}-{number}", "s3") for number in range(20)]
    for _ in range(8):  # psycopg prepares a statement after five times, unless told not to
        catalog.upsert(entries)
        assert catalog.find(f"{name}-1") is not None
        assert catalog.page(limit=5).next
        assert len(list(catalog.scan())) >= 20


def test_nothing_outlives_a_transaction(empty_database: str) -> None:
    """No prepared statement, cursor, lock, temporary table or setting is left in the session."""
    with connect(SecretStr(empty_database)) as connection:
        before = settings(connection)
        use(connection, "a")
        left = connection.execute(
            "select (select count(*) from pg_prepared_statements), (select count(*) from pg_cursors), "
            "(select count(*) from pg_locks where locktype = 'advisory'), pg_my_temp_schema()::int"
        ).fetchone()
        assert left == (0, 0, 0, 0)
        assert settings(connection) == before


def settings(connection: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    """Of the session; those of a language are there once it was used."""
    query = "select name, setting from pg_settings where name not like 'plpgsql.%' order by name"
    return connection.execute(query).fetchall()


@pytest.fixture(params=["small", "pgbouncer"])
def pooled(request: pytest.FixtureRequest, empty_database: str, tmp_path: Path) -> Iterator[str]:
    """The database through a pooler in transaction mode, with two server connections for everybody."""
    if request.param == "pgbouncer":
        with pgbouncer(empty_database, tmp_path) as url:
            yield url
    else:
        with pooler(empty_database) as port:
            yield through(empty_database, port)


def through(database_url: str, port: int) -> str:
    parts = urlsplit(database_url)
    return urlunsplit(parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}"))


@contextmanager
def pgbouncer(database_url: str, tmp_path: Path) -> Iterator[str]:
    """The real one: no registry has it as a wheel, so it runs where Debian's package is installed."""
    if PGBOUNCER is None:
        pytest.skip("not run: there is no pgbouncer on this machine (Debian package pgbouncer)")
    parts = urlsplit(database_url)
    with socket.socket() as held:  # bound without listening: nobody else is given the port, and pgbouncer can have it
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        (tmp_path / "users").write_text(f'"postgres" "{parts.password}"\n')
        (tmp_path / "pgbouncer.ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={parts.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {tmp_path / 'users'}\n"
            "pool_mode = transaction\ndefault_pool_size = 2\nserver_reset_query_always = 0\n"
        )
        with subprocess.Popen(unprivileged([PGBOUNCER, "-q", str(tmp_path / "pgbouncer.ini")])) as process:
            try:
                eventually(lambda: process.poll() is not None or answers(port))
                yield through(database_url, port)
            finally:
                process.terminate()


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_everything_goes_through_a_pooler(pooled: str, empty_database: str) -> None:
    """More clients than server connections, so that each transaction may meet another's: migrate, write, read."""

    def work(name: str) -> None:
        with connect(SecretStr(pooled)) as connection:
            use(connection, name)

    with ThreadPoolExecutor(5) as together:
        list(together.map(work, "abcde"))
    assert rows(empty_database, "select count(*) from meeting_recordings") == [(100,)]

    async def read() -> list[Any]:
        async with AsyncCatalog.open(SecretStr(pooled), size=8) as catalog:
            found = await asyncio.gather(*(catalog.find(f"{name}-3") for name in "abcde" * 10))
            written = await catalog.upsert([CatalogEntry("f", "gcs")])
            assert written == Written(added=1)
            return found

    assert all(asyncio.run(read()))


def test_small_pooler_loses_what_outlives_a_transaction(empty_database: str) -> None:
    """Otherwise the test above would show nothing."""
    with pooler(empty_database) as port, psycopg.connect(through(empty_database, port), autocommit=True) as connection:
        connection.execute("set application_name = 'mine'")
        assert connection.execute("show application_name").fetchone() != ("mine",)
        with connection.transaction():
            connection.execute("set local application_name = 'mine'")
            assert connection.execute("show application_name").fetchone() == ("mine",)
        with pytest.raises(psycopg.errors.InvalidSqlStatementName):  # prepared in one session, executed in the other
            connection.execute("select 1", prepare=True)
