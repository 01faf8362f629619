"""Jobs enqueued one a transaction."""

from __future__ import annotations

import json
import time
from typing import Any

from bench.harness.pgbench import pgbench
from bench.harness.results import Measure
from bench.harness.rounds import Skipped, alternate
from bench.harness.scenario import Bars, Bench, Scenario
from bench.harness.system import System
from bench.scenarios.bulk_enqueue import stored

_CLIENTS = {"1 client": 1, "2 clients": 2}
_JOBS = 20_000


def _run(bench: Bench) -> None:
    jobs = bench.options.jobs or _JOBS

    def measure(system: System, case: str) -> dict[str, Any]:
        if system.sql_enqueue is None:
            raise Skipped
        clients = _CLIENTS[case]
        payload = json.dumps({"n": 1, "at": time.time(), "pad": "x" * 50})
        with bench.server.database(system) as dsn:
            bench.server.settle(dsn)
            run = pgbench(
                bench.server,
                dsn,
                system.sql_enqueue,
                clients=clients,
                transactions=jobs // clients,
                payload=payload,
            )
            return stored(bench.server, system, dsn, run.transactions, run.seconds)

    alternate(bench, list(_CLIENTS), measure)


SINGLE_ENQUEUE = Scenario(
    name="single_enqueue",
    about=(
        "One job a transaction, by 1 and 2 pgbench clients, against a bare single-row INSERT of the"
        " same row, each commit flushed to disk."
    ),
    systems=("rowqueue", "bare", "bare-unindexed"),
    measures=(Measure("rate", "jobs/s"),),
    run=_run,
    short={"jobs": 50},
    plots=(Bars(measure="rate", title="Enqueue, one job a transaction"),),
)
