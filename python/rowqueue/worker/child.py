"""What a child process of the worker does: one handler at a time, as its parent says.

The main thread runs handlers. A second thread listens to the parent, passes on what the handler
reports, and ends the process when the parent is gone: no job may go on behind the parent's back.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from multiprocessing.connection import Connection
from queue import SimpleQueue

from rowqueue.worker.handlers import Function, is_coroutine_function
from rowqueue.worker.job import Job
from rowqueue.worker.outcome import Failed, Outcome, describe, perform
from rowqueue.worker.signals import SIGNALS

Task = tuple[Job, Function]
"""What the parent sends: a job and its handler, or else the token of a job that is to stop."""

_REPORT_EVERY = 0.1


def main(connection: Connection) -> None:
    """Serves until the parent closes the connection."""
    for number in SIGNALS:
        # For the parent to answer, though everything in the group or container may get it. (Not
        # SIG_IGN, which the handler's own child processes would inherit.)
        signal.signal(number, lambda *_: None)
    _Child(connection).serve()


class _Child:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._tasks: SimpleQueue[Task] = SimpleQueue()
        self._job: Job | None = None

    def serve(self) -> None:
        threading.Thread(target=self._listen, name="rowqueue-parent", daemon=True).start()
        while True:
            job, function = self._tasks.get()
            if is_coroutine_function(function):
                function = _awaiting(function)
            outcome = perform(job, function)
            self._job = None
            self._send(job, outcome)

    def _listen(self) -> None:
        try:
            while True:
                job = self._job
                if self._connection.poll(None if job is None else _REPORT_EVERY):
                    self._hear()
                if job is not None:
                    self._send(job)
        except (EOFError, OSError):
            os._exit(1)

    def _hear(self) -> None:
        try:
            message: Task | int = self._connection.recv()
        except (EOFError, OSError):
            raise
        except Exception as error:  # the handler's module cannot be imported, for one
            self._connection.send(Failed(describe(error)))
            return
        if not isinstance(message, int):
            self._job = message[0]
            self._tasks.put(message)
        elif self._job is not None and self._job.token == message:
            self._job.cancelled = True

    def _send(self, job: Job, outcome: Outcome | None = None) -> None:
        with self._sending:
            if job.report is not job.written:
                job.written = job.report
                self._connection.send(job.report)
            if outcome is not None:
                self._connection.send(outcome)


def _awaiting(function: Function) -> Function:
    return lambda job: asyncio.run(function(job))
