"""rowqueue.health: how each queue is. And version."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from support.calls import claim, enqueue, enqueue_many, rows, running, value


def health(session, queue="default"):
    """Returns the row of one queue as a dict, without its name."""
    [found] = [row for row in rows(session, "health") if row.queue == queue]
    numbers = found._asdict()
    del numbers["queue"]
    return numbers


QUIET = {
    "pending": 0,
    "due": 0,
    "running": 0,
    "stuck": 0,
    "failed_last_hour": 0,
    "failure_rate_last_hour": None,
    "oldest_due_age": None,
}


def end(session, held, failed):
    """Completes or fails a claimed job."""
    given = {"job_id": held.id, "token": held.token}
    if failed:
        rows(session, "fail_with_backoff", error="e", retry=False, **given)
    else:
        rows(session, "complete", **given)


def test_a_queue_that_was_never_used_has_no_row(tx):
    assert rows(tx, "health") == []


def test_each_queue_has_a_row_in_the_order_of_their_names(tx):
    enqueue_many(tx, *({"queue": q} for q in "bcab"))
    assert [(row.queue, row.pending) for row in rows(tx, "health")] == [
        ("a", 1),
        ("b", 2),
        ("c", 1),
    ]


def test_a_queue_that_was_worked_off_still_has_its_row(tx, clock):
    held = running(tx)
    end(tx, held, failed=False)
    clock.advance(hours=2)
    assert health(tx, held.queue) == QUIET


def test_pending_jobs_are_counted_and_the_due_ones_among_them(tx, clock):
    enqueue_many(tx, {}, {})
    enqueue(tx, run_after=clock.now + timedelta(hours=1))
    assert health(tx)["pending"] == 3
    assert health(tx)["due"] == 2
    clock.advance(hours=1)
    assert health(tx)["due"] == 3


def test_the_oldest_due_age_counts_from_when_the_job_became_due(tx, clock):
    enqueue(tx, run_after=clock.now + timedelta(hours=1))
    assert health(tx)["oldest_due_age"] is None
    clock.advance(hours=1, minutes=5)
    enqueue(tx)
    assert health(tx)["oldest_due_age"] == timedelta(minutes=5)


def test_running_jobs_are_counted_and_the_stuck_ones_among_them(tx, clock):
    enqueue_many(tx, {}, {}, {}, {"timeout_ms": 30_000})
    claim(tx, 2, lease="10 seconds")
    claim(tx, 2, lease="1 minute")
    assert (health(tx)["running"], health(tx)["stuck"]) == (4, 0)
    assert health(tx)["pending"] == 0
    clock.advance(seconds=10)
    assert (health(tx)["running"], health(tx)["stuck"]) == (4, 2)
    clock.advance(seconds=20)
    assert (health(tx)["running"], health(tx)["stuck"]) == (4, 3)
    rows(tx, "reap_stuck")
    assert (health(tx)["running"], health(tx)["stuck"]) == (1, 0)


def test_the_failure_rate_is_the_share_of_what_ended_within_the_hour(tx, clock):
    enqueue_many(tx, *[{}] * 9)
    held = claim(tx, 9)
    end(tx, held[0], failed=True)
    clock.advance(minutes=61)
    for n, each in enumerate(held[1:]):
        end(tx, each, failed=n < 2)
    assert health(tx)["failed_last_hour"] == 2
    assert health(tx)["failure_rate_last_hour"] == Decimal("0.25")
    clock.advance(hours=1)
    assert health(tx)["failed_last_hour"] == 0
    assert health(tx)["failure_rate_last_hour"] is None


def test_cancelled_jobs_are_no_failures_and_no_successes(tx):
    value(tx, "cancel", job_id=enqueue(tx))
    assert health(tx) == QUIET


def test_an_attempt_that_is_retried_is_no_failure(tx):
    enqueue(tx)
    [held] = claim(tx)
    rows(tx, "fail_with_backoff", job_id=held.id, token=held.token, error="e")
    assert health(tx)["failed_last_hour"] == 0


def test_the_version_is_that_of_the_newest_migration(tx):
    version = value(tx, "version")
    assert version.isdecimal()
    assert len(version) == 4
