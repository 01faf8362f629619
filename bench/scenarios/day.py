"""A day in the life of one worker, in ten minutes: do its memory and its connections stay put?"""

from __future__ import annotations

import argparse
import math
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from bench.harness.driver import Driver, Workers
from bench.harness.results import Measure
from bench.harness.rounds import alternate
from bench.harness.scenario import Bench, Lines, Scenario
from bench.harness.server import Server
from bench.harness.system import System
from bench.scenarios.drain import await_handled
from bench.scenarios.flow import Flow, progress, scalar
from bench.scenarios.processes import resident_bytes

_SECONDS = 600.0
_EVERY = 0.5
_BYTES_A_RECORD = 16
"""What the driver itself keeps of a job, to be able to say that none was lost."""

_MIB = 1024 * 1024


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--a-second", type=float, default=10, help="jobs a second of the real day")
    parser.add_argument("--hours", type=int, default=24, help="into how many parts it is divided")


def _run(bench: Bench) -> None:
    seconds = float(bench.options.seconds or _SECONDS)
    hours = bench.options.hours
    jobs = bench.options.a_second * 86400 * seconds / _SECONDS

    def measure(system: System, case: str) -> dict[str, Any]:
        with (
            bench.server.database(system) as dsn,
            Workers(system, dsn) as workers,
            progress(system, workers),
        ):
            workers.go()
            sent = 0
            with _watch(bench.server, dsn, workers) as seen:
                for hour in range(hours):
                    part = jobs * _share(hour, hours)
                    sent += _produce(system, dsn, part, seconds / hours, sent)
                await_handled(workers, sent)
            flow = Flow(sent, workers.stop())
        return {**flow.fields(), **seen.fields()}

    alternate(bench, [""], measure)


def _share(hour: int, hours: int) -> float:
    """Returns an hour's share of the day's jobs: few at midnight, twice the mean at noon."""
    return (1.05 - math.cos(2 * math.pi * hour / hours)) / (1.05 * hours)


def _produce(system: System, dsn: str, jobs: float, seconds: float, first: int) -> int:
    rate = jobs / seconds
    with Driver(system, "produce", dsn=dsn, rate=rate, seconds=seconds, first=first) as producer:
        producer.ready().go()
        return producer.sent(seconds + 600).jobs


class _Seen:
    """What a worker used, twice a second."""

    def __init__(self) -> None:
        self.memory: list[float] = []
        self.connections: list[int] = []

    def fields(self) -> dict[str, Any]:
        """Returns the fields of a `Round`.

        The first tenth is the worker's start: what comes after is compared with the tenth after it.
        """
        tenth = max(1, len(self.memory) // 10)
        settled = statistics.median(self.memory[tenth : 2 * tenth])
        ended = statistics.median(self.memory[-tenth:])
        later = self.connections[tenth:]
        return {
            "values": {
                "memory": settled / _MIB,
                "at the end": ended / _MIB,
                "growth": 100 * (ended / settled - 1),
                "fewest connections": min(later),
                "most connections": max(later),
            },
            "series": {
                "memory": [
                    (24 * number / len(self.memory), value / _MIB)
                    for number, value in enumerate(self.memory)
                    if number % max(1, tenth // 24) == 0
                ]
            },
        }


@contextmanager
def _watch(server: Server, dsn: str, workers: Workers) -> Iterator[_Seen]:
    """Looks at the memory and the connections of the first worker until the end of the block."""
    seen, over = _Seen(), threading.Event()
    pid = workers.drivers[0].pid

    def look() -> None:
        with server.connect() as session:
            while not over.wait(_EVERY):
                records = workers.handled * _BYTES_A_RECORD
                seen.memory.append(resident_bytes(pid) - records)
                seen.connections.append(
                    scalar(
                        session,
                        "select count(*) from pg_stat_activity"
                        " where datname = %s and application_name like 'rowqueue %%'",
                        conninfo_to_dict(dsn)["dbname"],
                    )
                )

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


DAY = Scenario(
    name="day",
    about=(
        "A day's 864,000 jobs, few at night and many at noon, through one worker in ten minutes."
        " Memory is its resident set, less the 16 B that the benchmark keeps for each job; growth"
        " compares the last tenth of the day with the second."
    ),
    systems=("rowqueue",),
    measures=(
        Measure("memory", "MiB", "lower"),
        Measure("at the end", "MiB", "lower"),
        Measure("growth", "%", "lower"),
        Measure("fewest connections", "", "lower"),
        Measure("most connections", "", "lower"),
    ),
    run=_run,
    options=_options,
    rounds=1,
    short={"seconds": 2, "hours": 2, "a_second": 1},
    plots=(Lines(series="memory", title="A worker's memory over a day", x="hour", y="MiB"),),
)
