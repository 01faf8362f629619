"""Running a worker by its name, as one process or as several under a supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import time

import psycopg

from rowqueue.worker.signals import SIGNALS
from rowqueue.worker.target import TargetError, find_worker
from rowqueue.worker.threads import TooManyAbandonedThreads
from rowqueue.worker.watchdog import guard_interpreter
from rowqueue.worker.worker import Worker

logger = logging.getLogger("rowqueue")

OK = 0
WRONG_USAGE = 2
NO_DATABASE = 3

_LEASH = "ROWQUEUE_SUPERVISOR_FD"
"""In a child's environment: a pipe that its supervisor holds open while the child is to work."""

_FIRST_PAUSE = 0.5
_LAST_PAUSE = 30.0
_LONG_LIFE = 60.0
"""Seconds after which a child that dies is restarted as if it were the first time."""


def supervise(target: str, processes: int = 1, burst: bool = False, dsn: str | None = None) -> int:
    """Runs the worker ``MODULE:WORKER`` until it is stopped, and says on stderr what it does.

    One process means this one. It replaces itself when too many of its threads are abandoned.
    More are children of this one, which starts anew those that die.

    Args:
        target: the worker, as ``package.module:attribute``.
        processes: how many.
        burst: whether to return once nothing is due.
        dsn: the database, in place of the one that the worker was made with.

    Returns:
        An exit code: 0 done, 2 there is no such worker, 3 the database is out of reach; 128 and
        the signal's number after a second SIGTERM or SIGINT. (A worker that has come to a
        standstill ends its process with 70.)
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s [%(name)s] %(message)s")
    try:
        worker = find_worker(target)
    except TargetError as error:
        return _give_up(WRONG_USAGE, str(error))
    if processes > 1:
        return asyncio.run(_Supervisor(target, burst=burst, dsn=dsn).run(processes))
    if dsn:
        worker.dsn = dsn
    return _work(worker, burst=burst)


def _work(worker: Worker, *, burst: bool) -> int:
    if leash := os.environ.get(_LEASH):
        threading.Thread(target=_heel, args=(worker, int(leash)), daemon=True).start()
    if worker.watchdog is not None:
        guard_interpreter(worker.watchdog)
    try:
        worker.run(burst=burst)
    except ValueError as error:
        return _give_up(WRONG_USAGE, str(error))
    except (psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedFunction):
        return _give_up(NO_DATABASE, "this database has no rowqueue schema: run rowqueue migrate")
    except psycopg.Error as error:
        return _give_up(NO_DATABASE, str(error))
    except TooManyAbandonedThreads as error:
        logger.warning("%s: this process starts anew", error)
        logging.shutdown()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    return OK


def _heel(worker: Worker, leash: int) -> None:
    """Stops the worker once its supervisor lets go of the leash, or is gone."""
    os.read(leash, 1)
    while True:
        worker.stop()
        time.sleep(0.1)  # it may not have begun yet


def _give_up(code: int, message: str) -> int:
    sys.stderr.write(f"rowqueue: {' '.join(message.split())}\n")
    return code


class _Supervisor:
    """Keeps some children alive, each the command ``rowqueue worker`` with one process."""

    def __init__(self, target: str, *, burst: bool, dsn: str | None) -> None:
        self._command = [sys.executable, "-m", "rowqueue", "worker", target]
        if burst:
            self._command.append("--burst")
        self._burst = burst
        # The children hold the far end of this pipe, which is never written to. That it closes
        # stops them, and it does so in whatever way this process ends. They are not stopped with a
        # signal: where a service manager signals all processes of a unit, it would be their second.
        self._leash, self._own_end = os.pipe()
        self._environment = {**os.environ, _LEASH: str(self._leash)}
        if dsn:
            self._environment["ROWQUEUE_DSN"] = dsn
        self._children: set[asyncio.subprocess.Process] = set()
        self._stopping = asyncio.Event()
        self._code = OK

    async def run(self, processes: int) -> int:
        """Returns the exit code once all children have ended for good."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._hear, number)
        await asyncio.gather(*(self._keep() for _ in range(processes)))
        return self._code

    def _hear(self, number: signal.Signals) -> None:
        if not self._stopping.is_set():
            logger.info("supervisor: %s, the workers may finish what they run", number.name)
            self._stop()
            return
        logger.warning("supervisor: %s again, the workers are killed", number.name)
        self._code = 128 + number
        for child in self._children:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                child.kill()

    def _stop(self) -> None:
        self._stopping.set()
        os.close(self._own_end)

    async def _keep(self) -> None:
        """Keeps one child alive: what dies is replaced, after a pause that grows."""
        deaths = 0
        while True:
            born = time.monotonic()
            code = await self._live()
            if self._stopping.is_set() or (self._burst and code == OK):
                return
            if deaths == 0 and code in (WRONG_USAGE, NO_DATABASE):  # hopeless from the start
                self._code = code
                self._stop()
                return
            deaths = 1 if time.monotonic() - born > _LONG_LIFE else deaths + 1
            pause = min(_LAST_PAUSE, _FIRST_PAUSE * 2 ** min(deaths - 1, 10))
            logger.warning("supervisor: a worker ended (%s), next in %g s", _end(code), pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
                return

    async def _live(self) -> int:
        """Lives through one child and returns its exit code."""
        child = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._environment,
            pass_fds=[self._leash],
            start_new_session=True,  # a terminal's Ctrl-C is for this process to pass on
        )
        self._children.add(child)
        code = await child.wait()
        self._children.remove(child)
        return code


def _end(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
