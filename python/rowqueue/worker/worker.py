"""`Worker`: what a program that runs jobs is written with."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from rowqueue.worker.connect import with_pooler_known
from rowqueue.worker.handlers import Function, Handler, mode_of
from rowqueue.worker.settings import Settings, default_name
from rowqueue.worker.shift import Shift
from rowqueue.worker.signals import stop_on_signal

_DSN_VARIABLES = ("ROWQUEUE_DSN", "DATABASE_URL")

Given = TypeVar("Given", bound=Function)


class Worker:
    """Claims jobs, runs their handlers, and reports how they ended.

    ::

        worker = Worker("postgresql://…")

        @worker.handler("export")
        async def export(job: Job) -> dict[str, str]:
            for page in range(1, 11):
                ...
                job.report_progress(page, 10, f"page {page} of 10")
            return {"exportUrl": "https://…"}

        worker.run()

    What a handler returns is the job's result, what it raises is the error of the attempt. Any
    number of workers may share a queue.
    """

    def __init__(
        self,
        dsn: str | None = None,
        *,
        queues: Sequence[str] = ("default",),
        concurrency: int = 10,
        name: str | None = None,
        lease: timedelta = timedelta(minutes=1),
        poll_interval: timedelta = timedelta(seconds=2),
        prefetch: int = 1000,
        shutdown_grace: timedelta = timedelta(seconds=30),
        cancel_grace: timedelta = timedelta(seconds=10),
        unknown_delay: timedelta = timedelta(seconds=30),
        max_abandoned_threads: int = 10,
        pooler: bool | None = None,
        watchdog: timedelta | None = timedelta(minutes=2),
    ) -> None:
        """Describes a worker; nothing is connected yet.

        Args:
            dsn: a connection string. If left out, ``ROWQUEUE_DSN``, then ``DATABASE_URL``, then
                libpq's own variables say where the database is.
            queues: the queues to take jobs from.
            concurrency: how many handlers run at once.
            name: who works here, for people to read; host, process and a random part if left out.
            lease: how long the database waits for a sign of life before it hands the jobs on.
            poll_interval: how often to look for jobs when no notification comes.
            prefetch: the most jobs to claim ahead of the handlers. How many really are depends
                on how fast these are; 0 claims none ahead.
            shutdown_grace: how long running handlers may go on after a stop. Coroutines are
                cancelled when a fifth of it is left, 5 seconds at the most, to clear up.
            cancel_grace: how long a handler may go on after its job was cancelled, before its
                coroutine is cancelled or its process killed.
            unknown_delay: for how long a job is given back whose type has no handler here.
            max_abandoned_threads: how many plain handlers may outlive their jobs before the
                worker winds up and `run` raises.
            pooler: whether a transaction pooler such as PgBouncer stands between. Then nothing
                is prepared, and polling alone finds jobs, for notifications don't come through.
                If left out, the worker finds out when it starts.
            watchdog: after how long without headway the process is ended, with exit code 70 and
                a line that says what hangs: an event loop that is blocked, a database that
                doesn't answer. None never ends it.

        Raises:
            ValueError: an argument is out of range.
        """
        self.dsn = dsn
        self._name = name
        self._settings = Settings(
            dsn=dsn or "",
            queues=queues if isinstance(queues, str) else tuple(queues),
            concurrency=concurrency,
            name=name or default_name(),
            lease=lease,
            poll_interval=poll_interval,
            prefetch=prefetch,
            shutdown_grace=shutdown_grace,
            cancel_grace=cancel_grace,
            unknown_delay=unknown_delay,
            max_abandoned_threads=max_abandoned_threads,
            pooler=pooler,
            watchdog=watchdog,
        )
        self._handlers: dict[str, Handler] = {}
        self._shift: Shift | None = None
        self._running = False
        self._stop_asked = False

    def handler(self, job_type: str, *, process: bool = False) -> Callable[[Given], Given]:
        """Registers the function below it as the handler of a job type.

        An ``async def`` runs on the event loop, a plain function on a thread, and either in a
        child process if `process` is true. Only a coroutine and a process can be stopped when
        the time is up: a thread goes on, though its job has failed.

        Args:
            job_type: the job type.
            process: whether it runs in a process of its own, which a job may crash or fill. The
                function must then be found by its name in its module, and in a script the call
                of `run` must stand under ``if __name__ == "__main__":``.

        Raises:
            ValueError: the job type has a handler already.
        """
        if job_type in self._handlers:
            raise ValueError(f"job type {job_type!r} has a handler already")

        def register(function: Given) -> Given:
            mode = mode_of(function, process=process)
            self._handlers[job_type] = Handler(job_type, function, mode)
            return function

        return register

    def run(self, *, burst: bool = False) -> None:
        """Works until it is stopped.

        On the main thread, SIGTERM and SIGINT stop it as `stop` does, and a second one ends the
        process at once, as that signal does by default.

        Args:
            burst: whether to return once nothing is due and nothing runs here. Jobs that are
                delayed, or that wait for another attempt, are not waited for.

        Raises:
            psycopg.Error: the database could not be reached at the start. Later, lost
                connections are opened again.
            TooManyAbandonedThreads: this process should be replaced.
        """
        self._stop_asked = False
        with stop_on_signal(self.stop), ExitStack() as afterwards:
            asyncio.run(self._work(burst, afterwards))

    async def run_async(self, *, burst: bool = False) -> None:
        """Does what `run` does, inside a running event loop and without minding signals.

        When the task that awaits it is cancelled, running handlers are stopped without a grace
        and their jobs released.
        """
        self._stop_asked = False
        with ExitStack() as afterwards:
            await self._work(burst, afterwards)

    async def _work(self, burst: bool, afterwards: ExitStack) -> None:
        """Works, under the eyes of a watchdog that stays until the stack is closed."""
        if self._running:
            raise RuntimeError("this worker is running already")
        for handler in self._handlers.values():
            handler.check()
        self._running = True
        try:
            settings = await with_pooler_known(
                replace(self._settings, dsn=self._where(), name=self._name or default_name())
            )
            shift = self._shift = Shift(settings, dict(self._handlers))
            afterwards.callback(shift.watchdog.stop)
            if self._stop_asked:  # while it was on its way
                shift.stop()
            await shift.work(burst=burst)
        finally:
            self._shift = None
            self._running = False

    @property
    def watchdog(self) -> timedelta | None:
        """After how long without headway its process is ended, if it is."""
        return self._settings.watchdog

    @property
    def running(self) -> bool:
        """Whether it is at work, or winding up."""
        return self._running

    def stop(self) -> None:
        """Lets running handlers end within `shutdown_grace`, and then `run` return.

        Jobs that have not started, or are not done by then, are released: their attempt is not
        used up. It may be called from any thread, and does nothing when the worker isn't running.
        """
        self._stop_asked = True
        if (shift := self._shift) is not None:
            shift.stop()

    def _where(self) -> str:
        if self.dsn is not None:
            return self.dsn
        return next((os.environ[name] for name in _DSN_VARIABLES if os.environ.get(name)), "")
