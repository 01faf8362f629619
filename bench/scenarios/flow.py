"""Jobs put in and worked off at the same time: by the clock, or as fast as they get through."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg

from bench.harness.check import Check, check
from bench.harness.driver import Driver, DriverFailed, Handled, Workers
from bench.harness.server import Server
from bench.harness.system import System
from bench.scenarios.drain import await_handled
from bench.scenarios.pickups import Pickups

_BATCH = 1000
_WINDOW = 10_000
_STALL = 60.0
_LOOK = 0.01
_TELL_EVERY = 30.0


@dataclass(frozen=True, slots=True)
class Flow:
    """What went through, and when.

    Attributes:
        jobs: how many were put in.
        handled: what each worker process handled.
        complete: whether all of them had to be handled; false when time was up before.
    """

    jobs: int
    handled: Sequence[Handled]
    complete: bool = True

    def fields(self) -> dict[str, Any]:
        """Returns the fields of a `Round` that say whether it counts."""
        seen = check(self.jobs, self.handled)
        if not self.complete:
            seen = Check(0, seen.duplicated)
        return {
            "jobs": sum(len(one.numbers) for one in self.handled),
            "lost": seen.lost,
            "duplicated": seen.duplicated,
            "void": seen.void,
        }

    def starts(self) -> list[float]:
        """Returns the unix times at which handlers began, in order."""
        return sorted(start for one in self.handled for start in one.starts)


def open_loop(
    system: System, dsn: str, *, rate: float, seconds: float, **worker: Any
) -> tuple[Flow, Pickups]:
    """Enqueues ``rate`` jobs a second, however it goes, beside one worker that is already waiting.

    Args:
        system: whose producer and worker.
        dsn: the database.
        rate: jobs a second.
        seconds: for how long.
        worker: arguments of `Workers`.
    """
    with (
        Workers(system, dsn, **worker) as workers,
        Driver(system, "produce", dsn=dsn, rate=rate, seconds=seconds) as producer,
        progress(system, workers),
    ):
        workers.go()
        producer.ready().go()
        sent = producer.sent(seconds + 600)
        await_handled(workers, sent.jobs)
        handled = workers.stop()
    return Flow(sent.jobs, handled), Pickups.of(handled, sent.start, rate)


def closed_loop(system: System, dsn: str, *, enough: Callable[[int], bool], limit: float) -> Flow:
    """Keeps ten thousand jobs in the queue at most, and puts more in as they get through.

    Args:
        system: whose producer and worker.
        dsn: the database.
        enough: called with the number of jobs put in; true ends the supply.
        limit: seconds after which all is ended, whether the jobs are through or not.
    """
    put_in = 0
    began = moved = time.monotonic()
    seen = 0
    with (
        Workers(system, dsn) as workers,
        Driver(system, "enqueue", dsn=dsn, jobs=_BATCH, batch=_BATCH) as producer,
        progress(system, workers),
    ):
        workers.go()
        producer.ready()
        while not enough(put_in) and time.monotonic() - began < limit:
            if put_in - (handled := workers.handled) < _WINDOW:
                producer.go()
                producer.batch()
                put_in += _BATCH
                continue
            workers.check_alive()
            if handled != seen:
                seen, moved = handled, time.monotonic()
            elif time.monotonic() - moved > _STALL:
                raise DriverFailed(f"nothing was handled for {_STALL:.0f} s")
            time.sleep(_LOOK)
        in_time = time.monotonic() - began < limit
        if in_time:
            await_handled(workers, put_in)
        return Flow(put_in, workers.stop(), in_time)


@contextmanager
def progress(system: System, workers: Workers) -> Iterator[None]:
    """Says on stderr every half minute how far the workers are."""
    over = threading.Event()
    began = time.monotonic()

    def tell() -> None:
        while not over.wait(_TELL_EVERY):
            passed = time.monotonic() - began
            words = f"    {system.name}: {workers.handled:,} jobs after {passed:.0f} s"
            print(words, file=sys.stderr, flush=True)

    thread = threading.Thread(target=tell)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def held_snapshot(server: Server, dsn: str) -> Iterator[None]:
    """Holds a snapshot, as an idle transaction under REPEATABLE READ does."""
    with server.connect(dsn) as session:
        session.execute("begin isolation level repeatable read")
        session.execute("select 1")
        yield


def scalar(session: psycopg.Connection[Any], query: LiteralString, *values: Any) -> Any:
    """Returns the one value of a query."""
    row = session.execute(query, values).fetchone()
    assert row is not None
    return row[0]
