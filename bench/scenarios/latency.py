"""From the moment a job is due to the first line of its handler, at a steady trickle."""

from __future__ import annotations

import argparse
from typing import Any

from bench.harness.results import Measure
from bench.harness.rounds import alternate
from bench.harness.scenario import Bars, Bench, Scenario
from bench.harness.system import System
from bench.scenarios.flow import open_loop

_SECONDS = 30.0


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rates", type=int, nargs="+", default=[10, 100, 1000], help="jobs a second"
    )


def _run(bench: Bench) -> None:
    seconds = float(bench.options.seconds or _SECONDS)
    rates = {f"{rate:,} jobs/s": rate for rate in bench.options.rates}

    def measure(system: System, case: str) -> dict[str, Any]:
        with bench.server.database(system) as dsn:
            flow, pickups = open_loop(system, dsn, rate=rates[case], seconds=seconds)
        return {
            **flow.fields(),
            "values": {f"p{percent}": pickups.delay(percent / 100) for percent in (50, 95, 99)},
        }

    alternate(bench, list(rates), measure)


LATENCY = Scenario(
    name="latency",
    about="Pickup latency of an open loop: from when a job is due to when its handler begins.",
    systems=("rowqueue", "graphile-worker-unbatched", "graphile-worker"),
    measures=(
        Measure("p50", "ms", "lower"),
        Measure("p95", "ms", "lower"),
        Measure("p99", "ms", "lower"),
    ),
    run=_run,
    options=_options,
    short={"systems": ["rowqueue"], "seconds": 1, "rates": [100]},
    plots=(
        Bars(measure="p50", title="Pickup latency, median", log=True),
        Bars(measure="p99", title="Pickup latency, 99th percentile", log=True),
    ),
)
