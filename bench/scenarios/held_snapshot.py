"""An idle transaction holds a snapshot for the whole run, so nothing dead can be removed."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from typing import Any

from bench.harness.results import Measure
from bench.harness.rounds import alternate
from bench.harness.scenario import Bench, Lines, Scenario
from bench.harness.system import System
from bench.scenarios.flow import closed_loop, held_snapshot
from bench.scenarios.pickups import rates_by_count

_FREE = "no snapshot held"
_HELD = "one snapshot held"
_JOBS = 1_000_000


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--limit", type=float, default=300, help="seconds after which a slow system is stopped"
    )


def _run(bench: Bench) -> None:
    jobs = int(bench.options.jobs or _JOBS)
    last_tenths: dict[str, float] = {}

    def measure(system: System, case: str) -> dict[str, Any]:
        server = bench.server
        with (
            server.database(system) as dsn,
            held_snapshot(server, dsn) if case == _HELD else nullcontext(),
        ):
            flow = closed_loop(
                system, dsn, enough=lambda put_in: put_in >= jobs, limit=bench.options.limit
            )
        tenths = rates_by_count(flow.starts(), 10)
        first, last = tenths[0][1], tenths[-1][1]
        fields = flow.fields()
        values = {"first tenth": first, "last tenth": last, "through": fields["jobs"]}
        if case == _FREE:
            last_tenths[system.name] = last
        elif system.name in last_tenths:
            values["kept"] = last / last_tenths[system.name]
        return {**fields, "values": values, "series": {"rate": tenths}}

    alternate(bench, [_FREE, _HELD], measure)


HELD_SNAPSHOT = Scenario(
    name="held_snapshot",
    about=(
        "A million jobs through a queue of at most ten thousand, with and without an idle"
        " REPEATABLE READ transaction. Kept: the last tenth with it, against the one without."
        " Who is too slow is stopped after a while; the tenths are then of those it got through."
    ),
    systems=("rowqueue", "classic", "graphile-worker", "pg-boss", "pgqueuer-asyncpg"),
    measures=(
        Measure("first tenth", "jobs/s"),
        Measure("last tenth", "jobs/s"),
        Measure("through", "jobs"),
        Measure("kept", ""),
    ),
    run=_run,
    options=_options,
    rounds=1,
    short={"systems": ["rowqueue"], "jobs": 5000},
    plots=(
        Lines(series="rate", title="A snapshot held", x="tenth of the jobs", y="jobs/s", log=True),
    ),
)
