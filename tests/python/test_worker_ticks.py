"""How often a worker ticks: as its jobs go through, and seldom when nothing does."""

from __future__ import annotations

import psycopg
import pytest

from rowqueue.worker import Job
from rowqueue.worker.connect import Outages
from rowqueue.worker.heartbeat import Heartbeat
from support.calls import Session, claim_one, enqueue
from support.workers import quick_worker


@pytest.mark.parametrize(
    ("claims", "after", "ticks"),
    [(1, 0.25, False), (1, 1.0, True), (1999, 0.25, False), (2000, 0.25, True)],
)
def test_a_tick_is_due_once_much_was_claimed_or_a_second_is_over(
    dsn: str, db: Session, claims: int, after: float, ticks: bool
) -> None:
    held: dict[int, Job] = {}
    settings = quick_worker(dsn)._settings
    beat = Heartbeat(settings, Outages("me"), held, lambda *_: None, lambda _: None)

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
