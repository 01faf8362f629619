"""A queue that has nothing to do writes nothing: an idle worker costs no WAL and no vacuum."""

from __future__ import annotations

import pytest

from support.calls import claim, enqueue, enqueue_many, rows, value
from support.waiting import eventually

IDLE_CALLS = {
    "claim_next": {"worker": "w", "max_jobs": 10},
    "tick": {},
    "reap_stuck": {},
    "mark_idle": {},
}


@pytest.fixture(scope="module")
def idle(shared_db, shared_clock):
    """A database in which jobs were worked off, and another waits for its time."""
    value(shared_db, "tick")
    enqueue_many(shared_db, *({"priority": n % 3} for n in range(30)))
    held = claim(shared_db, 30)
    given = {"job_ids": [row.id for row in held], "tokens": [row.token for row in held]}
    rows(shared_db, "complete_many", **given)
    enqueue(shared_db, run_after=shared_clock.now.replace(year=2041))
    for _ in range(5):
        value(shared_db, "tick")
        shared_clock.advance(seconds=10)
    claim(shared_db)
    value(shared_db, "mark_idle")
    return shared_db


def transaction_id(session):
    """Returns the id of the session's transaction, None as long as it has written nothing."""
    return session.execute("select pg_current_xact_id_if_assigned() as xid").fetchone().xid


def wal_position(session):
    """Returns how far the server's WAL is written."""
    return session.execute("select pg_current_wal_insert_lsn() as lsn").fetchone().lsn


@pytest.mark.parametrize("function", IDLE_CALLS)
def test_an_idle_call_uses_no_transaction_id(idle, function):
    with idle.transaction():
        rows(idle, function, **IDLE_CALLS[function])
        assert transaction_id(idle) is None


@pytest.mark.parametrize("function", IDLE_CALLS)
def test_an_idle_call_writes_no_wal(idle, function):
    """Others write too, and the first reader of a page may; so one quiet call is proof enough."""

    def writes_nothing():
        before = wal_position(idle)
        for _ in range(3):
            rows(idle, function, **IDLE_CALLS[function])
        return wal_position(idle) == before

    eventually(writes_nothing, what=f"{function} to write no WAL")


def test_an_idle_tick_that_looks_below_the_floors_uses_no_transaction_id(idle, shared_clock):
    """Every five seconds: see test_tick.py for what it finds there."""
    shared_clock.advance(seconds=5)
    with idle.transaction():
        value(idle, "tick")
        assert transaction_id(idle) is None


def test_a_claim_that_finds_only_jobs_that_others_hold_uses_no_transaction_id(db, connect):
    enqueue(db)
    assert len(claim(connect(autocommit=False))) == 1
    with db.transaction():
        assert claim(db) == []
        assert transaction_id(db) is None
