"""More worker processes, more queues, more priorities: does anything get in the way?"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any

from psycopg.types.json import Jsonb

from bench.harness.results import Measure
from bench.harness.rounds import Skipped, alternate
from bench.harness.scenario import Bench, Lines, Scenario
from bench.harness.server import Server
from bench.harness.system import System
from bench.scenarios.drain import preload, work_off

_JOBS = 100_000


def _options(parser: argparse.ArgumentParser) -> None:
    def numbers(name: str, default: list[int], meaning: str) -> None:
        parser.add_argument(name, type=int, nargs="+", default=default, help=meaning)

    numbers("--processes", [1, 2, 4, 8, 16], "numbers of worker processes")
    numbers("--queues", [1, 8], "numbers of queues")
    numbers("--priorities", [1, 20], "numbers of priorities")


def _run(bench: Bench) -> None:
    jobs = int(bench.options.jobs or _JOBS)
    processes = bench.options.processes
    shapes = {
        f"queues: {queues}, priorities: {priorities}": (queues, priorities)
        for priorities in bench.options.priorities
        for queues in bench.options.queues
    }

    def measure(system: System, case: str) -> dict[str, Any]:
        queues, priorities = shapes[case]
        if system.name != "rowqueue" and queues * priorities > 1:
            raise Skipped
        rates = {}
        for count in processes:
            fields = _drain(bench.server, system, jobs, queues, priorities, count)
            if fields["void"]:
                return fields
            rates[count] = fields["values"]["rate"]
        return {
            "jobs": jobs * len(processes),
            "values": {
                "best": max(rates.values()),
                "most processes": rates[processes[-1]],
                "kept": rates[processes[-1]] / max(rates.values()),
            },
            "series": {"rate": [(float(count), rate) for count, rate in rates.items()]},
        }

    alternate(bench, list(shapes), measure)


def _drain(
    server: Server, system: System, jobs: int, queues: int, priorities: int, count: int
) -> dict[str, Any]:
    with server.database(system) as dsn:
        if queues * priorities == 1:
            preload(system, dsn, jobs)
            return work_off(server, system, dsn, jobs, count)
        names = [f"queue-{number}" for number in range(queues)]
        with server.connect(dsn) as session:
            for batch in _batches(jobs, names, priorities):
                session.execute("select count(*) from rowqueue.enqueue_many(%s)", [Jsonb(batch)])
        return work_off(server, system, dsn, jobs, count, options={"queues": names})


def _batches(jobs: int, queues: list[str], priorities: int) -> Iterator[list[dict[str, Any]]]:
    """Yields jobs a thousand at a time, every queue and priority in turn."""
    for first in range(0, jobs, 1000):
        yield [
            {
                "job_type": "noop",
                "payload": {"n": n, "at": time.time(), "pad": "x" * 50},
                "queue": queues[n % len(queues)],
                "priority": n // len(queues) % priorities,
            }
            for n in range(first, min(first + 1000, jobs))
        ]


SCALING = Scenario(
    name="scaling",
    about=(
        "Preloaded jobs drained by 1 to 16 worker processes, from one queue or eight, at one"
        " priority or twenty. Kept: the rate with the most processes against the best."
    ),
    systems=("rowqueue", "graphile-worker"),
    measures=(
        Measure("best", "jobs/s"),
        Measure("most processes", "jobs/s"),
        Measure("kept", ""),
    ),
    run=_run,
    options=_options,
    rounds=3,
    short={
        "systems": ["rowqueue"],
        "jobs": 500,
        "processes": [2],
        "queues": [8],
        "priorities": [20],
    },
    plots=(Lines(series="rate", title="Drain by worker processes", x="processes", y="jobs/s"),),
)
