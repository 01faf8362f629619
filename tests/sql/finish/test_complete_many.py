"""rowqueue.complete_many: completes many jobs, and says of each how it went."""

from __future__ import annotations

from psycopg.types.json import Jsonb

from support.calls import (
    NOBODY,
    claim,
    claim_one,
    enqueue_many,
    everything,
    job,
    rows,
    running,
    stored,
    value,
)


def complete_all(session, *jobs, **arguments):
    """Completes claimed jobs; returns the outcomes in the order of the jobs."""
    ids, tokens = [held.id for held in jobs], [held.token for held in jobs]
    outcomes = rows(session, "complete_many", job_ids=ids, tokens=tokens, **arguments)
    said = {row.id: row.outcome for row in outcomes}
    assert len(said) == len(outcomes), "one row for each job"
    return [said[job_id] for job_id in ids]


def test_all_of_them_complete_each_with_its_own_result(tx, clock):
    made = [row.id for row in enqueue_many(tx, *[{}] * 20)]
    held = claim(tx, 20)
    clock.advance(seconds=7)
    results = [Jsonb({"n": n}) for n in range(20)]
    assert complete_all(tx, *held, results=results) == ["completed"] * 20
    assert [job(tx, job_id).result["n"] for job_id in made] == list(range(20))
    assert {(row.status, row.completed_at) for row in everything(tx)} == {("completed", clock.now)}


def test_without_results_they_are_null(tx):
    one, two = running(tx), running(tx)
    assert complete_all(tx, one, two) == ["completed"] * 2
    assert complete_all(tx, one, two, results=None) == ["already"] * 2
    assert job(tx, one.id).result is None


def test_results_may_be_null_one_by_one(tx):
    one, two = running(tx), running(tx)
    complete_all(tx, one, two, results=[None, Jsonb({"n": 2})])
    assert [job(tx, each.id).result for each in (one, two)] == [None, {"n": 2}]


def test_one_bad_row_is_no_error_and_the_others_complete(tx):
    fine, again, lost, cancelled, stale = (running(tx) for _ in range(5))
    rows(tx, "complete", job_id=again.id, token=again.token)
    rows(tx, "release", job_id=lost.id, token=lost.token)
    value(tx, "cancel", job_id=cancelled.id)
    value(tx, "cancel", job_id=cancelled.id)
    before = [stored(tx, each.id) for each in (again, lost, cancelled, stale)]
    outcomes = complete_all(
        *(tx, fine, again, lost, cancelled),
        *(stale._replace(token=stale.token + 1), fine._replace(id=NOBODY)),
    )
    assert outcomes == ["completed", "already", "lost", "lost", "lost", "lost"]
    assert [stored(tx, each.id) for each in (again, lost, cancelled, stale)] == before


def test_a_repeated_call_says_already_and_changes_nothing(tx, clock):
    held = [running(tx) for _ in range(3)]
    complete_all(tx, *held)
    before = everything(tx)
    clock.advance(seconds=7)
    assert complete_all(tx, *held) == ["already"] * 3
    assert everything(tx) == before


def test_a_job_named_twice_has_one_row_and_completes_once(tx):
    held = running(tx)
    given = {"job_ids": [held.id] * 3, "tokens": [held.token, held.token, 1]}
    assert rows(tx, "complete_many", **given) == [(held.id, "completed")]
    assert rows(tx, "complete_many", **given) == [(held.id, "already")]
    assert len(everything(tx)) == 1


def test_no_jobs_give_no_rows(tx):
    assert rows(tx, "complete_many", job_ids=[], tokens=[]) == []


def test_a_result_that_cannot_be_stored_fails_its_own_job_and_no_other(tx):
    fine, odd = running(tx), running(tx)
    results = [Jsonb({"n": 1}), Jsonb("x" * 1_100_000)]
    assert complete_all(tx, fine, odd, results=results) == ["completed", "lost"]
    failed = job(tx, odd.id)
    assert (failed.status, failed.attempts) == ("pending", 1)
    assert "result" in failed.last_error
    assert "1 MiB" in failed.last_error


def test_a_result_that_cannot_be_stored_fails_the_last_attempt_for_good(tx):
    odd = running(tx, max_attempts=1)
    complete_all(tx, odd, results=[Jsonb("x" * 1_100_000)])
    assert job(tx, odd.id).status == "failed"
    assert "1 MiB" in job(tx, odd.id).error


def test_a_result_that_cannot_be_stored_changes_nothing_under_another_token(tx):
    old = running(tx)
    rows(tx, "release", job_id=old.id, token=old.token)
    claim_one(tx, queues=[old.queue])
    before = stored(tx, old.id)
    assert complete_all(tx, old, results=[Jsonb("x" * 1_100_000)]) == ["lost"]
    assert stored(tx, old.id) == before


def test_the_completions_stand_or_fall_with_the_callers_transaction(db, connect):
    held = [running(db) for _ in range(3)]
    worker = connect(autocommit=False)
    complete_all(worker, *held)
    worker.rollback()
    assert {job(db, each.id).status for each in held} == {"running"}
