"""rowqueue.reap_stuck: takes back the jobs whose worker is gone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from support.calls import (
    claim,
    claim_one,
    enqueue_many,
    everything,
    job,
    refused,
    rows,
    running,
    stored,
    value,
)


def reap(session, **arguments):
    """Reaps, and returns the outcome of each job."""
    return {row.id: row.outcome for row in rows(session, "reap_stuck", **arguments)}


def test_a_job_within_its_lease_and_timeout_is_left_alone(tx, clock):
    held = running(tx)
    before = stored(tx, held.id)
    clock.advance(timedelta(minutes=1, microseconds=-1))
    assert reap(tx) == {}
    assert stored(tx, held.id) == before


def test_when_the_lease_has_run_out_the_job_is_pending_again_with_backoff(tx, clock):
    held = running(tx)
    clock.advance(minutes=1)
    assert reap(tx) == {held.id: "pending"}
    found = job(tx, held.id)
    assert (found.status, found.attempts) == ("pending", 1)
    assert (found.worker, found.started_at, found.lease_until) == (None, None, None)
    assert found.run_after == clock.now + timedelta(seconds=2)
    assert "worker lost" in found.last_error


def test_the_backoff_grows_with_the_attempts(tx, clock):
    held = running(tx, max_attempts=5)
    for seconds in (2, 4, 8, 16):
        clock.advance(minutes=1)
        reap(tx)
        assert job(tx, held.id).run_after - clock.now == timedelta(seconds=seconds)
        clock.advance(seconds=seconds)
        held = claim_one(tx, queues=[held.queue])


def test_when_no_attempt_is_left_the_job_is_failed(tx, clock):
    held = running(tx, max_attempts=1)
    clock.advance(minutes=1)
    assert reap(tx) == {held.id: "failed"}
    found = job(tx, held.id)
    assert (found.status, found.completed_at) == ("failed", clock.now)
    assert "worker lost" in found.error
    assert found.error == found.last_error


def test_when_the_timeout_has_run_out_the_error_says_so_with_the_figure(tx, clock):
    held = running(tx, timeout_ms=30_000)
    clock.advance(seconds=30)
    assert reap(tx) == {held.id: "pending"}
    found = job(tx, held.id)
    assert "timeout" in found.last_error
    assert "30000 ms" in found.last_error
    assert found.attempts == 1
    assert found.run_after == clock.now + timedelta(seconds=2)


def test_a_job_within_its_timeout_is_left_alone(tx, clock):
    running(tx, timeout_ms=30_000)
    clock.advance(timedelta(seconds=30, microseconds=-1))
    assert reap(tx) == {}


def test_heartbeats_do_not_put_the_timeout_off(tx, clock):
    held = running(tx, timeout_ms=90_000)
    for _ in range(3):
        clock.advance(seconds=30)
        value(tx, "extend_lease", job_id=held.id, token=held.token)
    assert reap(tx) == {held.id: "pending"}
    assert "timeout" in job(tx, held.id).last_error


def test_a_timeout_of_the_last_attempt_fails_the_job(tx, clock):
    held = running(tx, timeout_ms=30_000, max_attempts=1)
    clock.advance(seconds=30)
    assert reap(tx) == {held.id: "failed"}
    assert "timeout" in job(tx, held.id).error


def test_a_timeout_is_no_crash(tx, clock):
    """The job comes back in the company of others: it did not kill its worker."""
    held = running(tx, timeout_ms=30_000)
    clock.advance(seconds=30)
    reap(tx)
    clock.advance(seconds=2)
    assert claim_one(tx, queues=[held.queue]).alone is False


def test_the_old_workers_token_is_dead(tx, clock):
    held = running(tx)
    clock.advance(minutes=1)
    reap(tx)
    before = stored(tx, held.id)
    for function, more in [
        ("complete", {}),
        ("fail_with_backoff", {"error": "e"}),
        ("report_progress", {"current": 1}),
        ("extend_lease", {}),
        ("release", {}),
    ]:
        with refused(tx, "RQ101"):
            rows(tx, function, job_id=held.id, token=held.token, **more)
    assert stored(tx, held.id) == before


def test_a_job_that_was_asked_to_stop_is_cancelled(tx, clock):
    lost, slow = running(tx), running(tx, timeout_ms=30_000)
    for held in (lost, slow):
        value(tx, "cancel", job_id=held.id, reason="not needed")
    clock.advance(minutes=1)
    assert reap(tx) == {lost.id: "cancelled", slow.id: "cancelled"}
    assert job(tx, lost.id).error == "not needed"


def test_pending_and_finished_jobs_are_left_alone(tx, clock):
    enqueue_many(tx, *[{}] * 3)
    held = running(tx)
    rows(tx, "complete", job_id=held.id, token=held.token)
    before = everything(tx)
    clock.advance(days=1)
    assert reap(tx) == {}
    assert everything(tx) == before


def test_it_takes_at_most_max_jobs_the_oldest_claims_first(tx, clock):
    held = [running(tx).id for _ in range(5)]
    clock.advance(minutes=1)
    assert list(reap(tx, max_jobs=2)) == held[:2]
    assert list(reap(tx)) == held[2:]


def test_callers_at_once_share_the_work_and_none_waits(db, clock, connect):
    enqueue_many(db, *[{}] * 10)
    held = {claimed.id for claimed in claim(db, 10)}
    clock.advance(minutes=1)
    other = connect(autocommit=False)
    db.execute("set lock_timeout = '1ms'")
    mine, theirs = reap(other, max_jobs=4), reap(db)
    assert (len(mine), len(theirs)) == (4, 6)
    assert mine.keys() | theirs.keys() == held
    other.commit()
    assert reap(db) == {}


@pytest.mark.parametrize("first", ["complete", "reap"])
def test_of_a_reaper_and_a_worker_that_completes_exactly_one_wins(db, clock, connect, first):
    held = running(db)
    clock.advance(minutes=1)
    worker, reaper = connect(autocommit=False), connect(autocommit=False)
    if first == "complete":
        rows(worker, "complete", job_id=held.id, token=held.token)
        assert reap(reaper) == {}
        worker.commit()
        assert job(db, held.id).status == "completed"
    else:
        assert reap(reaper) == {held.id: "pending"}
        reaper.commit()
        with refused(worker, "RQ101"):
            rows(worker, "complete", job_id=held.id, token=held.token)
        assert job(db, held.id).status == "pending"


def test_a_heartbeat_under_way_keeps_the_job_from_the_reaper(db, clock, connect):
    held = running(db)
    clock.advance(minutes=1)
    worker = connect(autocommit=False)
    value(worker, "extend_lease", job_id=held.id, token=held.token)
    db.execute("set lock_timeout = '1ms'")
    assert reap(db) == {}
    worker.commit()
    assert reap(db) == {}


def test_a_reaped_job_is_claimed_again_and_completes(tx, clock):
    held = running(tx)
    clock.advance(minutes=1)
    reap(tx)
    clock.advance(seconds=2)
    again = claim_one(tx, queues=[held.queue])
    assert (again.id, again.attempts) == (held.id, 2)
    rows(tx, "complete", job_id=again.id, token=again.token)
    assert job(tx, held.id).status == "completed"
