"""The sandbox's Postgres: by password, on the loopback interface, with the roles of Supabase, gone at the end."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from sandbox.servers import Sandbox, postgres
from sandbox.servers.order import Order
from sandbox.servers.supervisor import _bound, is_alive
from tests.functional.clients import eventually
from tests.functional.databases import temporary_database


def postmaster(sandbox: Sandbox) -> int:
    """Process id of Postgres itself."""
    return int((sandbox.dir / "data/postgres/data/postmaster.pid").read_text().split()[0])


def server(sandbox: Sandbox) -> int:
    """Process id of the sandbox's server that looks after it."""
    return int(json.loads((sandbox.dir / "run.json").read_text())["servers"]["postgres"]["pid"])


def test_database_url_is_of_the_owner_who_is_no_superuser(sandbox: Sandbox) -> None:
    """As in a Supabase project: `postgres` owns the database, and cannot do what a superuser could."""
    with psycopg.connect(sandbox.env["DATABASE_URL"]) as connection:
        row = connection.execute(
            "select current_user, rolsuper, rolbypassrls, pg_get_userbyid(datdba), version() like 'PostgreSQL 18%' "
            "from pg_roles, pg_database where rolname = current_user and datname = current_database()"
        ).fetchone()
    assert row == ("postgres", False, True, "postgres", True)


def test_new_tables_are_open_to_anon_as_in_older_projects(sandbox: Sandbox) -> None:
    """The default that a migration has to guard against is really there, in new databases too."""
    with temporary_database(sandbox) as url, psycopg.connect(url) as connection:
        connection.execute("create table public.open_to_all (x int)")
        for role in ("anon", "authenticated", "service_role"):
            found = connection.execute("select has_table_privilege(%s, 'public.open_to_all', 'select')", (role,))
            assert found.fetchone() == (True,)


def test_wrong_or_no_password_is_refused(sandbox: Sandbox) -> None:
    """The loopback interface is shared by everybody on a machine; there is no socket in the file system."""
    parts = urlsplit(sandbox.env["DATABASE_URL"])
    for user in ("postgres", "postgres:wrong", "supabase_admin", "authenticator:wrong"):
        netloc = f"{user}@127.0.0.1:{parts.port}"
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(urlunsplit(parts._replace(netloc=netloc)))


def test_data_is_nobody_elses_and_postgres_is_not_root(sandbox: Sandbox) -> None:
    """Started by root it is another account's process, and no folder above its data was opened for it."""
    data = sandbox.dir / "data" / "postgres"
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (sandbox.dir, data, data / "data")] == [0o700] * 3
    assert Path(f"/proc/{postmaster(sandbox)}").stat().st_uid != 0
    assert not (data / "password").exists()


def test_port_is_nobody_elses_until_postgres_listens(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Making the data takes seconds, in which a port that is only remembered could be given to anybody."""
    tried: list[int] = []

    def start(server: postgres.Postgres) -> None:
        with socket.socket() as anybody, pytest.raises(OSError, match="in use"):
            anybody.bind(("127.0.0.1", server._port))
        socket.create_server(("127.0.0.1", server._port)).close()
        tried.append(server._port)

    monkeypatch.setattr(postgres.Postgres, "start", start)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    supervisor, control = socket.socketpair()
    with supervisor, _bound(0) as held:
        port = held.getsockname()[1]
        supervisor.sendall(Order("postgres", tmp_path, held.detach(), sandbox.settings).encode())
        supervisor.shutdown(socket.SHUT_WR)
        postgres.main(control.detach())
    assert tried == [port]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """A sandbox that these tests may kill; the last one stops it."""
    return Sandbox(tmp_path_factory.mktemp("postgres"))


@pytest.mark.parametrize("victim", ["supervisor", "server"])
def test_no_postgres_outlives_what_started_it(other: Sandbox, victim: str) -> None:
    """Neither the supervisor's SIGKILL nor that of its own parent leaves one; what was committed is still there."""
    other.start(watched=os.getpid())
    try:
        with psycopg.connect(other.env["DATABASE_URL"]) as connection:
            connection.execute("create table if not exists public.kept (x text)")
            connection.execute("insert into public.kept values (%s)", (victim,))
        running = postmaster(other)
        chosen = json.loads((other.dir / "run.json").read_text())["pid"] if victim == "supervisor" else server(other)
        os.kill(chosen, signal.SIGKILL)
        eventually(lambda: not is_alive(running))
        other.stop()
        other.start(watched=os.getpid())
        with psycopg.connect(other.env["DATABASE_URL"]) as connection:
            assert (victim,) in connection.execute("select x from public.kept").fetchall()
    finally:
        other.stop()
