"""A worker with nothing to do: what does it ask of the server?"""

from __future__ import annotations

import time
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from bench.harness.driver import Workers
from bench.harness.results import Measure
from bench.harness.rounds import Skipped, alternate
from bench.harness.scenario import Bench, Scenario
from bench.harness.server import Server
from bench.harness.system import System
from bench.scenarios.flow import scalar

_SECONDS = 60.0
_COME_TO_REST = 10.0

_NOBODY = "no worker"
_LISTENING = "one worker"
_POLLING = "one worker that cannot listen"


def _run(bench: Bench) -> None:
    seconds = float(bench.options.seconds or _SECONDS)
    rest = min(_COME_TO_REST, seconds)

    def measure(system: System, case: str) -> dict[str, Any]:
        options = {"pooler": True} if case == _POLLING else None
        if options and system.name != "rowqueue":
            raise Skipped
        count = 0 if case == _NOBODY else 1
        with bench.server.database(system) as dsn:
            bench.server.settle(dsn)
            with Workers(system, dsn, count, options=options) as workers:
                workers.go()
                time.sleep(rest)
                before = _counters(bench.server, dsn)
                time.sleep(seconds)
                after = _counters(bench.server, dsn)
                workers.stop()
        spent = {name: after[name] - before[name] for name in before}
        spent["queries"] /= seconds
        return {"values": spent}

    alternate(bench, [_NOBODY, _LISTENING, _POLLING], measure)


def _counters(server: Server, dsn: str) -> dict[str, float]:
    """Reads, from another database, what has been done in this one so far."""
    with server.connect() as session:
        queries = scalar(
            session,
            "select xact_commit + xact_rollback from pg_stat_database where datname = %s",
            conninfo_to_dict(dsn)["dbname"],
        )
        wal = scalar(session, "select pg_current_wal_insert_lsn() - '0/0'")
        newest = scalar(session, "select pg_snapshot_xmax(pg_current_snapshot())::text")
        return {"queries": queries, "WAL": float(wal), "transaction ids": int(newest)}


IDLE = Scenario(
    name="idle",
    about=(
        "An idle worker for a minute, once at rest. Queries are the transactions that the server"
        " counted in its database: each of a worker's statements is one. What the server does by"
        " itself stands beside it."
    ),
    systems=("rowqueue", "graphile-worker", "pg-boss", "procrastinate"),
    measures=(
        Measure("queries", "1/s", "lower"),
        Measure("WAL", "B", "lower"),
        Measure("transaction ids", "", "lower"),
    ),
    run=_run,
    rounds=1,
    short={"systems": ["rowqueue"], "seconds": 1},
    # Autovacuum looks into each database now and then, and its transactions would be counted.
    settings={"autovacuum_naptime": "1h"},
)
