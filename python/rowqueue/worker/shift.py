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
from rowqueue.worker.connect import CLAIMS, Line, ListeningLine
from rowqueue.worker.finish import Finisher
from rowqueue.worker.handlers import Handler, Mode
from rowqueue.worker.heartbeat import Heartbeat
from rowqueue.worker.job import Job
from rowqueue.worker.limits import Limits
from rowqueue.worker.lull import StopSignal
from rowqueue.worker.outages import Outages
from rowqueue.worker.run import STOP_GRACE, Runner
from rowqueue.worker.settings import Settings
from rowqueue.worker.threads import TooManyAbandonedThreads
from rowqueue.worker.watchdog import Watchdog

logger = logging.getLogger("rowqueue")

_LAST_WRITES = 2.0
"""Seconds beyond the grace for a database that is out of reach to take the last outcomes."""

_LEAST_GRACE = 0.25
"""Seconds for what was cancelled to clear up, even without a grace."""

_OVERTIME = 10.0
"""Seconds beyond the grace after which an end that doesn't come is brought about."""

_FAREWELL = 2.0
"""The same, after all has been written: handlers that were left to themselves may not let go."""

_END = "the shutdown"


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
        self.watchdog = Watchdog(settings.name, settings.watchdog)
        self._claim_line = ListeningLine(settings, "claim", self.watchdog)
        self._finish_line = Line(settings, "finish", self.watchdog)
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
            self.watchdog,
        )

    def stop(self) -> None:
        """Ends the shift: nothing more is begun, what runs has its grace. From any thread."""
        self._watch_end()  # at once: the event loop may be blocked
        self._from_thread(self._stop_as_asked)

    def _stop_as_asked(self) -> None:
        self._asked_to_stop = True
        self._begin_no_more()

    def abort(self, error: BaseException) -> None:
        """Ends the shift, which then raises `error`."""
        self._error = self._error or error
        self._begin_no_more()

    def _watch_end(self) -> None:
        within = self._settings.shutdown_grace.total_seconds() + _OVERTIME
        self.watchdog.sign(_END, within=within)

    def _turn(self) -> None:
        """Tells the watchdog, at a turn of the loop, whether there should be claims."""
        if self._stop.is_set():
            self.watchdog.rest(CLAIMS)
        elif self._runner.load or self._finisher.unwritten:
            self._claim_line.show_claims()

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
        self.watchdog.start(self._turn)
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
            self.watchdog.sign(_END, within=_FAREWELL)
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
        await self._finish_line.connection()
        connection = await self._claim_line.connection()
        version = await client.run_async(connection, calls.version())
        logger.info(
            "worker %s starting: queues %s, concurrency %d, polling every %d ms, schema %s",
            settings.name,
            ", ".join(settings.queues),
            settings.concurrency,
            settings.poll_interval.total_seconds() * 1000,
            version,
        )
        if settings.pooler:
            logger.info(
                "worker %s: a pooler in transaction mode stands in between: LISTEN hears nothing"
                " there, so that polling finds jobs",
                settings.name,
            )

    async def _wind_up(self, claiming: asyncio.Task[None], grace: float) -> None:
        """Sees through what is under way, and gives back the rest."""
        runner, settings = self._runner, self._settings
        self._begin_no_more()
        self._watch_end()
        if runner.running:
            logger.info(
                "worker %s stopping: %d jobs have %g s to end",
                settings.name,
                len(runner.running),
                grace,
            )
        clearing_up = max(_LEAST_GRACE, min(STOP_GRACE, grace / 5))
        end = self._loop.time() + max(grace, clearing_up)
        all_done = asyncio.create_task(self._all_done(claiming))
        await asyncio.wait({all_done}, timeout=max(0, grace - clearing_up))
        self._stop_running(Mode.COROUTINE)
        await asyncio.wait({all_done}, timeout=end - self._loop.time())
        self._stop_running(Mode.THREAD, Mode.PROCESS)
        await asyncio.wait({all_done}, timeout=_LEAST_GRACE if runner.running else 0)
        for attempt in list(runner.running.values()):
            runner.give_up(attempt)
        all_done.cancel()  # a claim may hang on a database that has fallen silent
        if self._finishing.done():  # it was cancelled, along with everything else
            await self._finish_line.close()
            self._finishing = self._in_background(self._finisher.run())
        await _at_most(max(_LAST_WRITES, end - self._loop.time()), self._finisher.flushed())
        if self._finisher.unwritten:
            logger.error(
                "worker %s: %d outcomes could not be written; those jobs will run again",
                settings.name,
                self._finisher.unwritten,
            )

    async def _all_done(self, claiming: asyncio.Task[None]) -> None:
        """Returns once no claim is under way and no job is here."""
        await asyncio.gather(claiming, return_exceptions=True)
        await self._runner.idle()

    def _stop_running(self, *modes: Mode) -> None:
        for attempt in list(self._runner.running.values()):
            if attempt.handler.mode in modes:
                self._runner.stop(attempt, Stop.SHUTDOWN)

    async def _close(self) -> None:
        await asyncio.to_thread(self._heartbeat.stop)
        self._runner.close()
        await self._claim_line.close()
        await self._finish_line.close()
        logger.info("worker %s stopped", self._settings.name)


async def _at_most(seconds: float, something: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(something, seconds)
