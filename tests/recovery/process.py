"""A worker as a process of its own, whose log can be watched while it works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from support.waiting import eventually
from support.workers import environment


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log, and when it came, on the monotonic clock."""

    at: float
    text: str


class Process:
    """``rowqueue worker recovery.app:NAME`` at work.

    Attributes:
        popen: the process.
        lines: what it wrote to stderr so far.
    """

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self.popen = popen
        self.lines: list[Line] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def log(self) -> str:
        """All lines, for messages and for a look."""
        return "\n".join(line.text for line in self.lines)

    def until_says(self, words: str, *, within: float = 20.0) -> Line:
        """Returns the first line that has these words, once it is there."""

        def look() -> Line | None:
            return next((line for line in self.lines if words in line.text), None)

        try:
            return eventually(look, within=within, what=repr(words))
        except AssertionError as error:
            raise AssertionError(f"{error}; it says:\n{self.log}") from None

    def until_works(self) -> None:
        """Returns once it has connected."""
        self.until_says(" starting: ")

    def wait(self, within: float = 30.0) -> int:
        """Returns its exit code, once it has ended and all it wrote is read."""
        code = self.popen.wait(within)
        self._reader.join(timeout=5)  # a child of it may hold the other end a little longer
        return code

    def _read(self) -> None:
        assert self.popen.stderr is not None
        with self.popen.stderr as stderr:
            for line in stderr:
                self.lines.append(Line(time.monotonic(), line.decode(errors="replace").rstrip()))


@contextmanager
def worker_at_work(
    dsn: str,
    name: str,
    *options: str,
    prefix: Sequence[str | Path] = (),
    env: Mapping[str, str] | None = None,
) -> Iterator[Process]:
    """Runs a worker of `recovery.app`, and kills it when the block ends.

    Args:
        dsn: its database.
        name: which worker.
        options: further words of the command.
        prefix: a command that runs it, such as ``["faketime", "+1d"]``.
        env: further variables.
    """
    command = [sys.executable, "-m", "rowqueue", "worker", f"recovery.app:{name}", *options]
    popen = subprocess.Popen(
        [*prefix, *command],
        env={**environment(dsn), **(env or {})},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    process = Process(popen)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(popen.pid, signal.SIGKILL)  # a prefix may not be the worker itself
        process.wait()
