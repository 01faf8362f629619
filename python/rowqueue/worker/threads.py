"""Plain handlers: threads of the worker's own.

A thread cannot be stopped. One whose job has been given up is *abandoned*: it is counted, the
next job gets another thread in its place, and it ends when its handler returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

from rowqueue.worker.handlers import Function
from rowqueue.worker.job import Job
from rowqueue.worker.outcome import Outcome

Perform = Callable[[Job, Function], Outcome]

logger = logging.getLogger("rowqueue")

_numbers = itertools.count(1)


class TooManyAbandonedThreads(RuntimeError):
    """More handlers than allowed outlived their jobs: this process should be replaced."""


class Threads:
    """As many threads as there are plain handlers at work.

    Threads take jobs from one queue and leave outcomes in another; the event loop is woken once
    for however many outcomes there are.
    """

    def __init__(self, settle: Callable[[Job, Outcome], None]) -> None:
        """Starts no thread yet.

        Args:
            settle: called on the event loop with each job and its outcome.
        """
        self._settle = settle
        self._loop = asyncio.get_running_loop()
        self._inbox: SimpleQueue[tuple[Job, Function, Perform] | None] = SimpleQueue()
        self._outbox: deque[tuple[Job, Outcome]] = deque()
        self._collecting = False
        self._threads = 0
        self._at_work = 0
        self._lock = threading.Lock()
        self._given_up: set[int] = set()
        self.abandoned = 0

    def start(self, job: Job, function: Function, perform: Perform) -> None:
        """Hands a job to a thread, which calls ``perform(job, function)``."""
        self._at_work += 1
        if self._at_work > self._threads:
            self._threads += 1
            name = f"rowqueue-handler-{next(_numbers)}"
            threading.Thread(target=self._work, name=name, daemon=True).start()
        self._inbox.put((job, function, perform))

    def abandon(self, job: Job) -> None:
        """Gives up the thread that runs a job, whose outcome is then not waited for."""
        with self._lock:
            if any(done is job for done, _ in self._outbox):
                return  # it has just come to its end
            self._given_up.add(job.token)
        self._at_work -= 1
        self._threads -= 1
        self.abandoned += 1

    def close(self) -> None:
        """Lets the threads end; an abandoned one does when its handler returns."""
        for _ in range(self._threads):
            self._inbox.put(None)

    def _work(self) -> None:
        while (task := self._inbox.get()) is not None:
            job, function, perform = task
            outcome = contextvars.copy_context().run(perform, job, function)
            wake = False
            with self._lock:
                given_up = job.token in self._given_up
                if given_up:
                    self._given_up.remove(job.token)
                else:
                    self._outbox.append((job, outcome))
                    wake, self._collecting = not self._collecting, True
            if given_up:
                self._call_soon(self._come_back, job)
                return
            if wake:
                self._call_soon(self._collect)
            del task, job, function, outcome  # an idle thread keeps nothing alive

    def _call_soon(self, callback: Callable[..., None], *args: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(callback, *args)

    def _collect(self) -> None:
        with self._lock:
            done, self._outbox = self._outbox, deque()
            self._collecting = False
        self._at_work -= len(done)
        for job, outcome in done:
            self._settle(job, outcome)

    def _come_back(self, job: Job) -> None:
        self.abandoned -= 1
        logger.info("%s: its abandoned thread has ended, %d left", job.id, self.abandoned)
