"""Claims never wait, never hand a job out twice, and keep the order.

The sessions here give up after a millisecond of waiting for a lock, so that whoever waits fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from races.mutation import Edit, Mutation
from races.stage import Connect, Stage
from support.calls import claim, claim_one, enqueue, rows, value

Db = psycopg.Connection[Any]
TICK_WAITS = Mutation(
    "a tick waits for another one",
    (
        Edit(
            "6_maintain/_raise_floors.sql",
            "v_note.id for update skip locked",
            "v_note.id for update",
        ),
    ),
)
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


@pytest.fixture
def impatient(connect: Connect) -> Callable[[], Db]:
    """Opens sessions that don't wait for locks."""
    return lambda: connect(options="-c lock_timeout=1ms")


@pytest.fixture
def a(impatient: Callable[[], Db]) -> Db:
    """One session."""
    return impatient()


@pytest.fixture
def b(impatient: Callable[[], Db]) -> Db:
    """And another."""
    return impatient()


@contextmanager
def open_transaction(session: Db, ending: str = "commit") -> Iterator[None]:
    """A transaction that the other sessions see from outside."""
    session.execute("begin")
    yield
    session.execute(ending)


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
    delayed = enqueue(db, run_after=_in(stage, seconds=1))
    low, high = enqueue(db), enqueue(db, priority=1)
    stage.pass_time(timedelta(seconds=2))
    late = enqueue(db)
    assert _ids(_claim_until_empty(db)) == [high, low, late, delayed]


def test_a_claim_passes_over_jobs_that_a_tick_is_promoting(stage: Stage, a: Db, b: Db) -> None:
    due = _due_job(stage)
    with open_transaction(a):
        assert value(a, "tick")["promoted"] == 1
        assert claim(b) == []
    assert claim_one(b).id == due


def test_a_tick_passes_over_jobs_that_a_claim_is_promoting(stage: Stage, a: Db, b: Db) -> None:
    due = _due_job(stage)
    with open_transaction(a, "rollback"):
        assert claim_one(a).id == due
        assert value(b, "tick")["promoted"] == 0
    assert value(b, "tick")["promoted"] == 1
    assert claim_one(b).id == due


def test_two_claims_that_promote_share_the_jobs(stage: Stage, a: Db, b: Db) -> None:
    for _ in range(5):
        enqueue(stage.db, run_after=_in(stage, seconds=1))
    stage.pass_time(timedelta(seconds=2))
    with open_transaction(a):
        first = claim(a, max_jobs=3)
        second = claim(b, max_jobs=3)
    assert (len(first), len(second)) == (3, 2)
    assert not set(_ids(first)) & set(_ids(second))


def test_due_jobs_behind_a_thousand_that_another_holds_are_found(
    stage: Stage, a: Db, b: Db
) -> None:
    stage.db.execute(
        "select rowqueue.enqueue('sync', run_after => %s) from generate_series(1, 1010)",
        [_in(stage, seconds=1)],
    )
    stage.pass_time(timedelta(seconds=2))
    with open_transaction(a):
        assert len(claim(a, max_jobs=1000)) == 1000
        assert len(claim(b, max_jobs=20)) == 10


def test_a_claim_holds_only_what_it_may_take(stage: Stage, a: Db, b: Db) -> None:
    for _ in range(5):
        enqueue(stage.db, run_after=_in(stage, seconds=1))
    stage.pass_time(timedelta(seconds=2))
    with open_transaction(a):
        claim_one(a)
        assert len(claim(b, max_jobs=10)) == 4


def test_the_first_job_of_a_lane_keeps_nobody_waiting(a: Db, b: Db) -> None:
    with open_transaction(a):
        first = enqueue(a, queue="new")
        second = enqueue(b, queue="new")
        assert _ids(claim(b, queues=["new"], max_jobs=5)) == [second]
        tick = value(b, "tick")
        assert tick["below_floor"] == 0
    assert claim_one(b, queues=["new"]).id == first


def test_two_transactions_that_make_a_lane_end_in_either_order(a: Db, b: Db) -> None:
    with open_transaction(a):
        first = enqueue(a, queue="new", priority=3)
        with open_transaction(b, "rollback"):
            enqueue(b, queue="new", priority=3)
        assert claim(b, queues=["new"]) == []
    with open_transaction(a):
        other = enqueue(a, queue="newer")
        b.execute("begin")
        another = enqueue(b, queue="newer")
    assert claim_one(a, queues=["newer"]).id == other
    b.execute("commit")
    assert claim_one(a, queues=["new", "newer"]).id == first
    assert claim_one(a, queues=["new", "newer"]).id == another


def test_ticks_do_not_wait_for_each_other(stage: Stage, a: Db, b: Db) -> None:
    _something_for_every_part_of_a_tick(stage)
    with open_transaction(a):
        done = value(a, "tick")
        assert min(done["floors"], done["promoted"], done["reaped"]) > 0
        assert value(b, "tick")["reaped"] == 0


def test_a_tick_that_would_wait_is_noticed(stage: Stage, a: Db, b: Db) -> None:
    TICK_WAITS.apply(stage.db)
    _something_for_every_part_of_a_tick(stage)
    with open_transaction(a):
        value(a, "tick")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            value(b, "tick")


def test_reapers_share_the_jobs(stage: Stage, a: Db, b: Db) -> None:
    for _ in range(5):
        enqueue(stage.db)
    claim(stage.db, max_jobs=5)
    stage.pass_time(timedelta(minutes=2))
    with open_transaction(a):
        first = rows(a, "reap_stuck", max_jobs=3)
        second = rows(b, "reap_stuck", max_jobs=3)
    assert (len(first), len(second)) == (3, 2)
    assert not set(_ids(first)) & set(_ids(second))


def test_a_claim_under_repeatable_read_says_so_when_another_was_quicker(a: Db, b: Db) -> None:
    enqueue(a)
    a.execute("begin isolation level repeatable read")
    a.execute("select count(*) from rowqueue.jobs")
    claim_one(b)
    with pytest.raises(psycopg.errors.SerializationFailure):
        claim(a)


def _ids(jobs: list[Any]) -> list[Any]:
    return [job.id for job in jobs]


def _in(stage: Stage, **units: float) -> Any:
    return stage.value("select rowqueue._now() + %s", timedelta(**units))


def _due_job(stage: Stage) -> Any:
    due = enqueue(stage.db, run_after=_in(stage, seconds=1))
    stage.pass_time(timedelta(seconds=2))
    return due


def _something_for_every_part_of_a_tick(stage: Stage) -> None:
    for _ in range(3):
        enqueue(stage.db)
        stage.work(["default"])
    stage.tick()
    enqueue(stage.db)
    claim_one(stage.db)
    stage.pass_time(timedelta(minutes=2))
    enqueue(stage.db, run_after=_in(stage, seconds=1))
    stage.pass_time(timedelta(seconds=2))


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
