"""Reaching Postgres: the connection string, connections, pools, and the map from its errors to ours.

Owns how a connection is made: with no prepared statement and no setting that outlives a transaction, so that all of it
goes through a transaction-mode pooler (PgBouncer, Supavisor). Knows no table: `recordings.catalog` and
`recordings.migrate` do. Neither the connection string nor a part of it gets into a message.

Needs the extra `db` (psycopg). Source: https://www.psycopg.org/psycopg3/docs/advanced/prepare.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool
from pydantic import SecretStr

from recordings.errors import ConfigurationError, DatabaseDownError, DatabaseError
from recordings.redact import redact

VARIABLE: Final = "DATABASE_URL"
LEGAL: Final = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE (special characters of the password percent-encoded)"
CONNECT_SECONDS: Final = 10
_ARGUMENTS: Final[Mapping[str, Any]] = {"prepare_threshold": None, "application_name": "recordings"}
_FOREIGN: Final = frozenset({"pgbouncer", "connection_limit", "pool_timeout", "schema"})
"""Parameters that other clients put into the same variable and libpq does not take."""
_BROKEN: Final = (psycopg.OperationalError, psycopg.InterfaceError)
"""With no code from the server: there is no connection, or none any more."""
_MIGRATE: Final = "run `recordings migrate` first"

_REASONS: Final = (
    (r"password authentication failed|no password supplied|role .* does not exist", "user or password is refused"),
    (r"database .* does not exist", "there is no such database"),
    (r"connection refused", "nothing listens there"),
    (r"couldn't get a connection", "no connection to it could be had in time"),
    (r"timeout|timed out", "it does not answer in time"),
    (r"translate host name|name or service|nodename", "its host name is unknown"),
    (r"certificate|SSL|TLS", "TLS failed"),
    (r"too many|max client|remaining connection slots", "it has no connection left"),
    (r"starting up|shutting down|recovery", "it is starting or stopping"),
)
"""What libpq says when a connection fails has no code, and may quote parts of the connection string."""


def database_url(environment: Mapping[str, str]) -> SecretStr:
    """Read DATABASE_URL, in a form that libpq takes. Raises ConfigurationError that quotes nothing of it."""
    text = environment.get(VARIABLE, "").strip()
    if not text:
        raise ConfigurationError(f"{VARIABLE} is not set: give the database's connection string, {LEGAL}")
    try:
        text = _libpq(text) if "://" in text else text
        conninfo_to_dict(text)
    except (psycopg.Error, ValueError):  # bytes that are no UTF-8 are a ValueError too
        raise ConfigurationError(f"{VARIABLE} cannot be used: legal is {LEGAL}") from None
    return SecretStr(text)


def _libpq(url: str) -> str:
    """The URL without other clients' parameters. Raises ValueError."""
    parts = urlsplit(url)
    is_ambiguous = parts.netloc.count("@") > 1 or ("," not in parts.netloc and parts.port == 0)
    if is_ambiguous or parts.scheme not in ("postgres", "postgresql"):
        raise ValueError("no URL that libpq takes")
    kept = [(name, value) for name, value in parse_qsl(parts.query) if name not in _FOREIGN]
    return urlunsplit(parts._replace(query=urlencode(kept)))


@contextmanager
def connect(url: SecretStr) -> Iterator[psycopg.Connection[Any]]:
    """A connection for one piece of work; nothing is committed but by `connection.transaction()`.

    Raises DatabaseError, here and for whatever psycopg raises inside the block.
    """
    with mapped():
        connection = psycopg.connect(
            url.get_secret_value(), autocommit=True, connect_timeout=CONNECT_SECONDS, **_ARGUMENTS
        )
        with connection:
            yield connection


def async_pool(url: SecretStr, *, size: int = 10, wait: float = 3.0) -> AsyncConnectionPool[Any]:
    """A pool that is not open yet. Whoever waits more than `wait` seconds for a connection gets an error.

    A connection is looked at before it is given out, so that a restart of the database is nobody's error. Whoever comes
    while it is away makes the pool try anew: the pool's own pauses grow into minutes.
    """
    return AsyncConnectionPool(
        url.get_secret_value(),
        kwargs={**_ARGUMENTS, "autocommit": True, "connect_timeout": CONNECT_SECONDS},
        min_size=1,
        max_size=size,
        timeout=wait,
        reconnect_timeout=wait,
        open=False,
        check=AsyncConnectionPool.check_connection,
    )


@contextmanager
def mapped() -> Iterator[None]:
    """Turn psycopg's errors into DatabaseError or DatabaseDownError."""
    try:
        yield
    except psycopg.Error as error:
        raise translated(error) from None


def translated(error: psycopg.Error) -> DatabaseError:
    """Our error for one of psycopg's: what it means, the thing it names, the next act."""
    code, said = error.sqlstate or "", error.diag
    primary = redact(said.message_primary or "")
    if code.startswith(("08", "53", "57P")) or (not code and isinstance(error, _BROKEN)):
        return DatabaseDownError(f"the database that {VARIABLE} names cannot be used now: {_reason(str(error))}")
    if code in ("42P01", "42703", "42883", "3F000"):
        return DatabaseError(f"the database is not prepared ({primary}): {_MIGRATE}")
    if code == "23503":
        return DatabaseError(
            f"other rows refer to public.meeting_recordings by {said.constraint_name} ({primary}): delete those first, "
            "or let the constraint do it (on delete cascade, or set null)"
        )
    if code.startswith("23"):
        where = said.column_name or said.constraint_name or "a constraint"
        return DatabaseError(
            f"public.meeting_recordings takes no such row because of {where} ({primary}): give the column a default, "
            "or change the constraint"
        )
    if code in ("55P03", "57014"):
        return DatabaseDownError(f"the table is in use by others ({primary}): try again when the application is quiet")
    if code == "42501":
        return DatabaseError(f"the user that {VARIABLE} names may not do that ({primary}): use the table's owner")
    if code.startswith("28"):
        return DatabaseError(f"user or password of {VARIABLE} is refused")
    hint = f". {said.message_hint}" if said.message_hint else ""
    return DatabaseError(f"the database refused: {primary or type(error).__name__}{hint}")


def _reason(text: str) -> str:
    return next((label for form, label in _REASONS if re.search(form, text, re.IGNORECASE)), "the connection broke")
