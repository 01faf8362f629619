"""Handlers that take a while, many at once: what does the worker itself cost?"""

from __future__ import annotations

import argparse
import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bench.harness.driver import Workers
from bench.harness.results import Measure
from bench.harness.rounds import Skipped, alternate
from bench.harness.scenario import Bars, Bench, Scenario
from bench.harness.server import Server
from bench.harness.system import System
from bench.scenarios.drain import await_handled, preload
from bench.scenarios.flow import Flow
from bench.scenarios.processes import cpu_seconds

_SECONDS = 5.0
_MOST_A_SECOND = 15_000
"""More than one process gets through: so many jobs for each second are enough."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """Handlers of one kind.

    Attributes:
        plain: whether they are plain functions, on threads, instead of coroutines.
        seconds: how long each sleeps.
        at_once: how many run at the same time.
    """

    plain: bool
    seconds: float
    at_once: int

    @property
    def ideal(self) -> float:
        """Jobs a second if nothing but the sleep took any time."""
        return self.at_once / self.seconds


@dataclass(frozen=True, slots=True)
class _Cost:
    """What some handlers took.

    Attributes:
        rate: jobs a second.
        cpu: seconds of processor time a job.
    """

    rate: float
    cpu: float


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--milliseconds", type=int, nargs="+", default=[1, 100], help="how long handlers sleep"
    )
    parser.add_argument(
        "--at-once", type=int, nargs="+", default=[1, 10, 50, 200], help="how many at once"
    )


def _run(bench: Bench) -> None:
    seconds = float(bench.options.seconds or _SECONDS)
    kinds = {
        f"{word}, {duration} ms, {at_once} at once": _Kind(plain, duration / 1000, at_once)
        for word, plain in (("async", False), ("plain", True))
        for duration in bench.options.milliseconds
        for at_once in bench.options.at_once
    }

    def measure(system: System, case: str) -> dict[str, Any]:
        kind = kinds[case]
        if kind.plain and system.name != "rowqueue":
            raise Skipped
        jobs = max(2 * kind.at_once, int(min(kind.ideal, _MOST_A_SECOND) * seconds))
        bare = _bare(kind, jobs)
        with bench.server.database(system) as dsn:
            flow, cost = _work_off(bench.server, system, dsn, kind, jobs)
        return {
            **flow.fields(),
            "values": {
                "rate": cost.rate,
                "of the ideal": cost.rate / kind.ideal,
                "of bare Python": cost.rate / bare.rate,
                "gap": kind.at_once * (1 / cost.rate - 1 / bare.rate) * 1_000_000,
                "CPU": cost.cpu * 1_000_000,
                "overhead": (cost.cpu - bare.cpu) * 1_000_000,
            },
        }

    alternate(bench, list(kinds), measure)


def _work_off(
    server: Server, system: System, dsn: str, kind: _Kind, jobs: int
) -> tuple[Flow, _Cost]:
    """Preloads jobs and has one worker handle them.

    The rate is taken between the first and the last start, and the processor time from the first
    jobs handled on, so that neither has the worker's own start in it.
    """
    preload(system, dsn, jobs)
    server.settle(dsn)
    options = {**system.options, "plain": True} if kind.plain else None
    with Workers(
        system, dsn, concurrency=kind.at_once, work_ms=kind.seconds * 1000, options=options
    ) as workers:
        workers.go()
        await_handled(workers, 1)
        pid = workers.drivers[0].pid
        before, cpu = workers.handled, cpu_seconds(pid)
        await_handled(workers, jobs)
        cpu = cpu_seconds(pid) - cpu
        flow = Flow(jobs, workers.stop())
    starts = flow.starts()
    rate = (len(starts) - kind.at_once) / (starts[-1] - starts[0])
    return flow, _Cost(rate, cpu / (jobs - before))


def _bare(kind: _Kind, jobs: int) -> _Cost:
    """Has the same handlers run by this very process, without any queue."""
    each = -(-jobs // kind.at_once)

    async def coroutine() -> None:
        for _ in range(each):
            await asyncio.sleep(kind.seconds)

    async def coroutines() -> None:
        await asyncio.gather(*(coroutine() for _ in range(kind.at_once)))

    def thread(_: int) -> None:
        for _ in range(each):
            time.sleep(kind.seconds)

    began, cpu = time.perf_counter(), time.process_time()
    if kind.plain:
        with ThreadPoolExecutor(kind.at_once) as pool:
            list(pool.map(thread, range(kind.at_once)))
    else:
        asyncio.run(coroutines())
    done = each * kind.at_once
    return _Cost(done / (time.perf_counter() - began), (time.process_time() - cpu) / done)


HANDLERS = Scenario(
    name="handlers",
    about=(
        "Handlers that sleep 1 ms or 100 ms, from 1 to 200 at once, as coroutines and on threads."
        " The ideal is concurrency ÷ duration; bare Python runs the same sleeps without a queue."
        " Gap is the time between two jobs in the same place, beyond bare Python's. CPU is the"
        " worker's processor time a job, overhead what of it bare Python does not use."
    ),
    systems=("rowqueue",),
    measures=(
        Measure("rate", "jobs/s"),
        Measure("of the ideal", ""),
        Measure("of bare Python", ""),
        Measure("gap", "µs", "lower"),
        Measure("CPU", "µs", "lower"),
        Measure("overhead", "µs", "lower"),
    ),
    run=_run,
    options=_options,
    rounds=3,
    short={"seconds": 1, "milliseconds": [10], "at_once": [10]},
    plots=(Bars(measure="overhead", title="The worker's processor time a job"),),
)
