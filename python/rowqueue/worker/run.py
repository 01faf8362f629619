"""The second step of a job here: its handler runs."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

from rowqueue.worker.attempt import Attempt, Stop
from rowqueue.worker.context import InOwnContext
from rowqueue.worker.finish import Finisher
from rowqueue.worker.handlers import Handler, Mode
from rowqueue.worker.job import Job
from rowqueue.worker.outcome import LOST, Outcome, Released, of_error, of_return, perform
from rowqueue.worker.processes import Children
from rowqueue.worker.settings import Settings
from rowqueue.worker.threads import Threads, TooManyAbandonedThreads

logger = logging.getLogger("rowqueue")

STOP_GRACE = 5.0
"""Seconds that a stopped handler has to clear up, before it is left to itself."""

_IN_A_ROW = 25
"""Coroutines that a task runs: if none of them waits, it is somebody else's turn then."""

_COMING = 16
"""Tasks that are about to begin: enough to start handlers that wait, few for those that don't."""

_UNKNOWN_LOG_EVERY = 60.0


class Runner:
    """Runs handlers, at most `concurrency` at once; other claimed jobs wait their turn.

    Attributes:
        waiting: jobs claimed ahead, in the order of the claim.
        running: attempts under way, by token.
        changed: set whenever a job has left.
        busy: set while there is something that `Limits` must look after.
        ended: how many attempts have ended, ever.
    """

    def __init__(
        self,
        settings: Settings,
        handlers: Mapping[str, Handler],
        finisher: Finisher,
        abort: Callable[[BaseException], None],
    ) -> None:
        """Starts nothing yet.

        Args:
            settings: the worker's.
            handlers: by job type.
            finisher: takes the outcomes.
            abort: winds the worker up, which then raises the given exception.
        """
        self._settings = settings
        self._handlers = handlers
        self._finisher = finisher
        self._abort = abort
        self._threads = Threads(self._settle_elsewhere)
        self._children = Children()
        self._coming: set[asyncio.Task[None]] = set()
        self._passed_over: dict[str, float] = {}
        self.waiting: deque[Job] = deque()
        self.running: dict[int, Attempt] = {}
        self.changed = asyncio.Event()
        self.busy = asyncio.Event()
        self.ended = 0

    @property
    def load(self) -> int:
        """How many jobs are here, running or waiting their turn."""
        return len(self.running) + len(self.waiting)

    async def idle(self) -> None:
        """Returns once no job is here."""
        while self.load:
            self.changed.clear()
            await self.changed.wait()

    def accept(self, jobs: Iterable[Job]) -> None:
        """Takes claimed jobs and starts as many as there is room for."""
        self.waiting.extend(jobs)
        self.busy.set()
        self._start_waiting()

    def _start_waiting(self) -> None:
        """Starts what waits; for coroutines it makes tasks, which take them as they begin."""
        while len(self._coming) < self._tasks_wanted and self._coroutine_is_next():
            self._coming.add(asyncio.create_task(self._work_through()))

    @property
    def _tasks_wanted(self) -> int:
        return min(_COMING, len(self.waiting), self._settings.concurrency - len(self.running))

    def _coroutine_is_next(self) -> bool:
        """Starts what waits until there is no more room, or a coroutine is next: then true."""
        while self.waiting and len(self.running) < self._settings.concurrency:
            job = self.waiting[0]
            handler = self._handlers.get(job.job_type)
            if handler is not None and handler.mode is Mode.COROUTINE:
                return True
            if handler is None:
                self._pass_over(self.waiting.popleft())
            else:
                self._begin(self._next(), handler)
                perform_it = perform if handler.mode is Mode.THREAD else self._children.perform
                self._threads.start(job, handler.function, perform_it)
        return False

    def _next(self) -> Job:
        job = self.waiting.popleft()
        logger.debug("%s started: %s, attempt %d", job.id, job.job_type, job.attempts)
        return job

    def _begin(self, job: Job, handler: Handler) -> Attempt:
        attempt = self.running[job.token] = Attempt(job, handler)
        return attempt

    def _pass_over(self, job: Job) -> None:
        """Gives back a job whose type has no handler here; some other worker may have one."""
        delay = self._settings.unknown_delay
        now = time.monotonic()
        if now - self._passed_over.get(job.job_type, -math.inf) >= _UNKNOWN_LOG_EVERY:
            self._passed_over[job.job_type] = now
            logger.warning(
                "%s: no handler here for job type %s, released for %g s (said once a minute)",
                job.id,
                job.job_type,
                delay.total_seconds(),
            )
        self.give_back(job, delay=delay)

    async def _work_through(self) -> None:
        """Runs coroutines one after another; while one has to wait, other tasks go on.

        So jobs start in the order of the claim, and those that never wait share a few tasks. To
        the rest of the worker, an attempt exists once it waits: nobody could look at it earlier.
        """
        task = asyncio.current_task()
        assert task is not None
        self._coming.remove(task)
        for _ in range(_IN_A_ROW):
            if not self._coroutine_is_next():
                return
            job = self._next()
            handler = self._handlers[job.job_type]
            attempt: Attempt | None = None
            try:
                steps = InOwnContext(handler.function(job))
                if steps.begin():
                    value = steps.result
                else:
                    attempt = self._begin(job, handler)
                    attempt.task = task
                    self._start_waiting()
                    value = await steps
                outcome: Outcome = of_return(job, value)
            except BaseException as error:
                attempt = attempt or self._begin(job, handler)
                outcome = self._of_error(attempt, error)
            if attempt is None:
                self._end(job, outcome)
            else:
                self._settle(job, outcome)
            if task.cancelling():  # no other job is to be cancelled with it
                break
        self._start_waiting()

    def _of_error(self, attempt: Attempt, error: BaseException) -> Outcome:
        if isinstance(error, KeyboardInterrupt):  # meant for the process, not for the job
            self._abort(error)
        elif attempt.stopped is None and _is_cancelled_from_outside(error):
            attempt.stopped = Stop.SHUTDOWN  # by the end of the event loop, most likely
        return of_error(attempt.job, error)

    def _settle_elsewhere(self, job: Job, outcome: Outcome | None) -> None:
        self._settle(job, outcome)
        self._start_waiting()

    def _settle(self, job: Job, outcome: Outcome | None) -> None:
        attempt = self.running.pop(job.token, None)
        if attempt is not None:  # else it was given up before
            self._end(job, attempt.verdict(outcome))

    def _end(self, job: Job, outcome: Outcome) -> None:
        self._finisher.add(job, outcome)
        self.ended += 1
        self.changed.set()

    def give_back(self, job: Job, *, delay: timedelta = timedelta(0)) -> None:
        """Releases a job that has not started."""
        self._finisher.add(job, Released(delay))
        self.changed.set()

    def give_back_waiting(self) -> None:
        """Releases all jobs that have not started."""
        while self.waiting:
            self.give_back(self.waiting.popleft())

    def notice(self, job: Job, word: str) -> None:
        """Takes in what a heartbeat said about a job: ``cancel`` or ``lost``."""
        attempt = self.running.get(job.token)
        if attempt is not None and word == "lost":
            self.stop(attempt, Stop.LOST)
        elif attempt is not None and attempt.cancel_at == math.inf:
            logger.info("%s is asked to stop: a cancellation was requested", job.id)
            attempt.cancel_at = time.monotonic() + self._settings.cancel_grace.total_seconds()
            self._children.ask_to_stop(job)
        elif attempt is None and job in self.waiting:
            self.waiting.remove(job)
            self._finisher.add(job, LOST if word == "lost" else Released())
            self.changed.set()

    def stop(self, attempt: Attempt, why: Stop) -> None:
        """Ends an attempt: a coroutine is cancelled, a process killed, a thread left to itself."""
        if attempt.stopped is None:
            logger.warning("%s is stopped: %s", attempt.job.id, why.value)
            attempt.stopped = why
            attempt.give_up_at = time.monotonic() + STOP_GRACE
            attempt.job.cancelled = True
            match attempt.handler.mode:
                case Mode.COROUTINE if attempt.task is not None:
                    attempt.task.cancel()
                case Mode.THREAD:
                    self.give_up(attempt)
        if attempt.handler.mode is Mode.PROCESS:
            self._children.kill(attempt.job)

    def give_up(self, attempt: Attempt) -> None:
        """Settles an attempt whose handler cannot be made to end."""
        job = attempt.job
        if attempt.handler.mode is Mode.COROUTINE:
            logger.warning("%s: its handler ignores that it was cancelled; left to itself", job.id)
        else:
            self._threads.abandon(job)
            logger.warning(
                "%s: its thread cannot be stopped; left to itself, %d such threads",
                job.id,
                self._threads.abandoned,
            )
        self._settle_elsewhere(job, None)
        left = self._threads.abandoned
        if left > self._settings.max_abandoned_threads and attempt.stopped is not Stop.SHUTDOWN:
            self._abort(TooManyAbandonedThreads(f"{left} threads outlived their jobs"))

    def close(self) -> None:
        """Ends threads and child processes."""
        self._threads.close()
        self._children.close()


def _is_cancelled_from_outside(error: BaseException) -> bool:
    """Whether somebody cancelled the handler's task, or it raises the like by itself."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
