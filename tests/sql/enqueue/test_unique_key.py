"""unique_key: one live job for each workspace, job type and key, however many ask for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from psycopg import IsolationLevel

from support.calls import claim_one, enqueue, enqueue_many, everything, job, refused, rows, value
from support.waiting import until_blocked


def test_a_second_enqueue_gives_the_first_ones_id_and_makes_nothing(tx):
    first = enqueue(tx, unique_key="a", payload={"n": 1})
    before = everything(tx)
    assert enqueue(tx, unique_key="a", payload={"n": 2}, priority=5, queue="other") == first
    assert everything(tx) == before


def test_a_running_job_holds_its_key(tx):
    first = enqueue(tx, unique_key="a")
    claim_one(tx)
    assert enqueue(tx, unique_key="a") == first


def test_a_retrying_job_holds_its_key(tx):
    first = enqueue(tx, unique_key="a")
    token = claim_one(tx).token
    value(tx, "fail_with_backoff", job_id=first, token=token, error="e")
    assert enqueue(tx, unique_key="a") == first


def test_a_key_belongs_to_a_workspace_and_a_job_type(tx):
    one, two = uuid4(), uuid4()
    scopes = [("sync", one), ("sync", two), ("export", one), ("sync", None), ("export", None)]
    ids = [enqueue(tx, kind, workspace_id=place, unique_key="a") for kind, place in scopes]
    assert len(set(ids)) == len(scopes)
    assert ids == [enqueue(tx, kind, workspace_id=place, unique_key="a") for kind, place in scopes]


def test_jobs_without_a_key_are_never_the_same(tx):
    assert enqueue(tx) != enqueue(tx)


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
def test_the_key_is_free_again_when_the_job_finishes(tx, end):
    first = enqueue(tx, unique_key="a")
    if end == "cancelled":
        value(tx, "cancel", job_id=first)
    elif end == "completed":
        rows(tx, "complete", job_id=first, token=claim_one(tx).token)
    else:
        token = claim_one(tx).token
        value(tx, "fail_with_backoff", job_id=first, token=token, error="e", retry=False)
    assert job(tx, first).status == end
    assert enqueue(tx, unique_key="a") != first


def racing(connect, count):
    """Sessions in autocommit, and a pool in which each can be used."""
    sessions = [connect() for _ in range(count)]
    pool = ThreadPoolExecutor(count)
    return sessions, pool


def test_racing_enqueues_make_one_job_and_all_get_its_id(db, connect):
    holder = connect(autocommit=False)
    first = enqueue(holder, unique_key="a")
    sessions, pool = racing(connect, 5)
    with pool:
        others = [pool.submit(enqueue, session, unique_key="a") for session in sessions]
        for session in sessions:
            until_blocked(db, session.info.backend_pid)
        holder.commit()
        assert {other.result() for other in others} == {first}
    assert [row.id for row in everything(db)] == [first]


def test_when_the_first_rolls_back_one_of_the_others_is_enqueued_and_none_is_lost(db, connect):
    holder = connect(autocommit=False)
    first = enqueue(holder, unique_key="a")
    sessions, pool = racing(connect, 5)
    with pool:
        others = [pool.submit(enqueue, session, unique_key="a") for session in sessions]
        for session in sessions:
            until_blocked(db, session.info.backend_pid)
        holder.rollback()
        [second] = {other.result() for other in others}
    assert second != first
    assert [row.id for row in everything(db)] == [second]
    assert claim_one(db).id == second


def test_an_enqueue_does_not_wait_for_the_transaction_that_ends_the_holder(db, connect):
    first = enqueue(db, unique_key="a")
    worker = connect(autocommit=False)
    token = claim_one(worker).token
    worker.commit()
    rows(worker, "complete", job_id=first, token=token)
    db.execute("set lock_timeout = '1ms'")
    assert enqueue(db, unique_key="a") == first  # it runs, for all that is committed
    worker.commit()
    second = enqueue(db, unique_key="a")
    assert [job(db, each).status for each in (first, second)] == ["completed", "pending"]


def test_batches_with_the_same_keys_in_another_order_cannot_wait_crosswise(db, connect):
    holder = connect(autocommit=False)
    enqueue(holder, unique_key="a")
    [session], pool = racing(connect, 1)
    with pool:
        other = pool.submit(enqueue_many, session, {"unique_key": "b"}, {"unique_key": "a"})
        until_blocked(db, session.info.backend_pid)
        holder.execute("set lock_timeout = '1ms'")
        mine = enqueue(holder, unique_key="b")
        holder.commit()
        assert [row.created for row in other.result()] == [False, False]
        assert other.result()[0].id == mine


def test_under_repeatable_read_a_lost_race_is_a_serialization_failure(db, connect):
    producer = connect(autocommit=False)
    producer.isolation_level = IsolationLevel.REPEATABLE_READ
    producer.execute("select 1 from rowqueue.lanes")
    enqueue(db, unique_key="a")
    with refused(producer, "40001"):
        enqueue(producer, unique_key="a")


def test_without_a_race_repeatable_read_gives_the_holders_id(db, connect):
    first = enqueue(db, unique_key="a")
    producer = connect(autocommit=False)
    producer.isolation_level = IsolationLevel.REPEATABLE_READ
    assert enqueue(producer, unique_key="a") == first
