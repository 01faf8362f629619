"""A system's driver as a process: JSON lines on its stdout, ``go`` on its stdin."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.harness.system import System, Verb

_PATIENCE = 120.0


class DriverFailed(Exception):
    """A driver ended with an error, or said something else than it should."""


@dataclass(frozen=True, slots=True)
class Handled:
    """What one worker process handled: each job's number and when its handler began."""

    numbers: Sequence[int]
    starts: Sequence[float]

    @classmethod
    def read(cls, file: Path) -> Self:
        """Reads the file that a worker leaves behind."""
        content = file.read_bytes()
        count = int.from_bytes(content[:8], "little", signed=True)
        numbers, starts = (
            array("q", content[8 : 8 + 8 * count]),
            array("d", content[8 + 8 * count :]),
        )
        if sys.byteorder == "big":
            numbers.byteswap()
            starts.byteswap()
        if not len(numbers) == len(starts) == count:
            raise DriverFailed(f"{file.name} has other than {count} jobs in it")
        return cls(numbers, starts)


@dataclass(frozen=True, slots=True)
class Sent:
    """What an ``enqueue`` or ``produce`` did: jobs, seconds, and the unix time of its beginning."""

    jobs: int
    seconds: float
    start: float


def set_up(system: System, dsn: str) -> None:
    """Puts a system's schema into an empty database.

    Raises:
        DriverFailed: the driver ended with an error.
    """
    with Driver(system, "setup", dsn=dsn) as driver:
        driver.wait()


class Driver:
    """A driver's process. Leaving the ``with`` block kills one that still runs."""

    def __init__(self, system: System, verb: Verb, **arguments: Any) -> None:
        """Starts it.

        Args:
            system: whose driver.
            verb: what it is to do.
            arguments: the options of the call, `System.command`.
        """
        self.name = f"{system.name} {verb}"
        self._last: dict[str, Any] = {}
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            system.command(verb, **arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=system.program.environment(),
            text=True,
            bufsize=1,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kills a process that still runs."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with suppress(BrokenPipeError):
                stream.close()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def handled(self) -> int:
        """How many jobs a worker says it has handled."""
        with self._changed:
            return int(self._last.get("handled", 0))

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def ready(self) -> Self:
        """Waits until it is connected and only waits for `go`."""
        self._await("ready", _PATIENCE)
        return self

    def go(self) -> None:
        """Lets it begin; an ``enqueue`` that is through, go on with as many jobs again."""
        assert self._process.stdin is not None
        with self._changed:
            self._last.pop("done", None)
        try:
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise DriverFailed(f"{self.name} ended before it was told to go") from None

    def batch(self, timeout: float = 3600.0) -> Sent:
        """Waits until the jobs of the latest `go` are in; there may be another."""
        self._await("done", timeout)
        return Sent(int(self._last["done"]), self._last["seconds"], self._last["start"])

    def sent(self, timeout: float = 3600.0) -> Sent:
        """Waits until an ``enqueue`` or ``produce`` is through, and for the process to end."""
        sent = self.batch(timeout)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self.wait()
        return sent

    def stop(self) -> None:
        """Stops a worker in order, as SIGTERM does."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self, timeout: float = _PATIENCE) -> None:
        """Waits for the process to end well.

        Raises:
            DriverFailed: it ended with an error, or not in time.
        """
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise DriverFailed(f"{self.name} does not end within {timeout:.0f} s") from None
        self._reader.join()
        if code != 0:
            raise DriverFailed(f"{self.name} ended with exit code {code}")

    def _await(self, key: str, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        with self._changed:
            while key not in self._last:
                if not self._reader.is_alive():
                    break
                if time.monotonic() > deadline:
                    raise DriverFailed(f"{self.name} is not {key} after {timeout:.0f} s")
                self._changed.wait(0.5)
        if key not in self._last:
            raise DriverFailed(f"{self.name} ended before it was {key}")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                said = json.loads(line)
            except ValueError:
                print(f"{self.name}: {line.rstrip()}", file=sys.stderr)
                continue
            with self._changed:
                self._last.update(said)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()


class Workers:
    """Worker processes of one system on one database, and the files they leave behind."""

    def __init__(
        self,
        system: System,
        dsn: str,
        count: int = 1,
        *,
        concurrency: int | None = None,
        work_ms: float | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        """Starts them; they wait for `go`.

        Args:
            system: whose workers.
            dsn: the database.
            count: how many processes.
            concurrency: handlers at once in each; the system's own figure if left out.
            work_ms: how long a handler sleeps; it does nothing if left out.
            options: instead of the system's own.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="rowqueue-bench-")
        self._files = [Path(self._folder.name) / str(number) for number in range(count)]
        chosen = system.options if options is None else options
        self.drivers = [
            Driver(
                system,
                "work",
                dsn=dsn,
                concurrency=concurrency or system.concurrency,
                out=file,
                work_ms=work_ms,
                options=json.dumps(dict(chosen)) if chosen else None,
            )
            for file in self._files
        ]

    def __enter__(self) -> Self:
        """Waits until all are ready."""
        try:
            for driver in self.drivers:
                driver.ready()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kills those that still run and removes the files."""
        self._end()

    @property
    def handled(self) -> int:
        """How many jobs they have handled, all together."""
        return sum(driver.handled for driver in self.drivers)

    def go(self) -> None:
        """Lets them begin."""
        for driver in self.drivers:
            driver.go()

    def stop(self) -> list[Handled]:
        """Stops them in order and returns what each has handled."""
        for driver in self.drivers:
            driver.stop()
        for driver in self.drivers:
            driver.wait()
        return [Handled.read(file) for file in self._files]

    def check_alive(self) -> None:
        """Raises DriverFailed when one has ended by itself."""
        for driver in self.drivers:
            if not driver.running:
                driver.wait()
                raise DriverFailed(f"{driver.name} ended by itself")

    def _end(self) -> None:
        for driver in self.drivers:
            driver.__exit__(None, None, None)
        self._folder.cleanup()
