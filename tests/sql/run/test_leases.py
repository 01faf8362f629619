"""rowqueue.extend_lease and extend_leases: the heartbeat of one job, and of many."""

from __future__ import annotations

from datetime import timedelta

import pytest

from support.calls import (
    NOBODY,
    claim,
    enqueue_many,
    everything,
    job,
    refused,
    rows,
    running,
    stored,
    value,
)


def extend(session, held, **arguments):
    """Extends the lease of a claimed job and returns what the function says."""
    return value(session, "extend_lease", job_id=held.id, token=held.token, **arguments)


def extend_all(session, *jobs, **arguments):
    """Extends the leases of claimed jobs; returns the outcomes in the order of the jobs."""
    ids, tokens = [held.id for held in jobs], [held.token for held in jobs]
    outcomes = rows(session, "extend_leases", job_ids=ids, tokens=tokens, **arguments)
    said = {row.id: row.outcome for row in outcomes}
    assert len(said) == len(outcomes), "one row for each job"
    return [said[job_id] for job_id in ids]


def test_a_lease_is_extended_from_now(tx, clock):
    held = running(tx)
    clock.advance(seconds=30)
    assert extend(tx, held, lease="5 minutes") is True
    assert job(tx, held.id).lease_until == clock.now + timedelta(minutes=5)


def test_a_lease_is_a_minute_by_default(tx, clock):
    one, two = running(tx), running(tx)
    clock.advance(seconds=30)
    extend(tx, one)
    extend_all(tx, two)
    assert job(tx, one.id).lease_until == clock.now + timedelta(minutes=1)
    assert job(tx, two.id).lease_until == clock.now + timedelta(minutes=1)


def test_a_lease_that_ran_out_is_extended_while_nobody_took_the_job_back(tx, clock):
    held = running(tx)
    clock.advance(minutes=5)
    assert extend(tx, held) is True
    assert rows(tx, "reap_stuck") == []


def test_nothing_else_of_the_job_changes(tx, clock):
    held = running(tx)
    before = stored(tx, held.id)
    clock.advance(seconds=30)
    extend(tx, held)
    assert stored(tx, held.id)._replace(lease_until=before.lease_until) == before


def test_extend_lease_says_false_once_a_cancellation_was_requested(tx, clock):
    held = running(tx)
    value(tx, "cancel", job_id=held.id)
    clock.advance(seconds=30)
    assert extend(tx, held) is False
    assert job(tx, held.id).lease_until == clock.now + timedelta(minutes=1)


def test_extend_lease_refuses_another_token(tx):
    held = running(tx)
    before = stored(tx, held.id)
    with refused(tx, "RQ101"):
        extend(tx, held._replace(token=held.token + 1))
    assert stored(tx, held.id) == before


def test_extend_leases_extends_all_of_them_in_one_call(tx, clock):
    enqueue_many(tx, *[{}] * 20)
    held = claim(tx, 20)
    clock.advance(seconds=30)
    assert extend_all(tx, *held, lease="2 minutes") == ["extended"] * 20
    assert {row.lease_until for row in everything(tx)} == {clock.now + timedelta(minutes=2)}


def test_extend_leases_says_for_each_job_how_it_stands_and_raises_for_none(tx):
    fine, stopping, lost, finished = (running(tx) for _ in range(4))
    value(tx, "cancel", job_id=stopping.id)
    rows(tx, "release", job_id=lost.id, token=lost.token)
    rows(tx, "complete", job_id=finished.id, token=finished.token)
    stale = running(tx)
    before = stored(tx, stale.id)
    outcomes = extend_all(
        tx, fine, stopping, lost, finished, stale._replace(token=1), fine._replace(id=NOBODY)
    )
    assert outcomes == ["extended", "cancel", "lost", "lost", "lost", "lost"]
    assert stored(tx, stale.id) == before


def test_extend_leases_of_no_jobs_gives_no_rows(tx):
    assert rows(tx, "extend_leases", job_ids=[], tokens=[]) == []


@pytest.mark.parametrize("function", ["extend_lease", "report_progress"])
def test_a_heartbeat_is_a_hot_update(tx, function):
    """It touches no index, however often it comes."""
    held = running(tx)
    arguments = {"current": 1} if function == "report_progress" else {}
    count = (
        "select n_tup_upd, n_tup_hot_upd from pg_stat_xact_all_tables"
        " where relid = 'rowqueue.jobs_live'::regclass"
    )
    before = tx.execute(count).fetchone()
    for _ in range(10):
        value(tx, function, job_id=held.id, token=held.token, **arguments)
    after = tx.execute(count).fetchone()
    assert after.n_tup_upd - before.n_tup_upd == 10
    assert after.n_tup_hot_upd - before.n_tup_hot_upd == 10


def test_heartbeats_of_two_sessions_in_any_order_of_ids_wait_but_never_crosswise(db, connect):
    """Rows are locked in id order, so the one that comes second waits for none that it blocks."""
    enqueue_many(db, *[{}] * 10)
    held = claim(db, 10)
    one, two = connect(autocommit=False), connect(autocommit=False)
    extend_all(one, held[4])
    two.execute("set lock_timeout = '1ms'")
    with refused(two, "55P03"):
        extend_all(two, *reversed(held))
    assert extend_all(one, *held) == ["extended"] * 10
