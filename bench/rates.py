"""Enqueue and drain rates: rowqueue and the classic table, in turn, in one run.

Each figure is the median of the rounds; each ratio is against the classic table in the same run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb

from rowqueue import Job, Worker

CLASSIC = Path(__file__).with_name("classic.sql")
SESSIONS = 2
ENQUEUE_BATCH = 1000
DRAIN_BATCH = 500

Session = psycopg.Connection[Any]

# One session's share of a measurement: how many jobs it dealt with.
Work = Callable[[Session, int], int]

_PAYLOAD = {"connectorType": "hubspot", "mode": "incremental", "note": "x" * 40}

CLASSIC_ENQUEUE: LiteralString = """
    insert into classic.jobs (payload) select j from jsonb_array_elements(%s) as j
"""
CLASSIC_CLAIM: LiteralString = """
    update classic.jobs
    set status = 'running', attempts = attempts + 1, worker = 'bench', started_at = now()
    where id in (
        select id from classic.jobs where status = 'pending' and run_after <= now()
        order by priority desc, id limit %s for update skip locked)
    returning id
"""
CLASSIC_FINISH: LiteralString = """
    update classic.jobs set status = 'completed', completed_at = now() where id = any(%s)
"""


@dataclass(frozen=True, slots=True)
class Rate:
    """Jobs a second, over the rounds."""

    name: str
    median: float
    lowest: float
    highest: float


def enqueue_rowqueue(session: Session, jobs: int) -> int:
    """Enqueues in batches of a thousand, a transaction each."""
    batch = Jsonb([{"job_type": "noop", "payload": _PAYLOAD}] * ENQUEUE_BATCH)
    for _ in range(jobs // ENQUEUE_BATCH):
        session.execute("select count(*) from rowqueue.enqueue_many(%s)", [batch])
    return jobs


def enqueue_classic(session: Session, jobs: int) -> int:
    """The same into the classic table."""
    batch = Jsonb([_PAYLOAD] * ENQUEUE_BATCH)
    for _ in range(jobs // ENQUEUE_BATCH):
        session.execute(CLASSIC_ENQUEUE, [batch])
    return jobs


def enqueue_one_by_one(session: Session, jobs: int) -> int:
    """Enqueues one job a transaction."""
    for _ in range(jobs):
        session.execute("select rowqueue.enqueue('noop', %s, queue => 'single')", [Jsonb(_PAYLOAD)])
    return jobs


def insert_one_by_one(session: Session, jobs: int) -> int:
    """The same into the classic table, out of the way of its claims."""
    for _ in range(jobs):
        session.execute(
            "insert into classic.jobs (payload, status) values (%s, 'parked')", [Jsonb(_PAYLOAD)]
        )
    return jobs


def drain_rowqueue(session: Session, jobs: int) -> int:
    """Claims and completes until the queue is empty."""
    done = 0
    while claimed := session.execute(
        "select id, token from rowqueue.claim_next('bench', max_jobs => %s)", [DRAIN_BATCH]
    ).fetchall():
        ids, tokens = zip(*claimed, strict=True)
        session.execute(
            "select count(*) from rowqueue.complete_many(%s::uuid[], %s::bigint[])",
            [list(ids), list(tokens)],
        )
        done += len(claimed)
    return done


def drain_classic(session: Session, jobs: int) -> int:
    """The same from the classic table."""
    done = 0
    while claimed := session.execute(CLASSIC_CLAIM, [DRAIN_BATCH]).fetchall():
        session.execute(CLASSIC_FINISH, [[row[0] for row in claimed]])
        done += len(claimed)
    return done


def drain_by_worker(session: Session, jobs: int) -> int:
    """Drains with one Python worker and a handler that does nothing."""
    done = 0
    worker = Worker(
        make_conninfo(**session.info.get_parameters(), password=session.info.password),
        concurrency=10,
    )

    @worker.handler("noop")
    async def noop(job: Job) -> None:
        nonlocal done
        done += 1

    worker.run(burst=True)
    return done


def measure(dsn: str, jobs: int, rounds: int) -> list[tuple[Rate, Rate]]:
    """Returns each measurement's rate beside the classic table's.

    Raises:
        RuntimeError: a drain handed out more or fewer jobs than were enqueued.
    """
    singles = max(jobs // 50, 100)
    fill = (enqueue_rowqueue, enqueue_classic)
    pairs: list[tuple[str, Work, Work, int, int, tuple[Work, Work] | None]] = [
        ("enqueue, batches of 1,000", *fill, jobs, SESSIONS, None),
        ("SQL drain, batches of 500", drain_rowqueue, drain_classic, jobs, SESSIONS, None),
        ("one Python worker v. SQL drain", drain_by_worker, drain_classic, jobs, 1, fill),
        ("enqueue, one a transaction", enqueue_one_by_one, insert_one_by_one, singles, 1, None),
    ]
    seen: dict[tuple[str, bool], list[float]] = {}
    with psycopg.connect(dsn, autocommit=True) as session:
        session.execute(CLASSIC.read_bytes())
        # The first job of a lane makes the lane: none of the rounds is to be the first.
        session.execute(
            "select rowqueue.enqueue('noop', queue => q) from unnest(%s::text[]) as q",
            [["default", "single"]],
        )
        session.execute("select count(*) from rowqueue.claim_next('bench', '{default,single}', 2)")
        for _ in range(rounds):
            for name, ours, theirs, amount, sessions, before in pairs:
                for classic, work in ((False, ours), (True, theirs)):
                    if before:
                        before[classic](session, amount)
                    rate = _rate(dsn, work, amount, sessions)
                    seen.setdefault((name, classic), []).append(rate)
                session.execute("select rowqueue.tick()")
    return [
        (_summary(name, seen[name, False]), _summary(name, seen[name, True])) for name, *_ in pairs
    ]


def _rate(dsn: str, work: Work, jobs: int, sessions: int) -> float:
    connections = [psycopg.connect(dsn, autocommit=True) for _ in range(sessions)]
    try:
        with ThreadPoolExecutor(sessions) as pool:
            began = time.perf_counter()
            shares = [pool.submit(work, one, jobs // sessions) for one in connections]
            done = sum(share.result() for share in shares)
            took = time.perf_counter() - began
    finally:
        for connection in connections:
            connection.close()
    if done != jobs // sessions * sessions:
        raise RuntimeError(f"{work.__name__}: {jobs} jobs were to be dealt with, {done} were")
    return done / took


def _summary(name: str, rates: list[float]) -> Rate:
    return Rate(name, statistics.median(rates), min(rates), max(rates))
