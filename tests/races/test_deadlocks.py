"""Batches that lock the same jobs at the same time never deadlock: they lock in one order."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import psycopg
import pytest

from races.mutation import Edit, Mutation
from races.stage import Connect
from support.calls import claim, enqueue, rows, value

Db = psycopg.Connection[Any]
Held = list[tuple[Any, int]]
SESSIONS = 4
CALLS_A_SESSION = 80
BATCH = 60
DEADLOCK = "40P01"
EXPECTED = {None, "RQ001", "RQ101", "RQ102"}
ANY_ORDER = Mutation(
    "batches lock in the order they are given",
    (
        Edit("4_run/extend_leases.sql", "order by a.id\n", "\n"),
        Edit("5_finish/_finish.sql", "order by a.id\n", "\n"),
    ),
)


class Mob:
    """Sessions that all report on the same jobs, in random batches, until one is in a deadlock."""

    def __init__(self, connect: Connect, seed: int) -> None:
        self._connect = connect
        self._seed = seed
        self._held: Held = []
        self._deadlocked = Event()

    def run(self) -> Counter[str | None]:
        """Lets all sessions work; returns how often each SQLSTATE came up, None for success."""
        with ThreadPoolExecutor(SESSIONS) as threads:
            counts = threads.map(self._work, range(SESSIONS))
            return sum(counts, Counter())

    def _work(self, number: int) -> Counter[str | None]:
        dice = random.Random(f"{self._seed} {number}")
        session = self._connect()
        session.execute("set deadlock_timeout = '10ms'")
        outcomes: Counter[str | None] = Counter()
        for _ in range(CALLS_A_SESSION):
            if self._deadlocked.is_set():
                break
            try:
                self._call(session, dice)
                outcomes[None] += 1
            except psycopg.Error as error:
                outcomes[error.sqlstate] += 1
                if error.sqlstate == DEADLOCK:
                    self._deadlocked.set()
        session.close()
        return outcomes

    def _call(self, session: Db, dice: random.Random) -> None:
        held = self._held[-4 * BATCH :]
        dice.shuffle(held)
        batch = {
            "job_ids": [job_id for job_id, _ in held[:BATCH]],
            "tokens": [token for _, token in held[:BATCH]],
        }
        # More often than others: what locks many jobs. A release makes tokens rise against ids.
        match dice.choices(["extend", "complete", "one", "claim", "tick"], weights=[6, 3, 6, 3, 1]):
            case ["extend"]:
                rows(session, "extend_leases", **batch)
            case ["complete"]:
                fewer = {name: column[: BATCH // 4] for name, column in batch.items()}
                rows(session, "complete_many", **fewer)
            case ["one"] if held:
                self._report_on_one(session, dice, *held[0])
            case ["tick"]:
                value(session, "tick")
            case _:
                for _ in range(BATCH // 3):
                    enqueue(session)
                self._held += [(job.id, job.token) for job in claim(session, max_jobs=BATCH)]

    def _report_on_one(self, session: Db, dice: random.Random, job_id: Any, token: int) -> None:
        held = {"job_id": job_id, "token": token}
        match dice.choice(["fail", "release", "progress", "cancel"]):
            case "fail":
                rows(session, "fail_with_backoff", **held, error="no")
            case "release":
                rows(session, "release", **held)
            case "progress":
                rows(session, "report_progress", **held, current=1)
            case "cancel":
                rows(session, "cancel", job_id=job_id)


@pytest.mark.parametrize("analysed", ["empty", "mostly pending"])
def test_no_call_deadlocks(db: Db, connect: Connect, analysed: str) -> None:
    """Whatever the planner thinks it knows about the table."""
    if analysed == "mostly pending":
        db.execute(
            "select rowqueue.enqueue('sync', queue => 'backlog') from generate_series(1, 2000)"
        )
    db.execute("vacuum analyze rowqueue.jobs_live")
    outcomes = Mob(connect, seed=1).run()
    assert outcomes[None] > 100
    assert set(outcomes) <= EXPECTED


def test_without_the_order_they_do(db: Db, connect: Connect) -> None:
    ANY_ORDER.apply(db)
    assert any(Mob(connect, seed).run()[DEADLOCK] for seed in range(10))
