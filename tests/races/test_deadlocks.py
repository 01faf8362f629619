"""Batches that lock the same jobs at the same time never deadlock: they lock in one order.

``make deadlocks`` makes a million batch calls.
"""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import psycopg
import pytest

from races.batches import DEADLOCK, make_calls
from races.mutation import Edit, Mutation
from races.stage import Connect, OpenSession
from support.calls import claim, enqueue, rows, value
from support.sessions import open_transaction

Db = psycopg.Connection[Any]
Held = list[tuple[Any, int]]
SESSIONS = 4
CALLS_A_SESSION = 80
BATCH = 60
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


def test_a_result_that_cannot_be_stored_leaves_the_order_as_it_is(
    db: Db, connect: Connect, session: OpenSession
) -> None:
    """Its job is failed on its own; even so, the jobs are locked in the order of their ids."""
    for _ in range(2):
        enqueue(db)
    first, second = sorted(claim(db, max_jobs=2), key=lambda job: job.id)
    batch = {"ids": [second.id, first.id], "tokens": [second.token, first.token]}
    holder, heartbeat, completer = connect(), session(), session()
    with open_transaction(holder):
        rows(holder, "extend_lease", job_id=first.id, token=first.token)
        extended = heartbeat.start(
            "select outcome from rowqueue.extend_leases(%(ids)s, %(tokens)s)", batch
        )
        assert extended.waits()
        completed = completer.start(
            "select outcome from rowqueue.complete_many("
            "%(ids)s, %(tokens)s, array['1e400', '1']::jsonb[]) order by outcome",
            batch,
        )
        assert completed.waits()
    assert [row.outcome for row in extended.rows()] == ["extended", "extended"]
    assert [row.outcome for row in completed.rows()] == ["completed", "lost"]


def test_no_batch_call_in_a_loop_deadlocks(connect: Connect) -> None:
    assert not make_calls(connect, 4000)


def test_without_the_order_batches_in_a_loop_do(db: Db, connect: Connect) -> None:
    ANY_ORDER.apply(db)
    assert make_calls(connect, 100_000)[DEADLOCK]
