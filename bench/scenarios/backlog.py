"""Is a claim as fast with millions of jobs waiting, delayed or finished as without them?"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from bench.harness.results import Measure, Round
from bench.harness.scenario import Bench, Scenario
from bench.harness.stats import percentile
from bench.scenarios import fill

Session = psycopg.Connection[Any]

_AT_HAND = 1000
"""Jobs due in every database, kept up while jobs are claimed."""

_BATCHES = {1: 4000, 10: 2000, 100: 1000}
"""How many calls are timed, by the jobs that each may claim."""


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pending", type=int, default=5_000_000, help="jobs that wait")
    parser.add_argument("--delayed", type=int, default=5_000_000, help="jobs that are not due")
    parser.add_argument("--finished", type=int, default=10_000_000, help="completed jobs")
    parser.add_argument("--calls", type=float, default=1, help="factor on the calls that are timed")


def _run(bench: Bench) -> None:
    options = bench.options
    _compare(bench, "pending", fill.pending, options.pending)
    _compare(bench, "delayed", fill.delayed, options.delayed)
    _compare(bench, "finished", fill.finished, options.finished)


def _compare(bench: Bench, kind: str, more: Callable[[Session, int], None], jobs: int) -> None:
    """Times claims in two databases in turn, one of which has so many more jobs of a kind."""
    (system,) = bench.systems
    server = bench.server
    with (
        server.database(system) as bare,
        server.database(system) as full,
        server.connect(bare) as without,
        server.connect(full) as having,
    ):
        for session in (without, having):
            _enqueue(session, _AT_HAND)
        print(f"filling: {jobs:,} {kind}", file=sys.stderr)
        more(having, jobs)
        for dsn in (bare, full):
            server.settle(dsn)
        for number in range(1, bench.rounds + 1):
            for batch, calls in _BATCHES.items():
                times = _time_claims([without, having], batch, int(calls * bench.options.calls))
                bench.add(
                    Round(
                        system=system.name,
                        case=f"0 or {jobs:,} {kind}, claims of {batch}",
                        number=number,
                        jobs=sum(map(len, times)) * batch,
                        values=_values(*times),
                    )
                )


def _values(without: list[float], having: list[float]) -> dict[str, float]:
    values: dict[str, float] = {}
    for percent in (50, 99):
        low, high = (percentile(sorted(times), percent / 100) for times in (without, having))
        values |= {
            f"p{percent} without": low,
            f"p{percent} with": high,
            f"p{percent} ratio": high / low,
        }
    return values


def _time_claims(sessions: list[Session], batch: int, calls: int) -> list[list[float]]:
    """Claims in each session in turn, completes and makes up for it, ticking once a second.

    Returns:
        For each session how long its claims took, in microseconds.
    """
    times: list[list[float]] = [[] for _ in sessions]
    next_tick = time.monotonic()
    for call in range(calls):
        if time.monotonic() >= next_tick:
            next_tick = time.monotonic() + 1
            for session in sessions:
                session.execute("select rowqueue.tick()")
        # Who comes first changes, so that neither always follows the other's writes.
        for place in (0, 1) if call % 2 else (1, 0):
            session = sessions[place]
            began = time.perf_counter()
            jobs = session.execute(
                "select id, token from rowqueue.claim_next('bench', max_jobs => %s)", [batch]
            ).fetchall()
            times[place].append((time.perf_counter() - began) * 1_000_000)
            if len(jobs) != batch:
                raise RuntimeError(f"{len(jobs)} jobs were claimed instead of {batch}")
            session.execute(
                "select count(*) from rowqueue.complete_many(%s::uuid[], %s::bigint[])",
                [[job[0] for job in jobs], [job[1] for job in jobs]],
            )
            _enqueue(session, batch)
    return times


def _enqueue(session: Session, jobs: int) -> None:
    batch = [{"job_type": "noop", "payload": {"n": n, "pad": "x" * 50}} for n in range(jobs)]
    session.execute("select count(*) from rowqueue.enqueue_many(%s)", [Jsonb(batch)])


BACKLOG = Scenario(
    name="backlog",
    about=(
        "claim_next of 1, 10 and 100 jobs with a thousand due, and with millions more that wait,"
        " are not due yet or are finished: the same calls in turn in two databases."
    ),
    systems=("rowqueue",),
    measures=tuple(
        Measure(f"p{percent} {which}", unit, "lower")
        for percent in (50, 99)
        for which, unit in (("without", "µs"), ("with", "µs"), ("ratio", ""))
    ),
    run=_run,
    options=_options,
    rounds=3,
    short={"pending": 2000, "delayed": 2000, "finished": 2000, "calls": 0.01},
)
