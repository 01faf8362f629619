"""rowqueue.enqueue: one job, in the caller's transaction."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from psycopg import IsolationLevel

from support.calls import claim, claim_one, enqueue, everything, job, stored, value

MINUTE = timedelta(minutes=1)


def test_a_job_with_nothing_but_a_type_has_the_defaults_of_the_contract(tx, clock):
    found = job(tx, enqueue(tx, "sync"))
    assert found._asdict() == {
        "id": found.id,
        "workspace_id": None,
        "job_type": "sync",
        "status": "pending",
        "priority": 0,
        "payload": {},
        "progress": None,
        "result": None,
        "error": None,
        "last_error": None,
        "attempts": 0,
        "max_attempts": 3,
        "created_at": clock.now,
        "started_at": None,
        "completed_at": None,
        "run_after": clock.now,
        "timeout_ms": 600_000,
        "queue": "default",
        "unique_key": None,
        "worker": None,
        "lease_until": None,
        "cancel_requested_at": None,
        "crashes": 0,
    }


def test_every_argument_is_kept_in_the_job(tx, clock):
    arguments: dict[str, Any] = {
        "job_type": "export",
        "payload": {"format": "csv", "columns": ["é", None, 1.5]},
        "workspace_id": uuid4(),
        "priority": -7,
        "run_after": clock.now + MINUTE,
        "max_attempts": 8,
        "timeout_ms": 1234,
        "unique_key": "invoice 17",
        "queue": "slow",
    }
    found = job(tx, value(tx, "enqueue", **arguments))
    assert {name: getattr(found, name) for name in arguments} == arguments


def test_arguments_can_be_given_by_position_in_the_order_of_the_contract(tx, clock):
    given = ["sync", "{}", uuid4(), 5, clock.now, 4, 1000, "key", "slow"]
    row = tx.execute("select rowqueue.enqueue(%s, %s, %s, %s, %s, %s, %s, %s, %s) as id", given)
    found = job(tx, row.fetchone().id)
    assert [
        *(found.job_type, found.workspace_id, found.priority, found.run_after),
        *(found.max_attempts, found.timeout_ms, found.unique_key, found.queue),
    ] == [given[0], *given[2:]]


def test_a_null_payload_is_an_empty_object(tx):
    assert job(tx, enqueue(tx, payload=None)).payload == {}


@pytest.mark.parametrize(
    "argument",
    [
        {"priority": -32768},
        {"priority": 32767},
        {"max_attempts": 1},
        {"max_attempts": 1000},
        {"timeout_ms": 1},
        {"timeout_ms": 86_400_000},
        {"unique_key": "é" * 256},
        {"queue": "a" + "_.:-09az" * 7 + "012345"},
        {"queue": "7"},
    ],
    ids=str,
)
def test_what_lies_at_the_edge_of_a_range_is_accepted_and_runs(tx, argument):
    job_id = enqueue(tx, **argument)
    assert claim_one(tx, queues=[argument.get("queue", "default")]).id == job_id


def test_a_job_is_seen_by_nobody_until_its_transaction_commits(db, connect):
    producer = connect(autocommit=False)
    job_id = enqueue(producer)
    assert stored(db, job_id) is None
    assert claim(db) == []
    producer.commit()
    assert claim_one(db).id == job_id


def test_a_transaction_that_rolls_back_leaves_no_job(db, connect):
    producer = connect(autocommit=False)
    enqueue(producer)
    producer.rollback()
    assert everything(db) == []


def test_a_savepoint_that_rolls_back_takes_only_its_own_job_along(db, connect):
    with db.transaction():
        kept = enqueue(db)
        with db.transaction(force_rollback=True):
            enqueue(db)
    assert [row.id for row in everything(db)] == [kept]


@pytest.mark.parametrize(
    "level",
    [IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE],
    ids=lambda level: level.name,
)
def test_it_works_in_transactions_of_every_isolation_level(db, connect, level):
    producer = connect(autocommit=False)
    producer.isolation_level = level
    producer.execute("select count(*) from rowqueue.lanes")
    enqueue(db, queue="old")
    jobs = [enqueue(producer, queue="old"), enqueue(producer, queue="new")]
    producer.commit()
    assert {claimed.id for claimed in claim(db, 10, queues=["old", "new"])} >= set(jobs)


def test_ids_made_later_are_larger(db):
    ids = [enqueue(db) for _ in range(50)]
    assert ids == sorted(ids)
    assert {job_id.version for job_id in ids} == {7}
    assert {job_id.variant for job_id in ids} == {"specified in RFC 4122"}


def test_a_run_after_in_the_past_means_now(tx, clock):
    job_id = enqueue(tx, run_after=clock.now - MINUTE)
    assert claim_one(tx).id == job_id


def test_an_enqueue_waits_for_no_other_enqueue(db, connect):
    """Not even for one that makes the same new lane, and has not committed."""
    other = connect(autocommit=False)
    enqueue(other, queue="new")
    db.execute("set lock_timeout = '1ms'")
    mine = enqueue(db, queue="new")
    assert claim_one(db, queues=["new"]).id == mine
    other.commit()
    assert claim_one(db, queues=["new"]).id != mine
