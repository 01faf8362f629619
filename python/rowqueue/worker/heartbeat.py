"""The heartbeat: leases, progress and `tick`, on a thread and a connection of their own.

It goes on while the event loop is blocked, so a handler that forgets to await costs its
neighbours time, not their leases.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import psycopg

from rowqueue import calls, client
from rowqueue.errors import RowqueueError
from rowqueue.worker.batch import progress_call, run_each
from rowqueue.worker.connect import Connection, connect
from rowqueue.worker.job import Job
from rowqueue.worker.outages import Outages
from rowqueue.worker.settings import Settings
from rowqueue.worker.watchdog import Watchdog

_STEP = 0.25
"""Seconds between two looks: progress is written four times a second at most."""

_LAST_STEP = 2.0
"""Seconds to wait for the thread at the end."""

_REPORTS_A_STEP = 200

_TICK_BUSY = 0.7
"""Seconds between two ticks while jobs run, here or elsewhere: a dead worker is soon missed."""

_TICK_IDLE = 5.0

_TICK_SHARED = timedelta(milliseconds=200)
"""How long the tick of one worker is enough for all."""

_TICK_NOW = 2000
"""Claims, of whichever workers, after which a tick is due at once.

A tick raises the floors, and what has been claimed since is what a claim has to walk over.
"""

_THREAD = "the heartbeat's thread"


class Heartbeat:
    """Keeps what a worker holds alive, and hears when something must stop.

    It hardly waits for a row that somebody has locked: that would cost all others their leases.
    Such a row is tried by itself from then on.
    """

    def __init__(
        self,
        settings: Settings,
        outages: Outages,
        held: dict[int, Job],
        notice: Callable[[Job, str], None],
        abort: Callable[[BaseException], None],
        watchdog: Watchdog,
    ) -> None:
        """Starts nothing yet.

        Args:
            settings: the worker's.
            outages: paces reconnecting.
            held: the jobs under lease, by token; others change it meanwhile.
            notice: called, on this thread, with a job and ``cancel`` or ``lost``.
            abort: called, on this thread, if the heartbeat itself breaks down.
            watchdog: is shown that the thread goes on.
        """
        self._settings = settings
        self._outages = outages
        self._held = held
        self._notice = notice
        self._abort = abort
        self._watchdog = watchdog
        self._period = settings.lease.total_seconds() / 3
        self._next_beat = time.monotonic() + self._period
        self._ticked_at = -math.inf
        self._ticked_token = 0
        self._others_run = True
        self._locked: set[int] = set()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rowqueue-heartbeat", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; one that is stuck in a dead connection is not waited for."""
        self._ending.set()
        self._watchdog.rest(_THREAD)
        if self._thread.is_alive():
            self._thread.join(timeout=_LAST_STEP)

    def _run(self) -> None:
        try:
            while not self._ending.is_set():
                self._show_life()
                try:
                    with connect(self._settings, "heartbeat", self._show_life) as connection:
                        self._work(connection)
                except psycopg.Error as error:
                    self._ending.wait(self._outages.delay("heartbeat", error))
        except BaseException as error:
            self._abort(error)

    def _show_life(self) -> None:
        if not self._ending.is_set():
            self._watchdog.sign(_THREAD)

    def _work(self, connection: Connection) -> None:
        while not self._ending.wait(min(_STEP, self._period)):
            self._show_life()
            now = time.monotonic()
            if now >= self._next_beat:
                self._extend_leases(connection, now)
                self._next_beat = now + self._period
            self._write_reports(connection)
            self._tick_if_due(connection, now)
            self._outages.over("heartbeat")

    def _extend_leases(self, connection: Connection, now: float) -> None:
        # A young lease can wait for the next beat: under load that is nearly all of them.
        old = now - self._period / 2
        jobs = [job for job in list(self._held.values()) if job.claimed_at <= old]
        free = [job for job in jobs if job.token not in self._locked]
        locked = [job for job in jobs if job.token in self._locked]
        if free and not self._extend(connection, free):
            locked = free + locked
        self._locked = {job.token for job in locked if not self._extend(connection, [job])}

    def _extend(self, connection: Connection, jobs: list[Job]) -> bool:
        """Extends leases with one call; false if somebody has locked one of the rows."""
        by_id = {job.id: job for job in jobs}
        call = calls.extend_leases(
            list(by_id), tokens=[job.token for job in jobs], lease=self._settings.lease
        )
        try:
            answers = client.run(connection, call)
        except psycopg.errors.LockNotAvailable:
            return False
        for answer in answers:
            if answer.outcome != "extended":
                self._tell(by_id[answer.id], answer.outcome)
        return True

    def _write_reports(self, connection: Connection) -> None:
        news = [
            (job, job.report) for job in list(self._held.values()) if job.report is not job.written
        ]
        if not news:
            return
        news = sorted(news[:_REPORTS_A_STEP], key=lambda one: one[0].id)
        answers = run_each(connection, [progress_call(job, report) for job, report in news])
        for (job, report), answer in zip(news, answers, strict=True):
            if isinstance(answer, psycopg.OperationalError):
                continue  # a locked row, for one: it is tried again
            job.written = report
            if isinstance(answer, RowqueueError):
                self._tell(job, "lost")
            elif isinstance(answer, psycopg.Error):
                job.refusal = str(answer)
            elif not answer:
                self._tell(job, "cancel")

    def _tick_if_due(self, connection: Connection, now: float) -> None:
        # Decided anew at every look: a worker whose jobs are quick often holds none just then.
        newest = max(list(self._held), default=self._ticked_token)
        quiet_for = now - self._ticked_at
        if newest - self._ticked_token < _TICK_NOW and quiet_for < (
            _TICK_BUSY if self._held or self._others_run else _TICK_IDLE
        ):
            return
        self._ticked_at, self._ticked_token = now, newest
        try:
            done = client.run(connection, calls.tick_every(_TICK_SHARED))
        except psycopg.Error as error:
            if connection.closed:
                raise
            self._outages.mention("tick", error)
        else:
            self._others_run = done is None or done.get("running", True)

    def _tell(self, job: Job, word: str) -> None:
        job.cancelled = True  # at once, even if the event loop is blocked
        self._notice(job, word)
