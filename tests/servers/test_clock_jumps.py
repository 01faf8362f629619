"""The database's clock is set: leases may end early, nothing waits for longer than the jump."""

from __future__ import annotations

from datetime import timedelta

import pytest

from support.calls import Session, claim, claim_one, enqueue, job, refused, rows, running, value
from support.clock import Clock, own_clock

JUMPS = [timedelta(hours=1), timedelta(days=7)]
LEASE = timedelta(minutes=1)


@pytest.fixture
def clock(db: Session) -> Clock:
    return own_clock(db)


def settle(db: Session) -> None:
    """Lets the maintenance raise all floors to where they may be."""
    for _ in range(3):
        value(db, "tick")


@pytest.mark.parametrize("jump", JUMPS, ids=str)
def test_after_a_jump_forward_leases_end_and_late_workers_are_fenced_off(
    db: Session, clock: Clock, jump: timedelta
) -> None:
    held, delayed = running(db), enqueue(db, run_after=clock.now + timedelta(minutes=30))
    clock.advance(jump)
    settle(db)
    assert claim_one(db).id == delayed
    assert job(db, held.id).status == "pending"
    with refused(db, "RQ101"):
        rows(db, "complete", job_id=held.id, token=held.token)


@pytest.mark.parametrize("jump", JUMPS, ids=str)
def test_after_a_jump_back_new_jobs_run_at_once_and_delayed_ones_when_they_are_due(
    db: Session, clock: Clock, jump: timedelta
) -> None:
    enqueue(db)
    first = claim_one(db, lease=LEASE)
    rows(db, "complete", job_id=first.id, token=first.token)
    settle(db)
    clock.advance(-jump)
    now, soon = enqueue(db), enqueue(db, run_after=clock.now + timedelta(seconds=10))
    claimed = claim_one(db)
    assert claimed.id == now
    value(db, "fail_with_backoff", job_id=now, token=claimed.token, error="no")
    settle(db)
    clock.advance(seconds=11)
    assert {one.id for one in claim(db, 10)} == {now, soon}
    assert value(db, "tick")["below_floor"] == 0


@pytest.mark.parametrize("jump", JUMPS, ids=str)
def test_after_a_jump_back_a_lost_worker_is_noticed_within_the_jump_and_a_lease(
    db: Session, clock: Clock, jump: timedelta
) -> None:
    held = running(db)
    clock.advance(-jump)
    settle(db)
    clock.advance(jump + LEASE)
    assert [one.id for one in rows(db, "reap_stuck")] == [held.id]


def test_a_heartbeat_after_a_jump_back_puts_the_lease_right(db: Session, clock: Clock) -> None:
    held = running(db)
    clock.advance(-timedelta(days=7))
    assert rows(db, "extend_leases", job_ids=[held.id], tokens=[held.token], lease=LEASE)
    clock.advance(LEASE)
    assert [one.id for one in rows(db, "reap_stuck")] == [held.id]
