"""The third step of a job here: its outcome is written.

Outcomes gather while those before them are on their way, and go out together: at low load each
at once; under load after a short pause, up to hundreds in one statement.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import scalar_row

from rowqueue import calls, client
from rowqueue.calls import Call
from rowqueue.errors import NotStorable, RowqueueError
from rowqueue.worker.batch import progress_call, run_each_async
from rowqueue.worker.connect import AsyncConnection, Line
from rowqueue.worker.job import Job
from rowqueue.worker.outages import Outages
from rowqueue.worker.outcome import Completed, Failed, Outcome, Released, Settled, describe

logger = logging.getLogger("rowqueue")

_MOST = 1000
"""Outcomes that go out together."""

_PAUSE = 0.005
"""Seconds between two flushes under load, which is when outcomes have come in company."""

_ENOUGH = 300
"""Outcomes that need not wait for more."""

_TRIES = 20
"""How often a report is tried that fails for a reason of its own, such as a locked row."""

Ended = tuple[Job, Outcome]


class Finisher:
    """Writes outcomes, over and over until the database has them.

    A batch that was interrupted is sent again: what had arrived reads as done already.
    """

    def __init__(self, line: Line, outages: Outages, held: dict[int, Job]) -> None:
        """Sends nothing yet.

        Args:
            line: the connection to use.
            outages: paces reconnecting.
            held: the jobs under lease, by token; a job leaves it when its outcome is written.
        """
        self._line = line
        self._outages = outages
        self._held = held
        self._due: list[Ended] = []
        self._sending: list[Ended] = []
        self._tries: dict[int, int] = {}
        self._refusal: psycopg.Error | None = None
        self._arrived = asyncio.Event()
        self._sent = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def add(self, job: Job, outcome: Outcome) -> None:
        """Takes an outcome to be written."""
        self._due.append((job, outcome))
        self._arrived.set()
        self._empty.clear()

    async def flushed(self) -> None:
        """Returns once all outcomes are written."""
        await self._empty.wait()

    @property
    def unwritten(self) -> int:
        """How many outcomes are not written yet."""
        return len(self._due) + len(self._sending)

    @property
    def behind(self) -> bool:
        """Whether so many outcomes are unwritten that more jobs would only add to them."""
        return self.unwritten > 2 * _MOST

    async def caught_up(self) -> None:
        """Returns once it is not behind."""
        while self.behind:
            self._sent.clear()
            await self._sent.wait()

    async def run(self) -> None:
        """Writes outcomes until it is cancelled."""
        while True:
            await self._arrived.wait()
            while self._sending or self._due:
                if not self._sending:  # else this is a new run, after one that was cut off
                    self._sending, self._due = self._due[:_MOST], self._due[_MOST:]
                await self._send(self._sending)
                under_load = len(self._sending) > 1
                self._sending = []
                self._sent.set()
                if self._refusal:
                    await asyncio.sleep(self._outages.delay(self._line.purpose, self._refusal))
                    self._refusal = None
                elif under_load and len(self._due) < _ENOUGH:
                    await asyncio.sleep(_PAUSE)
            self._arrived.clear()
            self._empty.set()

    async def _send(self, batch: list[Ended]) -> None:
        while True:
            try:
                connection = await self._line.connection()
                await self._write(connection, batch)
            except psycopg.Error as error:
                await self._line.close()
                await asyncio.sleep(self._outages.delay(self._line.purpose, error))
            else:
                self._outages.over(self._line.purpose)
                return

    async def _write(self, connection: AsyncConnection, batch: list[Ended]) -> None:
        reports: list[Job] = []
        completed: list[Ended] = []
        others: list[Ended] = []
        for job, outcome in batch:
            if job.token not in self._held:
                continue  # this batch was interrupted; that much of it had been written
            if isinstance(outcome, Settled):
                self._forget(job, outcome.reason)
                continue
            if job.report is not job.written:
                reports.append(job)
            (completed if isinstance(outcome, Completed) else others).append((job, outcome))
        if reports:
            await self._write_reports(connection, reports)
        if completed:
            await self._complete(connection, completed)
        if others:
            await self._write_each(connection, others)

    async def _write_reports(self, connection: AsyncConnection, jobs: list[Job]) -> None:
        """Writes the last progress of jobs that are about to end."""
        jobs.sort(key=_lock_order)
        answers = await run_each_async(connection, [progress_call(job, job.report) for job in jobs])
        for job, answer in zip(jobs, answers, strict=True):
            job.written = job.report
            if isinstance(answer, psycopg.Error) and not isinstance(answer, RowqueueError):
                logger.warning("%s: its last progress report was refused: %s", job.id, answer)

    async def _complete(self, connection: AsyncConnection, ended: list[Ended]) -> None:
        results = [outcome.result for _, outcome in ended if isinstance(outcome, Completed)]
        call = calls.complete_many(
            [job.id for job, _ in ended],
            tokens=[job.token for job, _ in ended],
            results=results if any(result is not None for result in results) else None,
        )
        try:
            lost = await client.run_async(connection, _only_lost(call))
        except psycopg.Error:
            if connection.closed:
                raise
            await self._write_each(connection, ended)  # one of them spoils it for all
            return
        for job, _ in ended:
            if lost and job.id in lost:
                self._forget(job, "lost its lease or has a result that cannot be stored")
            else:
                self._forget(job, "completed", logging.DEBUG)

    async def _write_each(self, connection: AsyncConnection, ended: list[Ended]) -> None:
        ended.sort(key=lambda one: _lock_order(one[0]))
        answers = await run_each_async(connection, [_call(job, how) for job, how in ended])
        for (job, outcome), answer in zip(ended, answers, strict=True):
            if isinstance(answer, psycopg.Error):
                self._refused(job, outcome, answer)
            else:
                self._forget(job, _words(job, outcome, answer))

    def _refused(self, job: Job, outcome: Outcome, error: psycopg.Error) -> None:
        """Decides what becomes of an outcome that the database did not take."""
        tries = self._tries[job.token] = self._tries.get(job.token, 0) + 1
        if isinstance(outcome, Completed) and isinstance(error, NotStorable | psycopg.DataError):
            self.add(job, Failed(describe(error)))
        elif isinstance(error, RowqueueError):
            self._forget(job, f"has nothing to report any more: {describe(error)}")
        elif isinstance(error, psycopg.OperationalError) and not isinstance(
            error, psycopg.errors.LockNotAvailable
        ):
            # No room, a statement_timeout, a serialization failure: not the job's doing. It is
            # tried for as long as its lease lives, with pauses.
            self._tries.pop(job.token)
            self._refusal = error
            self.add(job, outcome)
        elif tries < _TRIES:
            self.add(job, outcome)
        else:
            self._forget(job, f"is left to the end of its lease: {describe(error)}", logging.ERROR)

    def _forget(self, job: Job, words: str, level: int = logging.INFO) -> None:
        logger.log(level, "%s %s", job.id, words)
        self._held.pop(job.token, None)
        if self._tries:
            self._tries.pop(job.token, None)


def _lock_order(job: Job) -> UUID:
    return job.id


def _only_lost(call: Call[Any]) -> Call[set[UUID]]:
    """Returns a call of complete_many that answers with the ids of the jobs that were lost.

    They are few, and reading an answer for each of the others takes its time.
    """
    return Call(
        f"select id from ({call.sql}) as answer where outcome = 'lost'",
        call.params,
        scalar_row,
        set,
    )


def _call(job: Job, outcome: Outcome) -> Call[Any]:
    match outcome:
        case Completed(result):
            return calls.complete(job.id, token=job.token, result=result)
        case Failed(error):
            return calls.fail_with_backoff(job.id, token=job.token, error=error)
        case Released(delay):
            return calls.release(job.id, token=job.token, delay=delay)
        case Settled():
            raise AssertionError("there is nothing to report")


def _words(job: Job, outcome: Outcome, status: str | None) -> str:
    match outcome:
        case Failed(error):
            reason = "".join(char if char.isprintable() else " " for char in error[:200])
            return f"is {status} after attempt {job.attempts} of {job.max_attempts}: {reason}"
        case Released(delay):
            return f"is released, to run after {delay.total_seconds():g} s"
        case _:
            return "completed"
