"""The queue: a job for each recording to move, on the Postgres that is already there, by Procrastinate.

Owns putting jobs in, and Procrastinate's own tables, which lie in a schema of their own (`migrations/`). Moves nothing:
`recordings.worker` does. All of it goes through a transaction-mode pooler: the schema is named anew in every
transaction, and workers look into the queue now and then instead of being called.

Needs the extra `queue`. Source: https://procrastinate.readthedocs.io (locks, priorities, schema and migrations).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import procrastinate
import psycopg
from procrastinate import exceptions
from procrastinate.schema import SchemaManager
from pydantic import SecretStr

from recordings.backfill.moves import Move
from recordings.database import CONNECT_SECONDS, connect, mapped, translated
from recordings.errors import DatabaseDownError, DatabaseError
from recordings.outputs import StackOutputs

SCHEMA: Final = "recordings_queue"
TASK: Final = "recordings.move"
_SEARCH: Final = f"set local search_path to {SCHEMA}, pg_catalog"
_LOCK: Final = "select pg_advisory_xact_lock(5010071002)"
_IS_MADE: Final = f"select to_regclass('{SCHEMA}.procrastinate_jobs') is not null"
_MADE_BY: Final = f"select obj_description(to_regnamespace('{SCHEMA}'), 'pg_namespace')"
_NOTE: Final = "Jobs of recordings backfill; Procrastinate "
_LATEST: Final = 2**31 - 1


class _Cursor(psycopg.AsyncCursor[Any]):
    """Looks for names in the queue's schema, in the transaction that it begins, and nowhere after it."""

    async def execute(self, query: Any, params: Any = None, **more: Any) -> Any:
        await super().execute(_SEARCH)
        return await super().execute(query, params, **more)


@asynccontextmanager
async def opened(url: SecretStr) -> AsyncIterator[procrastinate.App]:
    """Procrastinate's application over the queue. Raises DatabaseError, also for what happens inside the block."""
    connector = procrastinate.PsycopgConnector(
        conninfo=url.get_secret_value(),
        min_size=1,
        max_size=4,
        timeout=CONNECT_SECONDS,
        kwargs={"prepare_threshold": None, "application_name": "recordings", "cursor_factory": _Cursor},
    )
    application = procrastinate.App(connector=connector)
    try:
        async with application.open_async():
            yield application
    except exceptions.ConnectorException as error:
        cause = error.__cause__
        if isinstance(cause, psycopg.Error):
            raise translated(cause) from None
        raise DatabaseDownError(f"the queue cannot be used now ({type(error).__name__}): try again later") from None


def prepare(url: SecretStr) -> None:
    """Make Procrastinate's tables, or bring them up to the version that is installed.

    Raises DatabaseError where `recordings migrate` has not been run, or a newer version has made them.
    """
    installed = version("procrastinate")
    with connect(url) as connection, mapped(), connection.transaction():
        connection.execute(_LOCK)
        connection.execute(_SEARCH)
        is_made = connection.execute(_IS_MADE).fetchone() == (True,)
        note = str((connection.execute(_MADE_BY).fetchone() or ("",))[0] or "")
        made_by = note.removeprefix(_NOTE) if note.startswith(_NOTE) else ""
        if is_made and made_by == installed:
            return
        if not is_made:
            connection.execute(SchemaManager.get_schema().encode())
        elif _parts(made_by) > _parts(installed):
            raise DatabaseError(
                f"the queue was made by Procrastinate {made_by}, and {installed} is installed here: install that one"
            )
        else:
            for statement in _since(made_by):
                connection.execute(statement.encode())
        connection.execute(f"comment on schema {SCHEMA} is '{_NOTE}{installed}'".encode())


def enqueue(url: SecretStr, outputs: StackOutputs, moves: Sequence[Move]) -> int:
    """Make a job of each, soonest end first, unless it waits already; gives how many are new. Raises DatabaseError."""
    prepare(url)
    return asyncio.run(_enqueue(url, queue_of(outputs), moves))


async def _enqueue(url: SecretStr, queue: str, moves: Sequence[Move]) -> int:
    made = 0
    async with opened(url) as application:
        for move in moves:
            lock = f"{queue}/{move.asset.id}"
            deferrer = application.configure_task(
                TASK, queue=queue, lock=lock, queueing_lock=lock, priority=priority_of(move)
            )
            try:
                await deferrer.defer_async(asset_id=move.asset.id)
                made += 1
            except exceptions.AlreadyEnqueued:
                continue
    return made


@dataclass(frozen=True)
class Waiting:
    """A job that waits: the recording asset it is for, and when it may be begun (UTC) if that is not now."""

    asset_id: str
    not_before: datetime | None = None


def waiting(url: SecretStr, outputs: StackOutputs) -> list[Waiting]:
    """The jobs of a stack that wait, in the order in which workers take them; changes nothing. Raises DatabaseError."""
    with connect(url) as connection, mapped():
        if connection.execute(_IS_MADE).fetchone() != (True,):
            return []  # nobody has enqueued anything yet
    return asyncio.run(_waiting(url, queue_of(outputs)))


async def _waiting(url: SecretStr, queue: str) -> list[Waiting]:
    async with opened(url) as application:
        jobs = list(await application.job_manager.list_jobs_async(queue=queue, task=TASK, status="todo"))
    jobs.sort(key=lambda job: (-job.priority, job.id))
    now = datetime.now(UTC)
    return [
        Waiting(str(job.task_kwargs["asset_id"]), job.scheduled_at if (job.scheduled_at or now) > now else None)
        for job in jobs
    ]


def queue_of(outputs: StackOutputs) -> str:
    """The name of a stack's queue, short as Postgres wants it: stacks that share a database do not see each other's."""
    place = f"{outputs.storage_provider.value}://{outputs.bucket_name}/{outputs.path_prefix}"
    return f"backfill-{hashlib.sha256(place.encode()).hexdigest()[:16]}"


def priority_of(move: Move) -> int:
    """Higher for what ends sooner, in seconds: Postgres' integer reaches to 2038 and beyond, counted from 2026."""
    since = int(move.ends.timestamp()) - 1_767_225_600 if move.ends else -_LATEST
    return -max(-_LATEST, min(_LATEST, since))


def _since(made_by: str) -> list[str]:
    """Procrastinate's own migrations after a version, in their order."""
    found = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    return [file.read_text(encoding="utf-8") for file in found if _parts(file.name.split("_")[0]) > _parts(made_by)]


def _parts(number: str) -> tuple[int, ...]:
    return tuple(int(part) for part in number.split(".") if part.isdigit())
