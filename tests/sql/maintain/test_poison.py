"""A job that kills its worker ends as failed; the jobs that were claimed with it lose nothing."""

from __future__ import annotations

import pytest

from support.calls import (
    claim,
    claim_one,
    enqueue,
    enqueue_many,
    everything,
    job,
    open_lanes,
    rows,
    value,
)


def lose(session, clock):
    """The worker dies: its leases run out and somebody reaps."""
    clock.advance(minutes=1)
    rows(session, "reap_stuck")


def batch(session, *jobs):
    """Enqueues jobs and claims them all in one call; returns the rows of the claim."""
    enqueue_many(session, *jobs)
    held = claim(session, max(2, len(jobs)))
    assert len(held) == len(jobs)
    return held


def test_a_batch_that_loses_its_lease_gets_its_attempts_back_and_is_due_at_once(tx, clock):
    held = batch(tx, *[{}] * 5)
    assert {claimed.attempts for claimed in held} == {1}
    lose(tx, clock)
    for row in everything(tx):
        assert (row.status, row.attempts, row.crashes) == ("pending", 0, 1)
        assert row.run_after == clock.now
        assert "worker lost" in row.last_error


def test_from_then_on_each_of_them_is_handed_out_alone(tx, clock):
    held = batch(tx, *[{}] * 3)
    lose(tx, clock)
    again = [claim(tx, 10) for _ in held]
    assert [len(each) for each in again] == [1, 1, 1]
    assert {each[0].id for each in again} == {claimed.id for claimed in held}
    assert [each[0].alone for each in again] == [True] * 3
    assert claim(tx, 10) == []


def test_a_suspect_ends_a_batch_and_then_is_a_batch_by_itself(tx, clock):
    open_lanes(tx, "default", "other")
    suspect, _ = batch(tx, {}, {})
    early = [enqueue(tx, queue="other") for _ in range(2)]
    lose(tx, clock)
    late = enqueue(tx, queue="other")
    batches = [claim(tx, 10, queues=["other", "default"]) for _ in range(4)]
    assert [[row.alone for row in each] for each in batches] == [
        [False, False],
        [True],
        [True],
        [False],
    ]
    assert [row.id for row in batches[0]] == early
    assert batches[1][0].id == suspect.id
    assert batches[3][0].id == late


@pytest.mark.parametrize("max_attempts", [2, 3, 5])
def test_the_killer_is_failed_after_exactly_max_attempts_and_its_neighbours_complete(
    tx, clock, max_attempts
):
    options = {"max_attempts": max_attempts}
    held = batch(tx, *({"payload": {"killer": n == 3}, **options} for n in range(8)))
    killer = next(claimed.id for claimed in held if claimed.payload["killer"])
    runs = 1
    lose(tx, clock)
    while True:
        clock.advance(days=1)
        if not (held := claim(tx, 8)):
            break
        [suspect] = held
        if suspect.id == killer:
            runs += 1
            lose(tx, clock)
        else:
            assert suspect.attempts == 1
            rows(tx, "complete", job_id=suspect.id, token=suspect.token)

    assert runs == max_attempts
    ends = {row.id: (row.status, row.attempts) for row in everything(tx)}
    assert ends.pop(killer) == ("failed", max_attempts)
    assert set(ends.values()) == {("completed", 1)}
    assert "worker lost" in job(tx, killer).error


@pytest.mark.parametrize("max_attempts", [1, 2, 3, 5])
def test_a_killer_that_was_always_alone_is_failed_after_exactly_max_attempts(
    tx, clock, max_attempts
):
    killer = enqueue(tx, max_attempts=max_attempts)
    runs = 0
    while held := claim(tx):
        runs += 1
        assert held[0].attempts == runs
        lose(tx, clock)
        clock.advance(days=1)
    assert runs == max_attempts
    assert job(tx, killer).status == "failed"


def test_several_killers_in_one_batch_all_end_as_failed(tx, clock):
    batch(tx, *({"payload": {"killer": n % 2 == 0}} for n in range(6)))
    lose(tx, clock)
    runs = 6
    while held := claim(tx, 10):
        runs += 1
        if held[0].payload["killer"]:
            lose(tx, clock)
        else:
            rows(tx, "complete", job_id=held[0].id, token=held[0].token)
        clock.advance(days=1)
    ends = {(row.payload["killer"], row.status) for row in everything(tx)}
    assert ends == {(True, "failed"), (False, "completed")}
    assert runs == 6 + 3 + 3 * 2


def test_jobs_of_another_claim_are_not_suspected(tx, clock):
    batch(tx, *[{}] * 2)
    clock.advance(seconds=30)
    [bystander, _] = batch(tx, *[{}] * 2)
    clock.advance(seconds=30)
    assert len(rows(tx, "reap_stuck")) == 2
    assert job(tx, bystander.id).status == "running"
    assert job(tx, bystander.id).crashes == 0


def test_a_suspect_that_fails_decently_is_not_charged_for_the_crash(tx, clock):
    [suspect, _] = batch(tx, {}, {})
    lose(tx, clock)
    again = claim_one(tx)
    assert again.id == suspect.id
    given = {"job_id": again.id, "token": again.token, "error": "e", "retry_after": "0"}
    assert value(tx, "fail_with_backoff", **given) == "pending"
    assert job(tx, suspect.id).attempts == 1
    lose(tx, clock)
    assert job(tx, suspect.id).attempts == 1


def test_a_suspect_that_is_released_is_still_handed_out_alone(tx, clock):
    [suspect, _] = batch(tx, {}, {})
    lose(tx, clock)
    again = claim_one(tx)
    rows(tx, "release", job_id=again.id, token=again.token)
    assert job(tx, suspect.id).attempts == 0
    assert [row.alone for row in [*claim(tx, 10), *claim(tx, 10)]] == [True, True]


def test_priority_and_order_hold_for_suspects_too(tx, clock):
    batch(tx, {"priority": 1}, {"priority": 1})
    lose(tx, clock)
    low = enqueue(tx)
    high = enqueue(tx, priority=2)
    got = [claim(tx, 10) for _ in range(4)]
    assert [row.id for row in got[0]] == [high]
    assert [row.alone for each in got[1:3] for row in each] == [True, True]
    assert [row.id for row in got[3]] == [low]
