"""Enqueue and work at the same time for ten minutes: does it slow down?"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from typing import Any

from bench.harness.results import Measure
from bench.harness.rounds import alternate
from bench.harness.scenario import Bench, Lines, Scenario
from bench.harness.system import System
from bench.scenarios.flow import closed_loop
from bench.scenarios.pickups import rates_by_time


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=int, default=10, help="stretches to compare")


def _run(bench: Bench) -> None:
    stretches = bench.options.minutes
    seconds = float(bench.options.seconds or 60 * stretches)

    def measure(system: System, case: str) -> dict[str, Any]:
        with bench.server.database(system) as dsn:
            flow = closed_loop(system, dsn, enough=_lasting(seconds), limit=seconds + 60)
        rates = rates_by_time(flow.starts(), stretches)
        second, last = rates[1][1], rates[-1][1]
        return {
            **flow.fields(),
            "values": {"rate": sum(rate for _, rate in rates) / stretches, "trend": last / second},
            "series": {"rate": rates},
        }

    alternate(bench, [""], measure)


def _lasting(seconds: float) -> Callable[[int], bool]:
    """Returns a function that is true so long after its first call, when the programs are up."""
    ends = math.inf

    def enough(_: int) -> bool:
        nonlocal ends
        now = time.monotonic()
        ends = min(ends, now + seconds)
        return now >= ends

    return enough


STEADY = Scenario(
    name="steady",
    about="One producer and one worker at full speed; the last minute against the second.",
    systems=("rowqueue", "classic", "graphile-worker"),
    measures=(Measure("rate", "jobs/s"), Measure("trend", "")),
    run=_run,
    options=_options,
    rounds=1,
    short={"systems": ["rowqueue", "classic"], "seconds": 2, "minutes": 2},
    plots=(
        Lines(
            series="rate",
            title="Enqueue and work together, by minute",
            x="minute",
            y="jobs/s",
        ),
    ),
)
