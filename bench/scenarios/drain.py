"""Preloaded no-op jobs, drained by a system's own workers."""

from __future__ import annotations

import time
from typing import Any

from bench.harness.check import check
from bench.harness.driver import Driver, DriverFailed, Workers
from bench.harness.results import Measure
from bench.harness.rounds import alternate
from bench.harness.scenario import Bars, Bench, Scenario
from bench.harness.server import Server
from bench.harness.system import System

_STALL = 30.0
_CASES = {"1 process": 1, "2 processes": 2}


def _run(bench: Bench) -> None:
    def measure(system: System, case: str) -> dict[str, Any]:
        with bench.server.database(system) as dsn:
            jobs = bench.jobs(system)
            preload(system, dsn, jobs)
            return work_off(bench.server, system, dsn, jobs, _CASES[case])

    alternate(bench, list(_CASES), measure)


def preload(system: System, dsn: str, jobs: int, *, first: int = 0, pad: int = 50) -> None:
    """Enqueues jobs in batches of a thousand."""
    with Driver(system, "enqueue", dsn=dsn, jobs=jobs, first=first, batch=1000, pad=pad) as driver:
        driver.ready().go()
        driver.sent()


def work_off(
    server: Server,
    system: System,
    dsn: str,
    jobs: int,
    processes: int,
    options: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Drains preloaded jobs: from ``go`` until all are handled and written as done.

    Args:
        server: where they are.
        system: whose workers.
        dsn: the database.
        jobs: how many there are, numbered from 0.
        processes: how many workers.
        options: of the workers, instead of the system's own.

    Returns:
        The fields of a `Round`.
    """
    server.settle(dsn)
    with (
        Workers(system, dsn, processes, options=options) as workers,
        server.connect(dsn) as session,
    ):
        began = time.perf_counter()
        workers.go()
        await_handled(workers, jobs)
        while (row := session.execute(system.remaining_sql.encode()).fetchone()) and row[0]:
            if time.perf_counter() - began > 3600:
                raise DriverFailed(f"{system.name} does not finish what it has handled")
            time.sleep(0.005)
        took = time.perf_counter() - began
        seen = check(jobs, workers.stop())
    return {
        "jobs": jobs,
        "values": {"rate": jobs / took},
        "lost": seen.lost,
        "duplicated": seen.duplicated,
        "void": seen.void,
    }


def await_handled(workers: Workers, jobs: int) -> None:
    """Waits until so many jobs are handled.

    Raises:
        DriverFailed: a worker ended, or nothing moved for half a minute.
    """
    seen, moved = 0, time.monotonic()
    while (now := workers.handled) < jobs:
        workers.check_alive()
        if now != seen:
            seen, moved = now, time.monotonic()
        elif time.monotonic() - moved > _STALL:
            raise DriverFailed(f"{now} of {jobs} jobs handled, then nothing for {_STALL:.0f} s")
        time.sleep(0.005)


DRAIN = Scenario(
    name="drain",
    about="Preloaded no-op jobs, drained by each system's own workers in 1 and 2 processes.",
    systems=(
        "rowqueue",
        "graphile-worker",
        "pg-boss",
        "pgqueuer-asyncpg",
        "pgqueuer-psycopg",
        "procrastinate",
        "saq",
        "absurd",
    ),
    measures=(Measure("rate", "jobs/s"),),
    run=_run,
    choose=True,
    short={"systems": ["rowqueue", "classic"], "jobs": 300},
    plots=(Bars(measure="rate", title="Drain of preloaded no-op jobs"),),
)
