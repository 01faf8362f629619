"""A unique_key under contention: one live job at a time, and nobody's job is lost or made twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from races.stage import OpenSession
from support.calls import claim_one, enqueue, job, rows
from support.sessions import Answer, Session

ENQUEUE = "select rowqueue.enqueue('sync', unique_key => 'k')"
Db = psycopg.Connection[Any]


def test_racing_enqueues_give_one_job_and_the_same_id_to_all(db: Db, session: OpenSession) -> None:
    first, *others = _sessions(session, 5)
    first.execute("begin")
    made = first.value(ENQUEUE)
    answers = _all_waiting(other.start(ENQUEUE) for other in others)
    first.execute("commit")
    assert {answer.value() for answer in answers} == {made}
    assert _live_ids(db) == [made]


def test_when_the_first_rolls_back_exactly_one_of_the_others_is_enqueued(
    db: Db, session: OpenSession
) -> None:
    first, *others = _sessions(session, 5)
    first.execute("begin")
    never_made = first.value(ENQUEUE)
    answers = _all_waiting(other.start(ENQUEUE) for other in others)
    first.execute("rollback")
    [made] = {answer.value() for answer in answers}
    assert made != never_made
    assert _live_ids(db) == [made]


def test_a_rollback_to_a_savepoint_frees_the_key(db: Db, session: OpenSession) -> None:
    first, second = _sessions(session, 2)
    first.execute("begin; savepoint before")
    first.execute(ENQUEUE)
    answer = second.start(ENQUEUE)
    assert answer.waits()
    first.execute("rollback to savepoint before")
    made = answer.value()
    first.execute("commit")
    assert _live_ids(db) == [made]


def test_many_threads_make_one_job(db: Db, session: OpenSession) -> None:
    sessions = _sessions(session, 8)
    for round_ in range(20):
        answers = [
            racer.start("select rowqueue.enqueue('sync', unique_key => %s)", [f"round {round_}"])
            for racer in sessions
        ]
        assert len({answer.value() for answer in answers}) == 1
    assert len(_live_ids(db)) == 20


def test_an_enqueue_waits_for_a_completion_in_flight_and_then_makes_a_job(
    db: Db, session: OpenSession
) -> None:
    worker, producer = _sessions(session, 2)
    held = _running_with_key(db)
    worker.execute("begin")
    worker.execute("select rowqueue.complete(%s, %s)", [held.id, held.token])
    answer = producer.start(ENQUEUE)
    if answer.waits():
        worker.execute("commit")
        assert answer.value() != held.id
    else:
        # It is as if the enqueue had come first.
        assert answer.value() == held.id
        worker.execute("commit")
    assert job(db, held.id).status == "completed"


def test_an_enqueue_beside_a_completion_that_rolls_back_gets_the_running_job(
    db: Db, session: OpenSession
) -> None:
    worker, producer = _sessions(session, 2)
    held = _running_with_key(db)
    worker.execute("begin")
    worker.execute("select rowqueue.complete(%s, %s)", [held.id, held.token])
    answer = producer.start(ENQUEUE)
    answer.waits()
    worker.execute("rollback")
    assert answer.value() == held.id
    assert _live_ids(db) == [held.id]


@pytest.mark.parametrize(
    "finish",
    [
        "select rowqueue.complete(%(id)s, %(token)s)",
        "select rowqueue.fail_with_backoff(%(id)s, %(token)s, 'no', retry => false)",
        "select rowqueue.cancel(%(id)s) from generate_series(1, 2)",
    ],
    ids=["complete", "fail_with_backoff", "cancel"],
)
def test_the_key_is_free_once_its_job_has_finished(db: Db, finish: str) -> None:
    held = _running_with_key(db)
    assert enqueue(db, unique_key="k") == held.id
    db.execute(finish, {"id": held.id, "token": held.token})
    again = enqueue(db, unique_key="k")
    assert again != held.id
    assert _live_ids(db) == [again]


def test_a_job_that_retries_keeps_its_key(db: Db) -> None:
    held = _running_with_key(db)
    rows(db, "fail_with_backoff", job_id=held.id, token=held.token, error="no")
    assert enqueue(db, unique_key="k") == held.id


def test_a_retry_races_with_an_enqueue_for_the_key(db: Db, session: OpenSession) -> None:
    producer, operator = _sessions(session, 2)
    held = _running_with_key(db)
    rows(db, "fail_with_backoff", job_id=held.id, token=held.token, error="no", retry=False)

    producer.execute("begin")
    made = producer.value(ENQUEUE)
    answer = operator.start("select rowqueue.retry(%s)", [held.id])
    assert answer.waits()
    producer.execute("commit")
    with pytest.raises(psycopg.Error) as refused:
        answer.rows()
    assert refused.value.sqlstate == "RQ102"
    assert _live_ids(db) == [made]
    assert job(db, held.id).status == "failed"


def test_an_enqueue_races_with_a_retry_for_the_key(db: Db, session: OpenSession) -> None:
    operator, producer = _sessions(session, 2)
    held = _running_with_key(db)
    rows(db, "fail_with_backoff", job_id=held.id, token=held.token, error="no", retry=False)

    operator.execute("begin")
    operator.execute("select rowqueue.retry(%s)", [held.id])
    answer = producer.start(ENQUEUE)
    assert answer.waits()
    operator.execute("commit")
    assert answer.value() == held.id
    assert _live_ids(db) == [held.id]


def test_repeatable_read_says_so_when_another_took_the_key(db: Db, session: OpenSession) -> None:
    [old] = _sessions(session, 1)
    old.execute("begin isolation level repeatable read")
    old.execute("select count(*) from rowqueue.jobs")
    made = enqueue(db, unique_key="k")
    with pytest.raises(psycopg.errors.SerializationFailure):
        old.execute(ENQUEUE)
    old.execute("rollback")
    assert old.value(ENQUEUE) == made


def test_batches_with_the_same_keys_in_opposite_order_do_not_deadlock(
    db: Db, session: OpenSession
) -> None:
    """The first waits with some of its keys taken; the second wants them the other way round."""
    blocker, first, second = _sessions(session, 3)
    blocker.execute("begin")
    blocker.execute("select rowqueue.enqueue('sync', unique_key => 'm')")
    one = _enqueue_many(first, "a", "m", "z")
    assert one.waits()
    other = _enqueue_many(second, "z", "m", "a")
    assert other.waits()
    blocker.execute("rollback")
    assert [made.created for made in one.rows()] == [True] * 3
    assert [made.created for made in other.rows()] == [False] * 3
    assert {made.id for made in one.rows()} == {made.id for made in other.rows()}
    assert len(_live_ids(db)) == 3


def test_keys_that_come_free_meanwhile_do_not_deadlock(db: Db, session: OpenSession) -> None:
    blocker, first, second = _sessions(session, 3)
    held = _running_with_key(db, "a")
    blocker.execute("begin")
    blocker.execute("select rowqueue.enqueue('sync', unique_key => 'z')")
    one = _enqueue_many(first, "a", "m", "z")
    assert one.waits()
    rows(db, "complete", job_id=held.id, token=held.token)
    other = _enqueue_many(second, "a", "m")
    assert other.waits()
    blocker.execute("commit")
    _all_are_live_or_were(db, one, other)


def test_going_round_again_does_not_deadlock(db: Db, session: OpenSession) -> None:
    """A key is taken, and its job finishes, while a batch waits; another batch takes it then."""
    taker, blocker, first, second = _sessions(session, 4)
    taker.execute("begin")
    taker.execute("select rowqueue.enqueue('sync', unique_key => 'a', queue => 'quick')")
    blocker.execute("begin")
    blocker.execute("select rowqueue.enqueue('sync', unique_key => 'z')")

    one = _enqueue_many(first, "a", "m", "z")
    assert one.waits(for_=taker)
    taker.execute("commit")
    assert one.waits(for_=blocker)
    quick = claim_one(db, queues=["quick"])
    rows(db, "complete", job_id=quick.id, token=quick.token)
    other = _enqueue_many(second, "a", "m")
    assert other.waits(for_=first)
    blocker.execute("commit")
    _all_are_live_or_were(db, one, other)


def _sessions(session: OpenSession, count: int) -> list[Session]:
    return [session() for _ in range(count)]


def _all_waiting(answers: Iterable[Answer]) -> list[Answer]:
    waiting = list(answers)
    assert all(answer.waits() for answer in waiting)
    return waiting


def _enqueue_many(session: Session, *keys: str) -> Answer:
    jobs = [{"job_type": "sync", "unique_key": key} for key in keys]
    return session.start("select * from rowqueue.enqueue_many(%s)", [Jsonb(jobs)])


def _running_with_key(db: Db, key: str = "k") -> Any:
    enqueue(db, unique_key=key)
    return claim_one(db)


def _live_ids(db: Db) -> list[UUID]:
    return [live.id for live in db.execute("select id from rowqueue.jobs_live").fetchall()]


def _all_are_live_or_were(db: Db, *batches: Answer) -> None:
    """No batch failed, and each was told ids of jobs that exist."""
    told = {made.id for batch in batches for made in batch.rows()}
    known = {known.id for known in db.execute("select id from rowqueue.jobs").fetchall()}
    assert told <= known
    keys = db.execute("select unique_key from rowqueue.jobs_live").fetchall()
    assert len(keys) == len(set(keys)) == 3
