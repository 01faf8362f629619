"""The first step of a job here: it is claimed."""

from __future__ import annotations

import asyncio
import logging
import time

import psycopg
from psycopg.rows import args_row

from rowqueue import calls, client
from rowqueue.calls import Call
from rowqueue.errors import IdentityUnconfirmed
from rowqueue.worker.connect import AsyncConnection, Line
from rowqueue.worker.finish import Finisher
from rowqueue.worker.job import Job
from rowqueue.worker.lull import Lull, StopSignal
from rowqueue.worker.outages import Outages
from rowqueue.worker.prefetch import Prefetch
from rowqueue.worker.run import Runner
from rowqueue.worker.settings import MAX_CLAIM, Settings

logger = logging.getLogger("rowqueue")

_UNCONFIRMED = 10.0
"""Seconds between two claims in a copy of the database, until a person has confirmed it."""


class Claimer:
    """Claims jobs as there is room for them, and waits when there are none."""

    def __init__(
        self,
        settings: Settings,
        line: Line,
        outages: Outages,
        held: dict[int, Job],
        runner: Runner,
        finisher: Finisher,
        stop: StopSignal,
    ) -> None:
        """Claims nothing yet.

        Args:
            settings: the worker's.
            line: the connection to use.
            outages: paces reconnecting.
            held: the jobs under lease, by token; a claimed job enters it.
            runner: takes the jobs.
            finisher: takes back those that cannot run.
            stop: ends `run`; a claim under way is seen through. Whoever sets it sets
                `runner.changed`, too.
        """
        self._settings = settings
        self._line = line
        self._outages = outages
        self._held = held
        self._runner = runner
        self._finisher = finisher
        self._stop = stop
        self._lull = Lull(settings, stop)
        self._prefetch = Prefetch(settings.prefetch)
        self._unconfirmed = False

    async def run(self, *, burst: bool) -> None:
        """Claims until it is stopped; in a burst, until there is nothing left to do.

        Raises:
            psycopg.Error: the very first claim failed. Later, losses are made good.
            IdentityUnconfirmed: this is a copy of the database, and a burst would never end.
        """
        proven = False
        while room := await self._room():
            quiet = self._quiet
            try:
                connection = await self._line.connection()
                jobs = await self._claim(connection, room)
                proven = True
                self._confirmed()
                self._outages.over(self._line.purpose)
                if jobs:
                    await self._hand_over(jobs)
                    if len(jobs) < room:  # no more are due, so these may start before the next look
                        await asyncio.sleep(0)
                    await self._lull.over(connection)
                elif not burst:
                    await self._lull.wait(connection)
                elif quiet:
                    return
                else:
                    await self._stop.or_(self._something_left())
            except IdentityUnconfirmed as error:
                if burst:
                    raise
                proven = True
                self._doubt(error)
                await self._stop.or_(asyncio.sleep(_UNCONFIRMED))
            except psycopg.Error as error:
                if not proven:
                    raise
                await self._line.close()
                await self._stop.or_(asyncio.sleep(self._outages.delay(self._line.purpose, error)))

    def _doubt(self, error: IdentityUnconfirmed) -> None:
        if not self._unconfirmed:
            name, hint = self._settings.name, error.diag.message_hint
            logger.error("worker %s: %s. %s", name, error.diag.message_primary, hint)
        self._unconfirmed = True

    def _confirmed(self) -> None:
        if self._unconfirmed:
            logger.info("worker %s: this database is confirmed", self._settings.name)
        self._unconfirmed = False

    @property
    def _quiet(self) -> bool:
        """Whether no job is here and no outcome unwritten."""
        return not self._runner.load and not self._finisher.unwritten

    async def _something_left(self) -> None:
        """Returns once a job has left, or all outcomes are written."""
        if self._runner.load:
            self._runner.changed.clear()
            await self._runner.changed.wait()
        else:
            await self._finisher.flushed()

    async def _all_left(self) -> bool:
        """Returns true once no job is here and no outcome unwritten."""
        await self._runner.idle()
        await self._finisher.flushed()
        return True

    async def _room(self) -> int:
        """Returns how many jobs to claim, once that is worth it; 0 when it is to stop.

        A claim of one job says that it runs alone: should its worker die, the job is charged for
        it. So where others run beside it, at least two are claimed, and the one too many waits.
        """
        runner, concurrency = self._runner, self._settings.concurrency
        while not self._stop.is_set():
            if self._finisher.behind:
                await self._stop.or_(self._finisher.caught_up())
                continue
            ahead = self._prefetch.target(runner.ended)
            room = concurrency + ahead - runner.load
            if room > 0 and len(runner.waiting) <= ahead // 2:
                if concurrency == 1 and not runner.load and not ahead:
                    await self._stop.or_(self._all_left())
                    return 0 if self._stop.is_set() else 1
                return min(max(room, 2), MAX_CLAIM)
            runner.changed.clear()
            await runner.changed.wait()
        return 0

    async def _claim(self, connection: AsyncConnection, room: int) -> list[Job]:
        settings = self._settings
        call = calls.claim_next(
            settings.name, queues=settings.queues, max_jobs=room, lease=settings.lease
        )
        now = time.monotonic()  # before the database's own idea of the claim's time
        # Each row becomes a `Job` without a detour: this runs for every job.
        jobs = await client.run_async(
            connection, Call(call.sql, call.params, args_row(Job), list[Job])
        )
        for job in jobs:
            job.claimed_at = now
            self._held[job.token] = job
        return jobs

    async def _hand_over(self, jobs: list[Job]) -> None:
        if jobs[0].alone:
            await self._run_alone(jobs[0])
        else:
            self._take(jobs)

    def _take(self, jobs: list[Job]) -> None:
        if self._stop.is_set():
            for job in jobs:
                self._runner.give_back(job)
        else:
            self._runner.accept(jobs)

    async def _run_alone(self, job: Job) -> None:
        """Runs a job that may kill the process, when there is nothing else in it to suffer."""
        self._runner.give_back_waiting()
        half_its_time = job.timeout_ms / 2000
        if await self._stop.or_(self._all_left(), within=half_its_time):
            self._take([job])
            await self._stop.or_(self._all_left())
        else:
            self._runner.give_back(job)
