"""Handlers in child processes, which can be killed.

A child is kept from job to job. A thread of the worker attends to each child at work: it hands
over the job, takes in reports, and returns with the outcome or the news of the child's death.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import threading

from rowqueue.worker import child
from rowqueue.worker.handlers import Function
from rowqueue.worker.job import Job, Report
from rowqueue.worker.outcome import Failed, Outcome

_context = multiprocessing.get_context("spawn")


class Children:
    """As many child processes as there are such handlers at work."""

    def __init__(self) -> None:
        self._idle: list[_Child] = []
        self._at_work: dict[int, _Child] = {}
        self._lock = threading.Lock()
        self._closed = False

    def perform(self, job: Job, function: Function) -> Outcome:
        """Runs a handler in a child to its end; for a thread to call."""
        with self._lock:
            busy = self._at_work[job.token] = self._idle.pop() if self._idle else _Child()
        try:
            outcome = busy.perform(job, function)
        except (EOFError, OSError):
            outcome = Failed(f"ProcessDied: {busy.obituary()}")
        with self._lock:
            del self._at_work[job.token]
            if busy.is_alive() and not self._closed:
                self._idle.append(busy)
            else:
                busy.kill()
        return outcome

    def ask_to_stop(self, job: Job) -> None:
        """Tells a handler that its job is cancelled."""
        with self._lock:
            busy = self._at_work.get(job.token)
        if busy is not None:
            busy.tell(job.token)

    def kill(self, job: Job) -> None:
        """Kills the child that runs a job, if it does."""
        with self._lock:
            if job.token in self._at_work:
                self._at_work[job.token].kill()

    def close(self) -> None:
        """Kills all children."""
        with self._lock:
            self._closed = True
            for kin in self._idle:
                kin.kill()
                kin.obituary()  # which waits for its end
            for busy in self._at_work.values():
                busy.kill()


class _Child:
    """A child process, started when it gets its first job."""

    def __init__(self) -> None:
        self._connection, self._far_end = _context.Pipe()
        self._process = _context.Process(
            target=child.main, args=(self._far_end,), name="rowqueue-handler"
        )
        self._sending = threading.Lock()
        self._killed = False

    def perform(self, job: Job, function: Function) -> Outcome:
        if self._process.pid is None:
            self._process.start()
            self._far_end.close()  # else the child's death would not end the connection
        if self._killed:  # while it started
            self._process.kill()
        self._send((job, function))
        while True:
            message: Report | Outcome = self._connection.recv()
            if not isinstance(message, Report):
                return message
            job.report = message

    def tell(self, token: int) -> None:
        with contextlib.suppress(OSError):  # it is dead, and its thread will say so
            self._send(token)

    def _send(self, message: child.Task | int) -> None:
        with self._sending:
            self._connection.send(message)

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def kill(self) -> None:
        self._killed = True
        if self._process.pid is not None:
            self._process.kill()

    def obituary(self) -> str:
        """Returns how the process ended."""
        self._process.join()
        code = self._process.exitcode
        if code is not None and code < 0:
            return f"the handler's process was ended by signal {-code}"
        return f"the handler's process ended with exit code {code}"
