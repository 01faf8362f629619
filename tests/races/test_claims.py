"""Claims never wait, never hand a job out twice, and keep the order.

The sessions here give up after a millisecond of waiting for a lock, so that whoever waits fails.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from races.mutation import Edit, Mutation
from races.stage import Connect, Stage
from support.calls import claim, claim_one, enqueue
from support.sessions import open_transaction

Db = psycopg.Connection[Any]
CLAIM_WAITS = Mutation(
    "a claim waits for another one",
    (
        Edit(
            "3_claim/claim_next.sql",
            "limit v_left\n                    for update skip locked",
            "limit v_left\n                    for update",
        ),
    ),
)
CLAIM_TAKES_UNLOCKED = Mutation(
    "a claim takes jobs without locking them first",
    (
        Edit(
            "3_claim/claim_next.sql",
            "limit v_left\n                    for update skip locked",
            "limit v_left",
        ),
    ),
)


def test_a_claim_passes_over_what_another_holds(a: Db, b: Db) -> None:
    ids = [enqueue(a) for _ in range(4)]
    with open_transaction(a):
        assert _ids(claim(a, max_jobs=2)) == ids[:2]
        assert _ids(claim(b, max_jobs=10)) == ids[2:]
        assert claim(b, max_jobs=10) == []


def test_a_claim_that_would_wait_is_noticed(a: Db, b: Db) -> None:
    CLAIM_WAITS.apply(a)
    enqueue(a)
    with open_transaction(a):
        claim(a)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            claim(b)


@pytest.mark.parametrize(
    "holding",
    [
        "select rowqueue.cancel(%(id)s)",
        "select from rowqueue.jobs where id = %(id)s for update",
        "update rowqueue.jobs set payload = '{}' where id = %(id)s",
        "delete from rowqueue.jobs where id = %(id)s",
    ],
)
def test_a_claim_passes_over_a_row_that_is_locked_for_any_reason(
    a: Db, b: Db, holding: str
) -> None:
    first, second = enqueue(a), enqueue(a)
    with open_transaction(a, "rollback"):
        a.execute(holding, {"id": first})
        assert claim_one(b).id == second
    assert claim_one(b).id == first


def test_a_claim_that_is_rolled_back_gives_the_job_its_place_back(a: Db, b: Db) -> None:
    first, second, third = (enqueue(a) for _ in range(3))
    with open_transaction(a, "rollback"):
        assert claim_one(a).id == first
        assert claim_one(b).id == second
    assert _ids(claim(b, max_jobs=2)) == [first, third]


def test_what_the_holders_of_a_whole_priority_leave_is_of_a_lower_one(a: Db, b: Db) -> None:
    low = enqueue(a)
    urgent = [enqueue(a, priority=9) for _ in range(3)]
    with open_transaction(a):
        assert _ids(claim(a, max_jobs=3)) == urgent
        assert _ids(claim(b, max_jobs=3)) == [low]


def test_several_queues_are_one_line_even_if_others_hold_its_head(a: Db, b: Db) -> None:
    queues = ["one", "two", "three"]
    ids = [enqueue(a, queue=queues[n % 3]) for n in range(12)]
    with open_transaction(a):
        assert _ids(claim(a, queues=queues, max_jobs=4)) == ids[:4]
        assert _ids(claim(b, queues=queues, max_jobs=5)) == ids[4:9]
    assert _ids(claim(b, queues=queues, max_jobs=5)) == ids[9:]


def test_no_job_is_handed_out_twice(db: Db, connect: Connect) -> None:
    handed_out = _claimed_by_many(db, connect)
    assert len(handed_out) == 600
    assert len({job.id for job in handed_out}) == 600
    assert len({job.token for job in handed_out}) == 600


def test_a_job_that_would_be_handed_out_twice_is_noticed(a: Db, b: Db) -> None:
    """Without the lock, a claim that comes second takes the same job by its old row version."""
    CLAIM_TAKES_UNLOCKED.apply(a)
    enqueue(a)
    with open_transaction(a):
        claim_one(a)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            claim(b)


def test_each_worker_gets_jobs_in_order(db: Db, connect: Connect) -> None:
    """Whoever asks later gets later jobs: by priority first, then by arrival."""
    order: dict[Any, tuple[int, int]] = {}
    for arrival in range(300):
        priority = arrival % 3
        order[enqueue(db, priority=priority)] = (-priority, arrival)
    sessions = [connect() for _ in range(4)]
    with ThreadPoolExecutor(len(sessions)) as workers:
        for claimed in workers.map(_claim_until_empty, sessions):
            places = [order[job.id] for job in claimed]
            assert places == sorted(places)


def test_a_worker_alone_gets_strictly_what_is_first(stage: Stage) -> None:
    db = stage.db
    delayed = enqueue(db, run_after=stage.later(seconds=1))
    low, high = enqueue(db), enqueue(db, priority=1)
    stage.pass_time(timedelta(seconds=2))
    late = enqueue(db)
    assert _ids(_claim_until_empty(db)) == [high, low, late, delayed]


def test_a_claim_under_repeatable_read_says_so_when_another_was_quicker(a: Db, b: Db) -> None:
    enqueue(a)
    a.execute("begin isolation level repeatable read")
    a.execute("select count(*) from rowqueue.jobs")
    claim_one(b)
    with pytest.raises(psycopg.errors.SerializationFailure):
        claim(a)


def _ids(jobs: list[Any]) -> list[Any]:
    return [job.id for job in jobs]


def _claim_until_empty(session: Db) -> list[Any]:
    claimed: list[Any] = []
    while jobs := claim(session):
        claimed += jobs
    return claimed


def _claimed_by_many(db: Db, connect: Connect) -> list[Any]:
    queues = ["one", "two", "three"]
    for n in range(600):
        enqueue(db, queue=queues[n % 3], priority=n % 2)
    sessions = [connect() for _ in range(4)]

    def work(session: Db) -> list[Any]:
        claimed: list[Any] = []
        while jobs := claim(session, queues=queues, max_jobs=7):
            claimed += jobs
        return claimed

    with ThreadPoolExecutor(len(sessions)) as workers:
        return [job for claimed in workers.map(work, sessions) for job in claimed]
