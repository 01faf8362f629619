"""rowqueue.claim_next: hands out due jobs, in order, to one worker each."""

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
    open_lanes,
    refused,
    rows,
    running,
    value,
)

MICROSECOND = timedelta(microseconds=1)


def order(db, max_jobs=100, **arguments):
    """Claims jobs and returns the n of each payload."""
    return [claimed.payload["n"] for claimed in claim(db, max_jobs, **arguments)]


def test_an_empty_queue_gives_no_rows(tx):
    assert claim(tx, 10) == []


def test_a_claim_marks_the_job_as_running(tx, clock):
    job_id = enqueue(tx, timeout_ms=5000)
    clock.advance(seconds=3)
    claimed = claim_one(tx, worker="host 1", lease="90 seconds")
    assert job(tx, job_id)._asdict() == {
        **job(tx, job_id)._asdict(),
        "status": "running",
        "attempts": 1,
        "started_at": clock.now,
        "worker": "host 1",
        "lease_until": clock.now + timedelta(seconds=90),
        "completed_at": None,
        "progress": None,
    }
    assert claimed.lease_until == clock.now + timedelta(seconds=90)


def test_the_default_lease_is_a_minute(tx, clock):
    enqueue(tx)
    assert claim_one(tx).lease_until == clock.now + timedelta(minutes=1)


def test_a_claimed_job_has_what_a_worker_needs(tx):
    job_id = enqueue(tx, "export", payload={"format": "csv"}, workspace_id=None, priority=4)
    claimed, found = claim_one(tx), job(tx, job_id)
    shared = set(claimed._fields) & set(found._fields)
    assert set(claimed._fields) - shared == {"token", "alone"}
    assert {name: getattr(claimed, name) for name in shared} == {
        name: getattr(found, name) for name in shared
    }
    assert claimed.token > 0
    assert claimed.alone is False


def test_higher_priority_first_then_first_come_first_served(tx):
    priorities = [0, 5, -1, 5, 32767, 0, -32768, -1]
    enqueue_many(tx, *({"priority": p, "payload": {"n": n}} for n, p in enumerate(priorities)))
    assert order(tx) == [4, 1, 3, 0, 5, 2, 7, 6]


def test_single_claims_come_in_the_same_order_as_a_batch(tx):
    priorities = [0, 5, -1, 5, 0]
    enqueue_many(tx, *({"priority": p, "payload": {"n": n}} for n, p in enumerate(priorities)))
    assert [order(tx, 1) for _ in range(6)] == [[1], [3], [0], [4], [2], []]


def test_first_come_first_served_holds_across_the_queues_of_a_call(tx):
    enqueue_many(tx, *({"queue": q, "payload": {"n": n}} for n, q in enumerate("abcaabccb")))
    assert order(tx, 4, queues=["c", "a"]) == [0, 2, 3, 4]
    assert order(tx, 100, queues=["a", "b", "c"]) == [1, 5, 6, 7, 8]


def test_priority_goes_before_age_across_the_queues_of_a_call(tx):
    enqueue_many(
        tx,
        {"queue": "a", "payload": {"n": 0}},
        {"queue": "b", "payload": {"n": 1}, "priority": 1},
        {"queue": "a", "payload": {"n": 2}, "priority": 1},
    )
    assert order(tx, queues=["a", "b"]) == [1, 2, 0]


def test_only_the_named_queues_are_served_and_default_is_the_default(tx):
    enqueue_many(tx, *({"queue": q, "payload": {"n": n}} for n, q in enumerate(["a", "default"])))
    assert order(tx) == [1]
    assert order(tx, queues=["nothing here"]) == []
    assert order(tx, queues=["a", "a"]) == [0]


def test_it_hands_out_at_most_max_jobs(tx):
    enqueue_many(tx, *({"queue": q, "priority": n % 3} for n, q in enumerate("ab" * 10)))
    assert [len(claim(tx, 8, queues=["a", "b"])) for _ in range(4)] == [8, 8, 4, 0]


def test_a_job_is_handed_out_once(tx):
    enqueue_many(tx, *[{}] * 20)
    assert len({claimed.id for _ in range(4) for claimed in claim(tx, 5)}) == 20


def test_every_claim_draws_a_larger_token(tx):
    first = running(tx)
    tokens = [first.token]
    for _ in range(3):
        rows(tx, "release", job_id=first.id, token=tokens[-1])
        again = claim_one(tx, queues=[first.queue])
        assert again.id == first.id
        tokens.append(again.token)
    tokens.append(running(tx).token)
    assert tokens == sorted(set(tokens))


def test_tokens_rise_in_the_order_of_a_batch(tx):
    enqueue_many(tx, *({"priority": n % 4} for n in range(40)))
    tokens = [claimed.token for claimed in claim(tx, 40)]
    assert tokens == sorted(set(tokens))


def test_it_never_waits_for_another_worker(db, connect):
    open_lanes(db, "default")
    made = [row.id for row in enqueue_many(db, *[{}] * 6)]
    other = connect(autocommit=False)
    db.execute("set lock_timeout = '1ms'")
    assert [claimed.id for claimed in claim(other, 3)] == made[:3]
    assert [claimed.id for claimed in claim(db, 2)] == made[3:5]
    assert [claimed.id for claimed in claim(db, 3)] == made[5:]
    assert claim(db, 3) == []


def test_it_never_waits_for_another_worker_across_queues(db, connect):
    open_lanes(db, "a", "b")
    made = [row.id for row in enqueue_many(db, *({"queue": q} for q in "abab" * 3))]
    other = connect(autocommit=False)
    db.execute("set lock_timeout = '1ms'")
    assert [claimed.id for claimed in claim(other, 5, queues=["a", "b"])] == made[:5]
    assert [claimed.id for claimed in claim(db, 5, queues=["a", "b"])] == made[5:10]


def test_the_first_claim_of_a_new_lane_keeps_no_other_job_from_others(db, connect):
    first, second = [row.id for row in enqueue_many(db, {}, {})]
    assert claim_one(connect(autocommit=False)).id == first
    db.execute("set lock_timeout = '1ms'")
    assert [claimed.id for claimed in claim(db, 10)] == [second]


def test_a_claim_keeps_no_other_job_that_became_due_from_others(db, clock, connect):
    open_lanes(db, "default")
    due = {"run_after": (clock.now + timedelta(hours=1)).isoformat()}
    first, second = [row.id for row in enqueue_many(db, due, due)]
    clock.advance(hours=1)
    assert claim_one(connect(autocommit=False)).id == first
    db.execute("set lock_timeout = '1ms'")
    assert [claimed.id for claimed in claim(db, 10)] == [second]


def test_what_becomes_due_behind_a_thousand_jobs_that_others_hold_is_claimed(db, clock, connect):
    due = {"run_after": (clock.now + timedelta(hours=1)).isoformat()}
    made = [row.id for row in enqueue_many(db, *[due] * 1010)]
    clock.advance(hours=1)
    assert len(claim(connect(autocommit=False), 1000)) == 1000
    db.execute("set lock_timeout = '1ms'")
    assert len({job.id for job in claim(db, 20)} & {*made}) == 10


def test_jobs_of_a_claim_that_is_rolled_back_are_free_again_and_lose_nothing(db, connect):
    made = [row.id for row in enqueue_many(db, *[{}] * 3)]
    before = everything(db)
    other = connect(autocommit=False)
    tokens = [claimed.token for claimed in claim(other, 3)]
    other.rollback()
    assert everything(db) == before
    again = claim(db, 3)
    assert [claimed.id for claimed in again] == made
    assert not {claimed.token for claimed in again} & set(tokens)


def test_a_delayed_job_is_not_claimed_before_its_time(tx, clock):
    due_at = clock.now + timedelta(hours=1)
    job_id = enqueue(tx, run_after=due_at)
    assert claim(tx) == []
    clock.set(due_at - MICROSECOND)
    assert claim(tx) == []
    clock.set(due_at)
    assert claim_one(tx).id == job_id


def test_delayed_jobs_come_in_the_order_of_their_times_whatever_their_age(tx, clock):
    for n, hours in enumerate([3, 1, 2]):
        enqueue(tx, run_after=clock.now + timedelta(hours=hours), payload={"n": n})
    clock.advance(hours=4)
    assert order(tx) == [1, 2, 0]


def test_a_job_that_became_due_is_served_within_a_second_under_any_backlog(tx, clock):
    """A second after the last look, the next claim promotes it, with work left in the lanes."""
    enqueue_many(tx, *[{"payload": {"n": 0}}] * 10)
    enqueue(tx, run_after=clock.now + timedelta(seconds=5), priority=1, payload={"n": 1})
    assert order(tx, 1) == [0]
    clock.advance(seconds=5)
    assert order(tx, 1) == [1]


def test_a_job_that_became_due_is_served_at_once_when_nothing_else_waits(tx, clock):
    enqueue(tx)
    job_id = enqueue(tx, run_after=clock.now + timedelta(milliseconds=10))
    claim_one(tx)
    clock.advance(milliseconds=10)
    assert claim_one(tx).id == job_id


def test_a_lease_taken_late_in_a_long_transaction_is_not_born_expired(db, clock, connect):
    worker = connect(autocommit=False)
    worker.execute("select now()")
    enqueue(db)
    clock.advance(hours=2)
    assert claim_one(worker, lease="1 minute").lease_until == clock.now + timedelta(minutes=1)


def test_a_claim_for_one_says_that_the_job_runs_alone_and_one_for_several_does_not(tx):
    enqueue_many(tx, {}, {})
    tx.execute("select rowqueue.claim_next('w', max_jobs => 1)")
    tx.execute("select rowqueue.claim_next('w', max_jobs => 2)")
    flags = [row.claimed_alone for row in sorted(everything(tx), key=lambda row: row.token)]
    assert flags == [True, False]


def test_progress_of_an_earlier_attempt_is_cleared(tx):
    first = running(tx)
    rows(tx, "report_progress", job_id=first.id, token=first.token, current=5, total=10)
    rows(tx, "release", job_id=first.id, token=first.token)
    claim_one(tx, queues=[first.queue])
    assert job(tx, first.id).progress is None


def test_a_job_that_comes_back_goes_to_the_end_of_its_lane(tx):
    enqueue_many(tx, *({"payload": {"n": n}} for n in range(3)))
    first = claim_one(tx)
    rows(tx, "release", job_id=first.id, token=first.token)
    assert order(tx) == [1, 2, 0]


@pytest.mark.parametrize("level", [IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE])
def test_a_quicker_claim_is_a_serialization_failure_under_stricter_isolation(db, connect, level):
    enqueue(db)
    worker = connect(autocommit=False)
    worker.isolation_level = level
    worker.execute("select count(*) from rowqueue.jobs")
    claim_one(db)
    with refused(worker, "40001"):
        claim(worker)


def test_a_job_of_a_transaction_that_commits_late_is_not_passed_by_for_ever(db, connect):
    enqueue(db)
    late = connect(autocommit=False)
    late_id = enqueue(late)
    early_id = enqueue(db)
    assert early_id in [claimed.id for claimed in claim(db, 10)]
    late.commit()
    assert [claimed.id for claimed in claim(db, 10)] == [late_id]


def test_the_claim_stands_or_falls_with_the_callers_transaction(db, connect):
    job_id = enqueue(db)
    worker = connect(autocommit=False)
    token = claim_one(worker).token
    worker.execute("create table public.effects (n int)")
    value(worker, "fail_with_backoff", job_id=job_id, token=token, error="e", retry_after="0")
    worker.rollback()
    assert job(db, job_id).attempts == 0
    assert job(db, job_id).last_error is None
