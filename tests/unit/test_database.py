"""DATABASE_URL and the map of Postgres' errors, without a database."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import errors

from recordings.database import database_url, translated
from recordings.errors import ConfigurationError, DatabaseDownError, DatabaseError

CANARY = "canary5ecret"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mysql://u:canary5ecret@h/d",
        "postgresql+psycopg://u:canary5ecret@h/d",
        "postgresql://u:canary5ecret@p@h/d",
        "postgresql://u:canary5ecret/x@h:canary5ecret/d",
        "postgresql://u:canary5ecret@h:99999999/d",
        "postgresql://u:canary5ecret@h/d?canary5ecret=1",
        "user=u password=canary5ecret nonsense",
        "postgresql://u:canary5ecret%zz@h/d",
        "postgresql://u:canary5ecret%80@h/d",
        "postgresql://u:canary5ecret\udc80@h/d",
        "postgresql://u@h/d?options=canary5ecret\udc80",
    ],
)
def test_connection_string_that_cannot_be_used_is_not_quoted(text: str) -> None:
    """The message names the variable and the legal form, and nothing of the value."""
    with pytest.raises(ConfigurationError, match="DATABASE_URL") as caught:
        database_url({"DATABASE_URL": text})
    assert "postgresql://USER:PASSWORD@HOST:PORT/DATABASE" in str(caught.value)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("postgres://u:p%40@h:6543/d?sslmode=require&pgbouncer=true", "postgres://u:p%40@h:6543/d?sslmode=require"),
        (" postgresql://u@h/d?connection_limit=1 ", "postgresql://u@h/d"),
        ("postgresql://u:p@a:1,b:2/d", "postgresql://u:p@a:1,b:2/d"),
        ("host=h dbname=d", "host=h dbname=d"),
    ],
)
def test_what_other_clients_put_there_is_left_out(text: str, kept: str) -> None:
    """The same variable serves Prisma and others, whose parameters libpq refuses."""
    assert database_url({"DATABASE_URL": text}).get_secret_value() == kept


@given(password=st.text(st.characters(codec="ascii"), max_size=30).map(lambda text: CANARY + text))
def test_no_password_gets_into_a_message(password: str) -> None:
    """However it is mistyped: refused with no word of it, or kept where nothing shows it."""
    try:
        url = database_url({"DATABASE_URL": f"postgresql://user:{password}@127.0.0.1:9/d"})
        said = repr(url)
    except ConfigurationError as error:
        said = str(error)
    assert CANARY not in said
    raised = psycopg.OperationalError(f'connection to server at "{password}@127.0.0.1", port 9 failed')
    assert CANARY not in str(translated(raised))


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        (errors.UndefinedTable(), DatabaseError, "run `recordings migrate` first"),
        (errors.UndefinedColumn(), DatabaseError, "run `recordings migrate` first"),
        (errors.NotNullViolation(), DatabaseError, "takes no such row"),
        (errors.InsufficientPrivilege(), DatabaseError, "use the table's owner"),
        (errors.LockNotAvailable(), DatabaseDownError, "in use by others"),
        (errors.QueryCanceled(), DatabaseDownError, "in use by others"),
        (errors.AdminShutdown(), DatabaseDownError, "cannot be used now"),
        (errors.TooManyConnections(), DatabaseDownError, "cannot be used now"),
        (errors.InvalidPassword(), DatabaseError, "user or password of DATABASE_URL is refused"),
        (errors.ReadOnlySqlTransaction(), DatabaseError, "the database refused"),
        (psycopg.OperationalError("connection refused"), DatabaseDownError, "nothing listens there"),
        (psycopg.OperationalError('could not translate host name "canary5ecret"'), DatabaseDownError, "is unknown"),
        (psycopg.OperationalError("server closed the connection"), DatabaseDownError, "the connection broke"),
        (psycopg.InterfaceError("the connection is closed"), DatabaseDownError, "the connection broke"),
    ],
)
def test_every_error_has_its_meaning(raised: psycopg.Error, kind: type[DatabaseError], said: str) -> None:
    """What may heal is told from what will not, and each message has the next act."""
    error = translated(raised)
    assert type(error) is kind
    assert said in str(error)
    assert CANARY not in str(error)
