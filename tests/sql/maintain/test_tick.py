"""rowqueue.tick: everything periodic, in one call that anyone may make at any time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from psycopg import IsolationLevel

from support.calls import (
    claim,
    claim_one,
    enqueue,
    enqueue_many,
    everything,
    job,
    rows,
    running,
    value,
)

NOTHING = {"promoted": 0, "reaped": 0, "floors": 0, "below_floor": 0, "partitions": 0}


def tick(session):
    """Ticks, and returns the counts of what was done."""
    answer = value(session, "tick")
    del answer["running"]
    return answer


def settle(session):
    """Ticks until there is nothing left to do."""
    while tick(session) != NOTHING:
        pass


def test_with_nothing_to_do_all_counts_are_zero(db):
    settle(db)
    assert tick(db) == NOTHING


def test_jobs_that_became_due_get_their_place(tx, clock):
    for hours in (1, 2, 3):
        enqueue(tx, run_after=clock.now + timedelta(hours=hours))
    clock.advance(hours=2)
    assert tick(tx)["promoted"] == 2
    assert tick(tx)["promoted"] == 0
    tickets = [row.ticket is not None for row in everything(tx)]
    assert sorted(tickets) == [False, True, True]


def test_it_says_whether_anything_runs(db):
    def anything_runs():
        return value(db, "tick")["running"]

    assert not anything_runs()
    for arguments in ({}, {"priority": 7}, {"queue": "other"}):
        enqueue(db, **arguments)
    assert not anything_runs()
    jobs = claim(db, 2) + claim(db, queues=["other"])
    for one in jobs:
        assert anything_runs()
        rows(db, "release", job_id=one.id, token=one.token)
    assert not anything_runs()


def test_stuck_jobs_are_reaped(tx, clock):
    held = running(tx)
    clock.advance(minutes=1)
    assert tick(tx)["reaped"] == 1
    assert job(tx, held.id).status == "pending"


def test_a_reaped_and_then_due_job_is_back_after_two_ticks(tx, clock):
    held = running(tx)
    clock.advance(minutes=1)
    tick(tx)
    clock.advance(seconds=2)
    assert tick(tx)["promoted"] == 1
    assert claim_one(tx, queues=[held.queue]).id == held.id


def test_the_floors_rise_behind_what_was_claimed(db):
    enqueue_many(db, *[{}] * 20)
    claim(db, 20)
    raised = sum(tick(db)["floors"] for _ in range(5))
    assert raised >= 1
    last = db.execute("select last_value from rowqueue.tickets").fetchone().last_value
    floor = db.execute("select max(floor) as floor from rowqueue.lanes").fetchone().floor
    assert floor == last + 1


def test_a_floor_stays_below_every_job_that_waits(db):
    made = [row.id for row in enqueue_many(db, *[{}] * 20)]
    claim(db, 5)
    settle(db)
    assert [claimed.id for claimed in claim(db, 20)] == made[5:]


def test_inside_a_transaction_that_has_written_it_leaves_the_floors_alone(db):
    enqueue_many(db, *[{}] * 20)
    claim(db, 20)
    before = db.execute("select xid, ticket, applied from rowqueue.watermarks").fetchall()
    with db.transaction():
        enqueue(db)
        assert tick(db)["floors"] == 0
    assert db.execute("select xid, ticket, applied from rowqueue.watermarks").fetchall() == before


def test_a_job_below_its_floor_is_found_and_counted(db, clock):
    """Only a hand in the table can put one there. The queue mends itself within five seconds."""
    made = [row.id for row in enqueue_many(db, {}, {}, {})]
    claim(db, 2)
    settle(db)
    db.execute("update rowqueue.jobs set ticket = 1 where status = 'pending'")
    assert claim(db) == []
    clock.advance(seconds=5)
    assert tick(db)["below_floor"] == 1
    assert claim_one(db).id == made[2]


def test_a_job_that_a_dba_moved_to_an_unknown_queue_is_found_and_counted(db, clock):
    job_id = enqueue(db)
    settle(db)
    db.execute("update rowqueue.jobs set queue = 'elsewhere', priority = 7")
    clock.advance(seconds=5)
    assert tick(db)["below_floor"] == 1
    assert claim_one(db, queues=["elsewhere"]).id == job_id


def test_nothing_is_ever_below_a_floor_in_the_life_of_ordinary_jobs(db, clock):
    for round_ in range(5):
        enqueue_many(db, *({"priority": n % 3, "queue": "ab"[n % 2]} for n in range(30)))
        for held in claim(db, 20, queues=["a", "b"]):
            given = {"job_id": held.id, "token": held.token}
            if held.priority:
                rows(db, "complete", **given)
            else:
                rows(db, "fail_with_backoff", error="e", **given)
        clock.advance(seconds=5 * round_)
        assert tick(db)["below_floor"] == 0
    used = db.execute("select is_called from rowqueue.below_floor").fetchone()
    assert used.is_called is False


def test_any_number_of_callers_at_once_never_wait_for_one_another(db, clock, connect):
    enqueue_many(db, *[{}] * 10)
    claim(db, 10)
    clock.advance(minutes=1)
    first, second = connect(autocommit=False), connect(autocommit=False)
    for session in (first, second):
        session.execute("set lock_timeout = '1ms'")
        session.commit()
    counts = [tick(first), tick(second)]
    assert sum(count["reaped"] for count in counts) == 10
    first.commit()
    second.commit()
    assert tick(db)["reaped"] == 0


@pytest.mark.parametrize("level", [IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE])
def test_with_nothing_changed_meanwhile_it_works_under_stricter_isolation(db, connect, level):
    enqueue_many(db, *[{}] * 10)
    claim(db, 5)
    session = connect()
    session.isolation_level = level
    for _ in range(5):
        tick(session)
    assert len(claim(db, 10)) == 5
