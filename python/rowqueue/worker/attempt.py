"""One attempt at a job: from the start of its handler to the verdict."""

from __future__ import annotations

import asyncio
import math
from enum import Enum

from rowqueue.worker.handlers import Handler
from rowqueue.worker.job import Job
from rowqueue.worker.outcome import LOST, Completed, Failed, Outcome, Released, Settled

_CANCELLED = Failed("cancelled: its handler was stopped")


class Stop(Enum):
    """Why an attempt is ended from outside."""

    TIMEOUT = "its time is up"
    CANCEL = "it was cancelled"
    LOST = "its lease is lost"
    SHUTDOWN = "the worker ends"


class Attempt:
    """A job whose handler runs.

    Attributes:
        job: the job.
        handler: what runs.
        task: the coroutine's task, if it is one.
        deadline: when its time is up, on the monotonic clock.
        cancel_at: when a handler that doesn't heed a cancellation is stopped.
        stopped: why it was stopped, once it was.
        give_up_at: when a handler that doesn't heed being stopped is left to itself.
    """

    __slots__ = ("cancel_at", "deadline", "give_up_at", "handler", "job", "stopped", "task")

    def __init__(self, job: Job, handler: Handler) -> None:
        self.job = job
        self.handler = handler
        self.task: asyncio.Task[None] | None = None
        self.deadline = job.claimed_at + job.timeout_ms / 1000
        self.cancel_at = math.inf
        self.stopped: Stop | None = None
        self.give_up_at = math.inf

    def verdict(self, outcome: Outcome | None) -> Outcome:
        """Returns what is to be reported, given how the handler ended, if it did."""
        if isinstance(outcome, Settled):
            return outcome
        match self.stopped:
            case None:
                return outcome or Released()
            case Stop.TIMEOUT:
                return Failed(f"timeout: ran longer than {self.job.timeout_ms} ms")
            case Stop.CANCEL:
                return _CANCELLED
            case Stop.LOST:
                return LOST
            case Stop.SHUTDOWN:
                return outcome if isinstance(outcome, Completed) else Released()
