"""What bounds a job here: its timeout, the grace of a cancellation, the patience of a queue."""

from __future__ import annotations

import asyncio
import time

from rowqueue.worker.attempt import Attempt, Stop
from rowqueue.worker.handlers import Mode
from rowqueue.worker.job import Job
from rowqueue.worker.run import Runner

_LOOK_EVERY = 0.1

_PATIENCE = 1.0
"""Seconds after which a job that found no room here is given back: its time is running."""


class Limits:
    """Looks after a runner's jobs while it has any."""

    def __init__(self, runner: Runner) -> None:
        """Looks after `runner`."""
        self._runner = runner

    async def run(self) -> None:
        """Looks until it is cancelled."""
        while True:
            await self._runner.busy.wait()
            await asyncio.sleep(_LOOK_EVERY)
            self._look(time.monotonic())
            if not self._runner.load:
                self._runner.busy.clear()

    def _look(self, now: float) -> None:
        for attempt in list(self._runner.running.values()):
            self._look_at(attempt, now)
        waiting = self._runner.waiting
        while waiting and _has_waited_long(waiting[0], now):
            self._runner.give_back(waiting.popleft())

    def _look_at(self, attempt: Attempt, now: float) -> None:
        # Nothing can stop a thread; so a cancellation waits for it, as long as its time allows.
        heedless = now >= attempt.cancel_at and attempt.handler.mode is not Mode.THREAD
        if attempt.stopped is None:
            if now >= attempt.deadline:
                self._runner.stop(attempt, Stop.TIMEOUT)
            elif heedless:
                self._runner.stop(attempt, Stop.CANCEL)
        elif attempt.handler.mode is Mode.PROCESS:
            self._runner.stop(attempt, attempt.stopped)  # it may just have been on its way
        elif now >= attempt.give_up_at:
            self._runner.give_up(attempt)


def _has_waited_long(job: Job, now: float) -> bool:
    return now - job.claimed_at > min(_PATIENCE, job.timeout_ms / 2000)
