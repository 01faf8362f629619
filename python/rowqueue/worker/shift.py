"""One run of a worker, from the first connection to the last outcome written."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from rowqueue import calls, client
from rowqueue.worker.attempt import Stop
from rowqueue.worker.claim import Claimer
from rowqueue.worker.connect import Line, ListeningLine, Outages
from rowqueue.worker.finish import Finisher
from rowqueue.worker.handlers import Handler
from rowqueue.worker.heartbeat import Heartbeat
from rowqueue.worker.job import Job
from rowqueue.worker.limits import Limits
from rowqueue.worker.lull import StopSignal
from rowqueue.worker.run import STOP_GRACE, Runner
from rowqueue.worker.settings import Settings
from rowqueue.worker.threads import TooManyAbandonedThreads

logger = logging.getLogger("rowqueue")

_LAST_WRITES = 10.0
"""Seconds at the end for the database to take the last outcomes, should it be out of reach."""


class Shift:
    """Claimer, runner and finisher at work together, with a heartbeat beside them."""

    def __init__(self, settings: Settings, handlers: Mapping[str, Handler]) -> None:
        """Connects the parts; must be called on a running event loop."""
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._stop = StopSignal()
        self._error: BaseException | None = None
        self._asked_to_stop = False
        outages = Outages(settings.name)
        held: dict[int, Job] = {}
        self._claim_line = ListeningLine(settings, "claim")
        self._finish_line = Line(settings, "finish")
        self._finisher = Finisher(self._finish_line, outages, held)
        self._runner = Runner(settings, handlers, self._finisher, self.abort)
        self._limits = Limits(self._runner)
        self._claimer = Claimer(
            settings, self._claim_line, outages, held, self._runner, self._finisher, self._stop
        )
        self._heartbeat = Heartbeat(
            settings,
            outages,
            held,
            lambda job, word: self._from_thread(self._runner.notice, job, word),
            lambda error: self._from_thread(self.abort, error),
        )

    def stop(self) -> None:
        """Ends the shift: nothing more is begun, what runs has its grace. From any thread."""
        self._from_thread(self._stop_as_asked)

    def _stop_as_asked(self) -> None:
        self._asked_to_stop = True
        self._begin_no_more()

    def abort(self, error: BaseException) -> None:
        """Ends the shift, which then raises `error`."""
        self._error = self._error or error
        self._begin_no_more()

    def _begin_no_more(self) -> None:
        self._stop.set()
        self._runner.changed.set()
        self._runner.give_back_waiting()

    def _from_thread(self, callback: Callable[..., None], *args: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the shift is over
            self._loop.call_soon_threadsafe(callback, *args)

    async def work(self, *, burst: bool) -> None:
        """Works until it is stopped; in a burst, until there is nothing left to do.

        Raises:
            psycopg.Error: the database could not be reached at the start.
            TooManyAbandonedThreads: the process should be replaced.
        """
        grace = self._settings.shutdown_grace.total_seconds()
        try:
            await self._greet()
            self._heartbeat.start()
            self._finishing = self._in_background(self._finisher.run())
            limiting = self._in_background(self._limits.run())
            claiming = asyncio.create_task(self._claimer.run(burst=burst))
            try:
                await asyncio.shield(claiming)
            except asyncio.CancelledError:
                grace = 0
                raise
            finally:
                await self._wind_up(claiming, grace)
                limiting.cancel()
                self._finishing.cancel()
        finally:
            await self._close()
        if self._error is not None and not (
            # Who wanted an end wants no replacement.
            self._asked_to_stop and isinstance(self._error, TooManyAbandonedThreads)
        ):
            raise self._error

    def _in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Starts what goes on beside the claims; should it break down, the shift ends."""

        def look(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                self.abort(error)

        task = asyncio.create_task(work)
        task.add_done_callback(look)
        return task

    async def _greet(self) -> None:
        settings = self._settings
        connection = await self._claim_line.connection()
        await self._finish_line.connection()
        version = await client.run_async(connection, calls.version())
        logger.info(
            "worker %s starting: queues %s, concurrency %d, polling every %d ms, schema %s",
            settings.name,
            ", ".join(settings.queues),
            settings.concurrency,
            settings.poll_interval.total_seconds() * 1000,
            version,
        )

    async def _wind_up(self, claiming: asyncio.Task[None], grace: float) -> None:
        """Sees through what is under way, and gives back the rest."""
        runner = self._runner
        self._begin_no_more()
        await asyncio.gather(claiming, return_exceptions=True)
        if runner.running:
            logger.info(
                "worker %s stopping: %d jobs have %g s to end",
                self._settings.name,
                len(runner.running),
                grace,
            )
        await _at_most(grace, runner.idle())
        for attempt in list(runner.running.values()):
            runner.stop(attempt, Stop.SHUTDOWN)
        await _at_most(STOP_GRACE, runner.idle())
        for attempt in list(runner.running.values()):
            runner.give_up(attempt)
        if self._finishing.done():  # it was cancelled, along with everything else
            await self._finish_line.close()
            self._finishing = self._in_background(self._finisher.run())
        await _at_most(_LAST_WRITES, self._finisher.flushed())
        if self._finisher.unwritten:
            logger.error(
                "worker %s: %d outcomes could not be written; those jobs will run again",
                self._settings.name,
                self._finisher.unwritten,
            )

    async def _close(self) -> None:
        await asyncio.to_thread(self._heartbeat.stop)
        self._runner.close()
        await self._claim_line.close()
        await self._finish_line.close()
        logger.info("worker %s stopped", self._settings.name)


async def _at_most(seconds: float, something: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(something, seconds)
