"""Jobs enqueued a thousand at a time."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

from psycopg.types.json import Jsonb

from bench.harness.driver import Driver
from bench.harness.pgbench import pgbench
from bench.harness.results import Measure
from bench.harness.rounds import Skipped, alternate
from bench.harness.scenario import Bars, Bench, Scenario
from bench.harness.server import Server
from bench.harness.system import System

_BATCH = 1000
_PAD = 50
_PRODUCERS = {"1 producer": 1, "2 producers": 2}
_CLIENT, _SQL = "from the client, ", "in SQL alone, "
_CASES = [way + producers for way in (_CLIENT, _SQL) for producers in _PRODUCERS]


def _run(bench: Bench) -> None:
    def measure(system: System, case: str) -> dict[str, Any]:
        producers = _PRODUCERS[case.removeprefix(_CLIENT).removeprefix(_SQL)]
        in_sql = case.startswith(_SQL)
        if not (system.sql_enqueue_many if in_sql else "enqueue" in system.can):
            raise Skipped
        batches = max(bench.jobs(system) // (_BATCH * producers), 1)
        with bench.server.database(system) as dsn:
            enqueue = _by_pgbench if in_sql else _by_drivers
            seconds = enqueue(bench.server, system, dsn, producers, batches)
            return stored(bench.server, system, dsn, batches * producers * _BATCH, seconds)

    alternate(bench, _CASES, measure)


def stored(server: Server, system: System, dsn: str, jobs: int, seconds: float) -> dict[str, Any]:
    """Returns the fields of a `Round`: the rate, and whether all jobs are there."""
    found = jobs
    if system.stored_sql:
        with server.connect(dsn) as session:
            row = session.execute(system.stored_sql.encode()).fetchone()
            found = row[0] if row else 0
    return {
        "jobs": jobs,
        "values": {"rate": jobs / seconds},
        "lost": max(jobs - found, 0),
        "duplicated": max(found - jobs, 0),
        "void": f"{found} jobs were stored" if found != jobs else "",
    }


def _by_drivers(server: Server, system: System, dsn: str, producers: int, batches: int) -> float:
    """Has each producer enqueue its batches, a transaction each, and returns how long it took."""
    jobs = batches * _BATCH
    with ExitStack() as stack:
        drivers = [
            stack.enter_context(
                Driver(
                    system, "enqueue", dsn=dsn, jobs=jobs, first=i * jobs, batch=_BATCH, pad=_PAD
                )
            )
            for i in range(producers)
        ]
        for driver in drivers:
            driver.ready()
        server.settle(dsn)
        began = time.perf_counter()
        for driver in drivers:
            driver.go()
        for driver in drivers:
            driver.sent()
        return time.perf_counter() - began


def _by_pgbench(server: Server, system: System, dsn: str, producers: int, batches: int) -> float:
    """Does the same with statements that find the batch's jobs in the table ``batch``."""
    assert system.sql_enqueue_many is not None
    jobs = [
        {"job_type": "noop", "payload": {"n": n, "at": time.time(), "pad": "x" * _PAD}}
        for n in range(_BATCH)
    ]
    with server.connect(dsn) as session:
        session.execute("create table batch (jobs jsonb not null)")
        session.execute("insert into batch values (%s)", [Jsonb(jobs)])
    server.settle(dsn)
    script = system.sql_enqueue_many
    return pgbench(server, dsn, script, clients=producers, transactions=batches).seconds


BULK_ENQUEUE = Scenario(
    name="bulk_enqueue",
    about=(
        "Jobs enqueued in batches of 1,000, a transaction each, by 1 and 2 producers: by each"
        " system's client, and in SQL alone, without fetching the ids, against a bare INSERT of"
        " the same rows."
    ),
    systems=("rowqueue", "graphile-worker", "bare", "bare-unindexed"),
    measures=(Measure("rate", "jobs/s"),),
    run=_run,
    short={"systems": ["rowqueue", "bare", "bare-unindexed"], "jobs": 2000},
    plots=(Bars(measure="rate", title="Enqueue in batches of 1,000"),),
)
