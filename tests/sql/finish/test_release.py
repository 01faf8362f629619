"""rowqueue.release: gives a job back without using up an attempt."""

from __future__ import annotations

from datetime import timedelta

from support.calls import claim, claim_one, job, refused, running, stored, value


def release(session, held, **arguments):
    """Releases a claimed job."""
    return value(session, "release", job_id=held.id, token=held.token, **arguments)


def test_a_released_job_is_pending_has_its_attempt_back_and_is_due_at_once(tx, clock):
    held = running(tx)
    clock.advance(seconds=7)
    release(tx, held)
    found = job(tx, held.id)
    assert (found.status, found.attempts, found.run_after) == ("pending", 0, clock.now)
    assert (found.worker, found.started_at, found.lease_until) == (None, None, None)
    assert found.last_error is None
    assert claim_one(tx, queues=[held.queue]).attempts == 1


def test_a_job_can_be_released_any_number_of_times(tx):
    held = running(tx, max_attempts=1)
    for _ in range(5):
        release(tx, held)
        held = claim_one(tx, queues=[held.queue])
        assert held.attempts == 1


def test_attempts_that_failed_stay_counted(tx):
    held = running(tx)
    given = {"job_id": held.id, "token": held.token, "error": "first", "retry_after": "0"}
    value(tx, "fail_with_backoff", **given)
    release(tx, claim_one(tx, queues=[held.queue]))
    assert job(tx, held.id).attempts == 1
    assert job(tx, held.id).last_error == "first"


def test_after_a_delay_it_may_be_claimed_again(tx, clock):
    held = running(tx)
    release(tx, held, delay="30 seconds")
    assert job(tx, held.id).run_after - clock.now == timedelta(seconds=30)
    assert claim(tx, queues=[held.queue]) == []
    clock.advance(seconds=30)
    assert claim_one(tx, queues=[held.queue]).id == held.id


def test_a_job_that_was_asked_to_stop_is_cancelled(tx):
    held = running(tx)
    value(tx, "cancel", job_id=held.id, reason="not needed")
    release(tx, held)
    assert (job(tx, held.id).status, job(tx, held.id).error) == ("cancelled", "not needed")


def test_a_second_call_is_refused_for_the_token_is_spent(tx):
    held = running(tx)
    release(tx, held)
    before = stored(tx, held.id)
    with refused(tx, "RQ101"):
        release(tx, held)
    assert stored(tx, held.id) == before


def test_an_old_token_releases_nothing(tx):
    old = running(tx)
    release(tx, old)
    claim_one(tx, queues=[old.queue])
    before = stored(tx, old.id)
    with refused(tx, "RQ101"):
        release(tx, old)
    assert stored(tx, old.id) == before
