"""The demo's workers: processes of their own, one of which gets killed."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self

from rowqueue.demo.names import FOLDER_VARIABLE, WORKER_VARIABLE
from rowqueue.text import clean

_COMMAND = [sys.executable, "-m", "rowqueue", "worker", "rowqueue.demo.handlers:worker"]


class WorkerEnded(Exception):
    """A worker ended by itself."""


class WorkerProcess:
    """One worker.

    Attributes:
        name: what the demo calls it.
        pid: its process.
        killed: whether the demo killed it.
    """

    def __init__(self, name: str, environment: dict[str, str], log: Path) -> None:
        """Starts it, out of the reach of a Ctrl-C, which is for the demo to answer."""
        self.name = name
        self.killed = False
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                _COMMAND,
                env={**environment, WORKER_VARIABLE: name},
                stdin=subprocess.PIPE,  # its lifeline
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def kill(self) -> None:
        """Kills it with SIGKILL: it gets no chance to clear up."""
        self.killed = True
        self._process.kill()
        self._process.communicate()

    def check(self) -> None:
        """Sees that it runs, unless it was killed.

        Raises:
            WorkerEnded: it doesn't; the message has its last words.
        """
        code = self._process.poll()
        if code is not None and not self.killed:
            said = self._log.read_text(errors="replace").split("\n")
            last_words = clean(next(filter(str.strip, reversed(said)), "nothing"))
            raise WorkerEnded(f"{self.name} ended with exit code {code}; it said: {last_words}")

    def ask_to_end(self) -> None:
        """Sends SIGTERM: a worker then gives back what it has not finished."""
        self._process.terminate()

    def end(self, until: float) -> None:
        """Waits for its end until an instant of the monotonic clock, and then kills it."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=max(0.0, until - monotonic()))
        self._process.kill()
        self._process.communicate()


class Workers:
    """The workers of a demo; as a context manager, it leaves none behind."""

    def __init__(self, dsn: str, folder: Path) -> None:
        """Starts none yet.

        Args:
            dsn: the database. They get it by their environment, for others can read arguments.
            folder: where they put their logs and the files that they make.
        """
        self._environment = {**os.environ, "ROWQUEUE_DSN": dsn, FOLDER_VARIABLE: str(folder)}
        self._folder = folder
        self._all: list[WorkerProcess] = []

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends all workers."""
        for worker in self._all:
            worker.ask_to_end()
        until = monotonic() + 5.0
        for worker in self._all:
            worker.end(until)

    def start(self) -> WorkerProcess:
        """Starts one more."""
        number = len(self._all) + 1
        log = self._folder / f"worker-{number}.log"
        self._all.append(WorkerProcess(f"worker {number}", self._environment, log))
        return self._all[-1]

    def check(self) -> None:
        """Sees that all run that should.

        Raises:
            WorkerEnded: one doesn't.
        """
        for worker in self._all:
            worker.check()

    def with_pid(self, pid: int) -> WorkerProcess:
        """Returns the worker that is this process.

        Raises:
            LookupError: it is none of them.
        """
        for worker in self._all:
            if worker.pid == pid:
                return worker
        raise LookupError(f"process {pid} is no worker of this demo")
