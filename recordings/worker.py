"""`recordings worker`: takes jobs from the queue and moves their recordings, beside any number of others elsewhere.

Owns the life of a worker: what a job is, when it is tried again, taking over the jobs of workers that are gone, ending.
The moving itself is `recordings.backfill`, which leaves a cut copy to whoever gets the job next.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import procrastinate
from procrastinate.jobs import Job
from pydantic import SecretStr

from recordings.backfill.mover import Mover, Outcome, Result
from recordings.backfill.moves import Move, find
from recordings.backfill.planning import Workshop
from recordings.backfill.queue import TASK, opened, prepare, queue_of
from recordings.errors import CheckFailedError, ConflictError, NotDueError, ObjectNotFoundError, RecordingsError
from recordings.paths import Home

JOBS_AT_ONCE: Final = 4
"""As many as parts are in flight: small recordings have one part each."""
_TRIES: Final = 8
_LONGEST_WAIT: Final = 900
_POLL: Final = 2.0
_OPEN: Final = ("todo", "doing")
_HOPELESS: Final = (CheckFailedError, ConflictError, ObjectNotFoundError)
"""Another try changes nothing: it is told at once, while there are days left."""


@dataclass(frozen=True)
class Ended:
    """What became of a job: the outcome, or why its recording cannot be moved; `again` if it is tried again."""

    asset_id: str
    outcome: Outcome | None
    reason: str = ""
    again: bool = False


class JobError(RecordingsError):
    """The job failed; `cause` is why."""

    def __init__(self, cause: RecordingsError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _Again(procrastinate.BaseRetryStrategy):
    """Eight tries, waiting twice as long each time; a worker that ends, or meets another, costs none."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> procrastinate.RetryDecision | None:
        if not isinstance(exception, JobError):
            return None
        if isinstance(exception.cause, NotDueError):
            return procrastinate.RetryDecision(retry_at=max(exception.cause.until, datetime.now(UTC)))
        if not is_tried_again(exception.cause, job.attempts):
            return None
        wait = min(_LONGEST_WAIT, 2 ** (job.attempts + 1))
        return procrastinate.RetryDecision(retry_at=datetime.now(UTC) + timedelta(seconds=wait))


def is_tried_again(error: RecordingsError, attempts: int) -> bool:
    """Whether a job that failed so, after this many earlier tries, gets another."""
    return attempts + 1 < _TRIES and not isinstance(error, _HOPELESS)


class Worker:
    """One worker of a stack's queue; `ended` is told of each try of a job.

    A worker that gives no sign of life for `dead_after` seconds is taken for gone, and its jobs go to the others.
    """

    def __init__(
        self, workshop: Workshop, url: SecretStr, *, dead_after: float, ended: Callable[[Ended], None]
    ) -> None:
        self._workshop, self._url, self._dead_after, self._ended = workshop, url, dead_after, ended
        self._queue = queue_of(workshop.outputs)
        workshop.lease = dead_after
        logging.getLogger("procrastinate").setLevel(logging.CRITICAL)  # what there is to say is told by `ended`
        self._ending = asyncio.Event()

    def run(self, *, until_empty: bool) -> None:
        """Work until it is told to end (SIGINT, SIGTERM), or until no job is left. Raises DatabaseError."""
        prepare(self._url)
        with self._workshop.mover() as mover:
            asyncio.run(self._run(mover, until_empty))

    async def _run(self, mover: Mover, until_empty: bool) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._end, mover)
        async with opened(self._url) as application:
            self._add_task(application, mover)
            working = asyncio.create_task(
                application.run_worker_async(
                    queues=[self._queue],
                    concurrency=JOBS_AT_ONCE,
                    fetch_job_polling_interval=_POLL,
                    listen_notify=False,
                    install_signal_handlers=False,
                    delete_jobs="successful",
                    update_heartbeat_interval=self._dead_after / 4,
                    stalled_worker_timeout=self._dead_after,
                )
            )
            await self._watch(application, working, until_empty)

    async def _watch(self, application: procrastinate.App, working: asyncio.Task[None], until_empty: bool) -> None:
        """Take over what others have left, until there is an end."""
        try:
            while not working.done() and not self._ending.is_set():
                for job in await application.job_manager.get_stalled_jobs(
                    queue=self._queue, seconds_since_heartbeat=self._dead_after
                ):
                    await application.job_manager.retry_job(job)
                if until_empty and not await self._is_any_left(application):
                    break
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._ending.wait(), _POLL / 2)
        finally:
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working

    async def _is_any_left(self, application: procrastinate.App) -> bool:
        for status in _OPEN:
            if list(await application.job_manager.list_jobs_async(queue=self._queue, status=status)):
                return True
        return False

    def _end(self, mover: Mover) -> None:
        mover.stop()
        self._ending.set()

    def _add_task(self, application: procrastinate.App, mover: Mover) -> None:
        @application.task(name=TASK, retry=_Again(), pass_context=True)
        async def move(context: Any, *, asset_id: str) -> None:
            outcome, last_day = None, None
            try:
                found = await asyncio.to_thread(self._find, asset_id)
                if found is not None:
                    last_day = found.last_day
                    outcome = await asyncio.wrap_future(mover.submit(found))
                    if outcome.error is not None:
                        raise outcome.error
            except RecordingsError as error:
                again = isinstance(error, NotDueError) or is_tried_again(error, context.job.attempts)
                until = f"; 100ms deletes it after {last_day}" if last_day else ""
                self._ended(Ended(asset_id, outcome, f"{error}{until}", again))
                raise JobError(error) from None
            self._ended(Ended(asset_id, outcome))

    def _find(self, asset_id: str) -> Move | None:
        """What is to be done now, by what 100ms says now; None if it is done. Raises RecordingsError."""
        home = Home.of(self._workshop.outputs)
        found = find([self._workshop.hms.recording_asset(asset_id)], home, datetime.now(UTC))
        if found.unmovable:
            raise CheckFailedError(found.unmovable[0].reason)
        if found.deleted:
            raise CheckFailedError("100ms has deleted it: it keeps recordings for 15 days")
        return next(iter(self._workshop.left(found.moves)), None)


def moved(ended: Ended) -> bool:
    """Whether this try moved a recording."""
    return ended.outcome is not None and ended.outcome.result is Result.MOVED
