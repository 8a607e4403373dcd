"""What a Supabase project's database has beside Postgres itself: roles, and rights that newly made tables get.

Sources: Supabase's guides "Postgres roles" and "Securing your API", and the initial schema of its Postgres image
(`migrations/db/init-scripts`). As in older projects every new table in `public` is granted to `anon`: what must not be
reached by it has to say so. `postgres`, whom `DATABASE_URL` names, is no superuser there and so not here.
"""

from __future__ import annotations

from typing import Final

SUPERUSER: Final = "supabase_admin"
"""Who made the database; nothing but the sandbox uses it."""
USER: Final = "postgres"
"""Who owns a project's database and applies its migrations."""

_ROLES: Final = """
create role postgres login createdb createrole replication bypassrls;
create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit;
grant anon, authenticated, service_role to authenticator;
grant anon, authenticated, service_role to postgres with admin option;
alter database postgres owner to postgres;
"""
_RIGHTS: Final = """
grant usage on schema public to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  grant all on tables to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  grant all on sequences to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  grant all on functions to postgres, anon, authenticated, service_role;
"""


def prepare(port: int, password: str) -> None:
    """Make roles and rights in a new server, also in what further databases are copied from."""
    import psycopg  # a start over existing data needs none
    from psycopg import sql

    def statements(database: str, *texts: str) -> None:
        where = {"host": "127.0.0.1", "port": port, "user": SUPERUSER, "password": password, "dbname": database}
        with psycopg.connect(**where, sslmode="disable") as connection:  # type: ignore[arg-type]
            for text in texts:
                connection.execute(text.encode())
            if _ROLES in texts:
                for role in (USER, "authenticator"):
                    change = sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(password))
                    connection.execute(change)

    statements("template1", _ROLES, _RIGHTS)
    statements("postgres", _RIGHTS)


def database_url(port: int, password: str, database: str = "postgres") -> str:
    """The connection string of `postgres`; the password is of characters that a URL takes as they are."""
    return f"postgresql://{USER}:{password}@127.0.0.1:{port}/{database}"
