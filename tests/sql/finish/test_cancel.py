"""rowqueue.cancel: at once while a job waits, by asking its worker while it runs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from support.calls import claim, claim_one, enqueue, job, refused, rows, running, stored, value


def cancel(session, job_id, **arguments):
    """Cancels a job and returns what the function says."""
    return value(session, "cancel", job_id=job_id, **arguments)


def test_a_pending_job_is_cancelled_at_once(tx, clock):
    job_id = enqueue(tx)
    clock.advance(seconds=7)
    assert cancel(tx, job_id, reason="not needed") == "cancelled"
    found = job(tx, job_id)
    assert (found.status, found.completed_at) == ("cancelled", clock.now)
    assert (found.error, found.last_error) == ("not needed", None)
    assert claim(tx) == []


def test_without_a_reason_the_error_still_says_what_happened(tx):
    job_id = enqueue(tx)
    cancel(tx, job_id)
    assert job(tx, job_id).error == "cancelled"


def test_a_delayed_job_is_cancelled_at_once(tx, clock):
    job_id = enqueue(tx, run_after=clock.now + timedelta(hours=1))
    assert cancel(tx, job_id) == "cancelled"
    clock.advance(hours=1)
    assert claim(tx) == []


def test_a_retrying_job_is_cancelled_at_once(tx):
    held = running(tx)
    rows(tx, "fail_with_backoff", job_id=held.id, token=held.token, error="e")
    assert cancel(tx, held.id) == "cancelled"
    assert job(tx, held.id).last_error == "e"


def test_a_running_job_is_asked_to_stop_and_runs_on(tx, clock):
    held = running(tx)
    assert cancel(tx, held.id, reason="not needed") == "running"
    found = job(tx, held.id)
    assert (found.status, found.cancel_requested_at) == ("running", clock.now)
    assert found.error is None


def test_a_second_call_cancels_a_running_job_and_its_token_is_dead(tx):
    held = running(tx)
    assert [cancel(tx, held.id), cancel(tx, held.id)] == ["running", "cancelled"]
    assert job(tx, held.id).status == "cancelled"
    before = stored(tx, held.id)
    with refused(tx, "RQ102"):
        rows(tx, "complete", job_id=held.id, token=held.token)
    assert stored(tx, held.id) == before


def test_the_reason_of_the_first_call_stays_unless_the_second_has_one(tx):
    one, two = running(tx), running(tx)
    for held, second in ((one, None), (two, "hurry")):
        cancel(tx, held.id, reason="not needed")
        cancel(tx, held.id, reason=second)
    assert [job(tx, each.id).error for each in (one, two)] == ["not needed", "hurry"]


def test_the_end_of_the_lease_cancels_a_running_job_that_was_asked_to_stop(tx, clock):
    held = running(tx)
    cancel(tx, held.id, reason="not needed")
    clock.advance(minutes=2)
    assert rows(tx, "reap_stuck") == [(held.id, "cancelled")]
    assert (job(tx, held.id).status, job(tx, held.id).error) == ("cancelled", "not needed")


def test_a_cancelled_job_stays_as_it_is_and_the_call_says_cancelled(tx, clock):
    job_id = enqueue(tx)
    cancel(tx, job_id, reason="first")
    before = stored(tx, job_id)
    clock.advance(seconds=7)
    assert cancel(tx, job_id, reason="second") == "cancelled"
    assert stored(tx, job_id) == before


@pytest.mark.parametrize("end", ["completed", "failed"])
def test_a_job_that_completed_or_failed_cannot_be_cancelled(tx, end):
    held = running(tx)
    if end == "completed":
        rows(tx, "complete", job_id=held.id, token=held.token)
    else:
        given = {"job_id": held.id, "token": held.token, "error": "e", "retry": False}
        rows(tx, "fail_with_backoff", **given)
    before = stored(tx, held.id)
    with refused(tx, "RQ102"):
        cancel(tx, held.id)
    assert stored(tx, held.id) == before


def test_a_request_to_stop_ends_with_the_attempt(tx):
    """A job that somebody retries later isn't told to stop by an old request."""
    held = running(tx)
    cancel(tx, held.id)
    cancel(tx, held.id)
    rows(tx, "retry", job_id=held.id)
    again = claim_one(tx, queues=[held.queue])
    assert value(tx, "extend_lease", job_id=again.id, token=again.token) is True
    assert job(tx, held.id).cancel_requested_at is None


def test_a_long_reason_is_cut_at_1024_bytes(tx):
    job_id = enqueue(tx)
    cancel(tx, job_id, reason="é" * 1000)
    assert job(tx, job_id).error == "é" * 512


def test_the_worker_keeps_its_token_between_the_request_and_the_end(tx):
    held = claim_one(tx, queues=[enqueue_somewhere(tx)])
    cancel(tx, held.id)
    rows(tx, "report_progress", job_id=held.id, token=held.token, current=1)
    rows(tx, "complete", job_id=held.id, token=held.token)
    assert job(tx, held.id).status == "completed"


def enqueue_somewhere(session):
    """Enqueues a job in a queue of its own and returns the queue."""
    enqueue(session, queue="somewhere")
    return "somewhere"
