"""Preloaded jobs, claimed and completed in SQL alone, by pgbench."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.harness.pgbench import pgbench
from bench.harness.results import Measure
from bench.harness.rounds import Skipped, alternate
from bench.harness.scenario import Bars, Bench, Scenario
from bench.harness.server import Server
from bench.harness.system import SqlDrain, System
from bench.scenarios.drain import preload

_CLIENTS = 2
_BATCHES = {f"batches of {batch}": batch for batch in (100, 500)}
_LEFT_OVER = 100
_UPKEEP_EVERY = 1.0


def _run(bench: Bench) -> None:
    def measure(system: System, case: str) -> dict[str, Any]:
        if (alone := system.sql_drain) is None:
            raise Skipped
        with bench.server.database(system) as dsn:
            return _drain(bench, system, alone, dsn, _BATCHES[case])

    alternate(bench, list(_BATCHES), measure)


def _drain(bench: Bench, system: System, alone: SqlDrain, dsn: str, batch: int) -> dict[str, Any]:
    """Lets both clients claim half of the jobs each, and drains what a short claim left over."""
    jobs = bench.jobs(system)
    preload(system, dsn, jobs)
    bench.server.settle(dsn)
    claims = -(-jobs // (batch * _CLIENTS))
    with _upkeep(bench.server, dsn, alone.upkeep):
        run = pgbench(
            bench.server, dsn, alone.script, clients=_CLIENTS, transactions=claims, batch=batch
        )
    with bench.server.connect(dsn) as session:

        def ask(query: str) -> int:
            row = session.execute(query.encode()).fetchone()
            return int(row[0]) if row else 0

        in_time = ask(alone.completed_once)
        for _ in range(_LEFT_OVER):
            if not ask(system.remaining_sql):
                break
            pgbench(bench.server, dsn, alone.script, clients=1, transactions=1, batch=batch)
        missing = jobs - ask(alone.completed_once)
    return {
        "jobs": jobs,
        "values": {"rate": in_time / run.seconds},
        "lost": missing,
        "void": f"{missing} not completed once and for all" if missing else "",
    }


@contextmanager
def _upkeep(server: Server, dsn: str, query: str | None) -> Iterator[None]:
    """Runs a query every second meanwhile, as cron or a worker would."""
    if query is None:
        yield
        return
    over = threading.Event()

    def repeat() -> None:
        with server.connect(dsn) as session:
            while not over.wait(_UPKEEP_EVERY):
                session.execute(query.encode())

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


SQL_DRAIN = Scenario(
    name="sql_drain",
    about=(
        "Preloaded jobs, claimed and completed by two pgbench clients with SQL alone, against the"
        " classic table and against the least that PostgreSQL has to write. rowqueue.tick() runs"
        " every second beside them."
    ),
    systems=("rowqueue", "classic", "limit"),
    measures=(Measure("rate", "jobs/s"),),
    run=_run,
    short={"jobs": 1000},
    plots=(Bars(measure="rate", title="Claim and complete in SQL alone, two clients"),),
)
