"""rowqueue.retry: a failed or cancelled job gets its attempts anew."""

from __future__ import annotations

import pytest

from support.calls import claim_one, enqueue, job, refused, rows, running, stored, value


def failed(session, **arguments):
    """A job that failed for good, as the row of its last claim."""
    held = running(session, **arguments)
    given = {"job_id": held.id, "token": held.token, "error": "boom", "retry": False}
    value(session, "fail_with_backoff", **given)
    return held


def retry(session, job_id):
    """Retries a job."""
    rows(session, "retry", job_id=job_id)


def test_a_failed_job_is_pending_with_its_attempts_anew_and_due_now(tx, clock):
    held = failed(tx, max_attempts=2)
    clock.advance(days=1)
    retry(tx, held.id)
    found = job(tx, held.id)
    assert (found.status, found.attempts, found.run_after) == ("pending", 0, clock.now)
    assert (found.error, found.completed_at, found.worker) == (None, None, None)
    assert found.last_error == "boom"
    assert claim_one(tx, queues=[held.queue]).attempts == 1


def test_a_cancelled_job_is_pending_again(tx):
    job_id = enqueue(tx, priority=4)
    value(tx, "cancel", job_id=job_id)
    retry(tx, job_id)
    assert claim_one(tx).id == job_id


def test_it_keeps_what_it_is_and_loses_what_became_of_it(tx):
    given = {
        "payload": {"n": 1},
        "priority": 3,
        "max_attempts": 7,
        "timeout_ms": 9,
        "unique_key": "k",
    }
    held = running(tx, "export", **given)
    rows(tx, "report_progress", job_id=held.id, token=held.token, current=5)
    rows(tx, "fail_with_backoff", job_id=held.id, token=held.token, error="e", retry=False)
    before = job(tx, held.id)
    retry(tx, held.id)
    after = job(tx, held.id)
    kept = ["id", "workspace_id", "job_type", "queue", "created_at", *given]
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
    assert (after.progress, after.result, after.error) == (None, None, None)


def test_the_old_token_is_dead(tx):
    held = failed(tx)
    retry(tx, held.id)
    again = claim_one(tx, queues=[held.queue])
    assert again.token > held.token
    before = stored(tx, held.id)
    with refused(tx, "RQ101"):
        rows(tx, "complete", job_id=held.id, token=held.token)
    assert stored(tx, held.id) == before


def test_a_job_that_killed_its_worker_is_no_longer_handed_out_alone(tx, clock):
    held = running(tx, max_attempts=1)
    clock.advance(minutes=2)
    assert rows(tx, "reap_stuck") == [(held.id, "failed")]
    retry(tx, held.id)
    assert claim_one(tx, queues=[held.queue]).alone is False


@pytest.mark.parametrize("status", ["pending", "running", "completed"])
def test_any_other_status_is_refused_and_named(tx, status):
    held = running(tx)
    if status == "pending":
        rows(tx, "release", job_id=held.id, token=held.token)
    elif status == "completed":
        rows(tx, "complete", job_id=held.id, token=held.token)
    before = stored(tx, held.id)
    with refused(tx, "RQ102") as caught:
        retry(tx, held.id)
    assert status in str(caught.value)
    assert stored(tx, held.id) == before


def test_a_job_whose_unique_key_is_taken_is_refused_and_stays_failed(tx):
    held = failed(tx, unique_key="k")
    holder = enqueue(tx, unique_key="k")
    before = stored(tx, held.id)
    with refused(tx, "RQ102") as caught:
        retry(tx, held.id)
    assert "unique_key" in str(caught.value)
    assert stored(tx, held.id) == before
    value(tx, "cancel", job_id=holder)
    retry(tx, held.id)
