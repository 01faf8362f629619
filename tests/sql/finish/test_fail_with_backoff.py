"""rowqueue.fail_with_backoff: an attempt that failed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from support.calls import claim, claim_one, job, refused, rows, running, stored, value


def fail(session, held, error="boom", **arguments):
    """Fails an attempt and returns the new status."""
    given = {"job_id": held.id, "token": held.token, "error": error, **arguments}
    return value(session, "fail_with_backoff", **given)


def test_with_attempts_left_it_is_pending_again(tx, clock):
    held = running(tx)
    assert fail(tx, held) == "pending"
    found = job(tx, held.id)
    assert (found.status, found.attempts, found.last_error) == ("pending", 1, "boom")
    assert (found.error, found.started_at, found.worker) == (None, None, None)
    assert (found.lease_until, found.completed_at) == (None, None)


def test_it_waits_2_4_8_seconds(tx, clock):
    held = running(tx, max_attempts=5)
    for seconds in (2, 4, 8, 16):
        assert fail(tx, held) == "pending"
        assert job(tx, held.id).run_after - clock.now == timedelta(seconds=seconds)
        clock.advance(timedelta(seconds=seconds, microseconds=-1))
        assert claim(tx, queues=[held.queue]) == []
        clock.advance(timedelta(microseconds=1))
        held = claim_one(tx, queues=[held.queue])


@pytest.mark.parametrize("attempts", [15, 16, 17, 30, 31, 32, 44, 62, 63, 64, 999])
def test_the_wait_is_capped_at_a_day_and_never_overflows(tx, clock, attempts):
    held = running(tx, max_attempts=1000)
    tx.execute("update rowqueue.jobs set attempts = %s where id = %s", [attempts, held.id])
    assert fail(tx, held) == "pending"
    expected = min(timedelta(seconds=2 ** min(attempts, 20)), timedelta(days=1))
    assert job(tx, held.id).run_after - clock.now == expected


def test_the_last_attempt_fails_for_good(tx, clock):
    held = running(tx, max_attempts=2)
    fail(tx, held, "first")
    clock.advance(seconds=2)
    held = claim_one(tx, queues=[held.queue])
    assert fail(tx, held, "second") == "failed"
    found = job(tx, held.id)
    assert (found.status, found.attempts, found.completed_at) == ("failed", 2, clock.now)
    assert (found.error, found.last_error) == ("second", "second")


def test_it_runs_max_attempts_times_and_not_once_more(tx, clock):
    held = running(tx, max_attempts=4)
    attempts = [held.attempts]
    while fail(tx, held) == "pending":
        clock.advance(hours=1)
        held = claim_one(tx, queues=[held.queue])
        attempts.append(held.attempts)
    assert attempts == [1, 2, 3, 4]
    clock.advance(days=1)
    assert claim(tx, queues=[held.queue]) == []


def test_without_retry_the_first_failure_is_final(tx):
    held = running(tx)
    assert fail(tx, held, retry=False) == "failed"
    assert (job(tx, held.id).status, job(tx, held.id).error) == ("failed", "boom")


def test_retry_after_goes_before_the_backoff(tx, clock):
    held = running(tx)
    fail(tx, held, retry_after="90 seconds")
    assert job(tx, held.id).run_after - clock.now == timedelta(seconds=90)


def test_retry_after_nothing_is_due_at_once(tx):
    held = running(tx)
    fail(tx, held, retry_after="0")
    assert claim_one(tx, queues=[held.queue]).attempts == 2


def test_retry_after_does_not_give_another_attempt(tx):
    held = running(tx, max_attempts=1)
    assert fail(tx, held, retry_after="90 seconds") == "failed"


def test_a_job_that_was_asked_to_stop_is_cancelled(tx):
    held = running(tx)
    value(tx, "cancel", job_id=held.id, reason="not needed")
    assert fail(tx, held) == "cancelled"
    assert (job(tx, held.id).status, job(tx, held.id).error) == ("cancelled", "not needed")


def test_the_error_of_an_earlier_attempt_stays_when_the_job_completes(tx, clock):
    held = running(tx)
    fail(tx, held, "first", retry_after="0")
    held = claim_one(tx, queues=[held.queue])
    rows(tx, "complete", job_id=held.id, token=held.token)
    found = job(tx, held.id)
    assert (found.status, found.error, found.last_error) == ("completed", None, "first")


def test_a_second_call_is_refused_for_the_token_is_spent(tx):
    held = running(tx)
    fail(tx, held)
    before = stored(tx, held.id)
    with refused(tx, "RQ101"):
        fail(tx, held)
    assert stored(tx, held.id) == before


def test_an_old_token_fails_nothing(tx):
    old = running(tx)
    fail(tx, old, retry_after="0")
    claim_one(tx, queues=[old.queue])
    before = stored(tx, old.id)
    with refused(tx, "RQ101"):
        fail(tx, old, retry=False)
    assert stored(tx, old.id) == before


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        ("é" * 8192, "é" * 4096),
        ("x" + "é" * 8192, "x" + "é" * 4095),
        ("€" * 3_000_000, "€" * 2730),
        ("\x01\x1b[31m\u202e\ufffe", "\x01\x1b[31m\u202e\ufffe"),
        ("", ""),
    ],
    ids=["two bytes", "odd", "nine million bytes", "control characters", "empty"],
)
def test_no_error_text_makes_it_fail_and_8_kib_of_it_are_kept(tx, error, kept):
    held = running(tx)
    assert fail(tx, held, error) == "pending"
    assert job(tx, held.id).last_error == kept


def test_a_null_error_is_no_reason_to_fail_either(tx):
    held = running(tx)
    assert fail(tx, held, None) == "pending"
    assert job(tx, held.id).last_error
