"""The package's own worker, with handlers that do all that handlers may do to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from rowqueue.worker import Job, Worker
from torture.history import Call, History
from torture.line import Line
from torture.observed import Observer
from torture.scene import QUEUES, Actor, Part, Scene

_FOLDER = "ROWQUEUE_TORTURE_HISTORIES"
_CONNECTIONS = 4
_EFFECT = "insert into torture.effects (job, token) values (%s, %s)"


class Hand(Actor):
    """What the handlers of one worker process share."""

    def __init__(self, scene: Scene, part: Part) -> None:
        """Connects straight to the server, or through the proxy: every second one."""
        super().__init__(scene, part)
        self._dsn = scene.dsn if part.number % 2 else scene.proxied
        self._spare: list[psycopg.AsyncConnection[Any]] = []
        self._lendable = asyncio.Semaphore(_CONNECTIONS)
        self._of_thread = threading.local()

    def worker(self) -> Worker:
        """Returns a worker with a handler for each job type that it is to know."""
        worker = Worker(
            self._dsn,
            name=self.part.process,
            queues=QUEUES,
            concurrency=20,
            prefetch=40,
            lease=self.scene.lease,
            poll_interval=timedelta(milliseconds=200),
            shutdown_grace=timedelta(seconds=5),
            cancel_grace=timedelta(seconds=1),
            unknown_delay=timedelta(seconds=1),
        )
        for name in ("plain", "progress", "flaky", "doomed", "timeout", "slow", "long"):
            worker.handler(name)(getattr(self, name))
        worker.handler("block")(self.block)
        worker.handler("poison")(self.poison)
        worker.handler("effect")(self.effect)
        worker.handler("effect_thread")(self.effect_thread)
        worker.handler("thread")(self.thread)
        worker.handler("child", process=True)(child)
        return worker

    def _run(self, job: Job) -> AbstractContextManager[Call]:
        return _run_of(self.history, job)

    async def plain(self, job: Job) -> None:
        """Does nothing."""
        with self._run(job):
            self.pass_by("running")

    async def progress(self, job: Job) -> None:
        """Reports how far it is, more often than that is written."""
        with self._run(job):
            for step in range(6):
                job.report_progress(step, 5, f"step {step}")
                await asyncio.sleep(0.05)

    async def flaky(self, job: Job) -> None:
        """Fails at first."""
        with self._run(job):
            if job.attempts <= job.payload["fails"]:
                raise RuntimeError("not yet")

    async def doomed(self, job: Job) -> None:
        """Fails."""
        with self._run(job):
            raise RuntimeError("never")

    async def timeout(self, job: Job) -> None:
        """Takes longer than it may."""
        with self._run(job):
            await asyncio.sleep(3 * job.timeout_ms / 1000)

    async def slow(self, job: Job) -> None:
        """Takes a while."""
        with self._run(job):
            await asyncio.sleep(0.5)

    async def long(self, job: Job) -> None:
        """Takes so long that its lease is renewed several times."""
        with self._run(job):
            await asyncio.sleep(2 * self.scene.lease.total_seconds())

    async def block(self, job: Job) -> None:
        """Holds up the event loop for longer than a lease: the heartbeat must not mind."""
        with self._run(job):
            self.history.note("fault", key="blocked_loop", target=self.part.process, job=job.id)
            time.sleep(1.1 * self.scene.lease.total_seconds())  # noqa: ASYNC251 - the fault itself

    async def poison(self, job: Job) -> None:
        """Kills its process."""
        with self._run(job):
            self.die("poison")

    async def effect(self, job: Job) -> None:
        """Completes in the transaction of its effect."""
        with self._run(job):
            async with self._connection() as connection:
                with self.history.call("complete", job=job.id, token=job.token):
                    await connection.execute(_EFFECT, [job.id, job.token])
                    self.history.note("effect", job=job.id, token=job.token)
                    self.pass_by("effect")
                    await job.complete_in(connection)
                    if self.meets_its_end("sent"):
                        self.die_committing(connection.pgconn)
                    await connection.commit()

    def effect_thread(self, job: Job) -> None:
        """Does the same on a thread."""
        with self._run(job):
            line: Line | None = getattr(self._of_thread, "line", None)
            if line is None:
                line = self._of_thread.line = Line(self._dsn, self._application, self.leaving)
            connection = line.get()
            with (
                self.history.call("complete", job=job.id, token=job.token),
                connection.transaction(),
            ):
                connection.execute(_EFFECT, [job.id, job.token])
                self.history.note("effect", job=job.id, token=job.token)
                job.complete_in(connection)

    def thread(self, job: Job) -> None:
        """Takes a moment, on a thread."""
        with self._run(job):
            time.sleep(0.002)

    @property
    def _application(self) -> str:
        return f"handler {self.part.process}"

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """Lends a connection; one on which something went wrong is not used again."""
        async with self._lendable:
            connection = (
                self._spare.pop()
                if self._spare
                else await psycopg.AsyncConnection.connect(
                    self._dsn, application_name=self._application
                )
            )
            try:
                yield connection
            except BaseException:
                await connection.close()
                raise
            self._spare.append(connection)


def _run_of(history: History, job: Job) -> AbstractContextManager[Call]:
    return history.call(
        "run",
        job=job.id,
        token=job.token,
        key=job.payload.get("key"),
        job_type=job.job_type,
        attempts=job.attempts,
        max_attempts=job.max_attempts,
    )


def child(job: Job) -> None:
    """Runs in a child process, which has a history of its own for each job."""
    with (
        History.open(Path(os.environ[_FOLDER]), f"child-{job.token}") as history,
        _run_of(history, job),
    ):
        time.sleep(0.01)


def play(scene: Scene, part: Part) -> None:
    """Runs a worker's life."""
    os.environ[_FOLDER] = str(scene.folder)
    hand = Hand(scene, part)
    Observer(hand).install()
    with contextlib.suppress(psycopg.OperationalError):  # at the start: the next life tries again
        hand.worker().run()
