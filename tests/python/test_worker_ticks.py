"""How often a worker ticks: as jobs go through, its own or others', and seldom when none does."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from rowqueue.worker import Job
from rowqueue.worker.heartbeat import Heartbeat
from rowqueue.worker.outages import Outages
from rowqueue.worker.watchdog import Watchdog
from support.calls import Session, claim_one, enqueue, rows
from support.workers import quick_worker


def heartbeat(dsn: str, held: dict[int, Job]) -> Heartbeat:
    """Makes the heartbeat of a worker that holds these jobs."""
    return Heartbeat(
        quick_worker(dsn)._settings,
        Outages("me"),
        held,
        lambda *_: None,
        lambda _: None,
        Watchdog("me", None),
    )


@pytest.mark.parametrize("others_run", [True, False])
def test_an_idle_worker_looks_after_the_jobs_of_others_every_second(
    dsn: str, db: Session, others_run: bool
) -> None:
    enqueue(db)
    theirs = claim_one(db, lease=timedelta(minutes=1))
    if not others_run:
        rows(db, "complete", job_id=theirs.id, token=theirs.token)
    beat = heartbeat(dsn, {})
    with psycopg.connect(dsn, autocommit=True) as connection:
        beat._tick_if_due(connection, now=100.0)
        ticked_at = [beat._ticked_at]
        for now in (100.25, 100.5, 100.75, 101.0, 105.0):
            beat._tick_if_due(connection, now=now)
            if beat._ticked_at != ticked_at[-1]:
                ticked_at.append(beat._ticked_at)
    assert ticked_at == ([100.0, 100.75, 105.0] if others_run else [100.0, 105.0])


@pytest.mark.parametrize(
    ("claims", "after", "ticks"),
    [(1, 0.25, False), (1, 1.0, True), (1999, 0.25, False), (2000, 0.25, True)],
)
def test_a_tick_is_due_once_much_was_claimed_or_a_second_is_over(
    dsn: str, db: Session, claims: int, after: float, ticks: bool
) -> None:
    held: dict[int, Job] = {}
    beat = heartbeat(dsn, held)

    def last_note() -> int:
        return int(db.execute("select max(id) from rowqueue.watermarks").fetchone().max)

    with psycopg.connect(dsn, autocommit=True) as connection:
        beat._tick_if_due(connection, now=100.0)
        before = last_note()
        db.execute("select setval('rowqueue.ticked_at', 0)")  # long ago
        db.execute("select setval('rowqueue.tokens', %s, false)", [claims])
        enqueue(db)
        claimed = claim_one(db)
        held[claimed.token] = claimed
        beat._tick_if_due(connection, now=100.0 + after)

    assert (last_note() > before) is ticks
