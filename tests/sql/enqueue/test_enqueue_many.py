"""rowqueue.enqueue_many: many jobs, all of them or none."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from psycopg.types.json import Jsonb

from support.calls import claim, enqueue, enqueue_many, everything, job, refused, rows


def test_it_returns_a_row_for_each_job_in_the_order_given(tx):
    made = enqueue_many(tx, *({"payload": {"n": n}} for n in range(20)))
    assert [row.ordinal for row in made] == list(range(1, 21))
    assert [row.created for row in made] == [True] * 20
    assert [job(tx, row.id).payload["n"] for row in made] == list(range(20))


def test_ids_rise_in_the_order_given(tx):
    ids = [row.id for row in enqueue_many(tx, *[{}] * 500)]
    assert ids == sorted(set(ids))


def test_jobs_are_claimed_in_the_order_given(tx):
    made = [row.id for row in enqueue_many(tx, *({"queue": q} for q in "abba" * 5))]
    assert [row.id for row in claim(tx, 20, queues=["a", "b"])] == made


def test_the_keys_are_the_arguments_of_enqueue(tx, clock):
    arguments: dict[str, Any] = {
        "job_type": "export",
        "payload": {"format": "csv"},
        "workspace_id": str(uuid4()),
        "priority": 3,
        "run_after": (clock.now + timedelta(hours=1)).isoformat(),
        "max_attempts": 8,
        "timeout_ms": 1234,
        "unique_key": "invoice 17",
        "queue": "slow",
    }
    names = tx.execute("select proargnames from pg_proc where oid = 'rowqueue.enqueue'::regproc")
    assert list(arguments) == names.fetchone().proargnames

    [many] = enqueue_many(tx, arguments)
    one = enqueue(tx, **{**arguments, "unique_key": "another"})
    assert job(tx, many.id) == job(tx, one)._replace(id=many.id, unique_key="invoice 17")


@pytest.mark.parametrize("left_out", [True, False], ids=["left out", "null"])
def test_what_is_left_out_or_null_has_the_default_of_enqueue(tx, clock, left_out):
    names = ["payload", "workspace_id", "priority", "run_after", "max_attempts", "timeout_ms"]
    names += ["unique_key", "queue"]
    [many] = enqueue_many(tx, {} if left_out else dict.fromkeys(names))
    by_default = job(tx, enqueue(tx))
    assert job(tx, many.id)._replace(id=by_default.id) == by_default


def test_an_empty_array_makes_nothing(tx):
    assert rows(tx, "enqueue_many", jobs=Jsonb([])) == []
    assert everything(tx) == []


def test_one_bad_job_and_none_is_made_and_the_message_says_which(tx):
    with refused(tx, "22023") as caught:
        enqueue_many(tx, {}, {"queue": "other"}, {"priority": 40000}, {})
    assert "jobs[3].priority" in str(caught.value)
    assert everything(tx) == []


def test_a_key_that_is_no_argument_is_refused_and_the_hint_has_the_arguments(tx):
    with refused(tx, "22023") as caught:
        enqueue_many(tx, {}, {"prioritaet": 1})
    assert "jobs[2]" in str(caught.value)
    assert "priority" in caught.value.diag.message_hint


def test_it_is_part_of_the_callers_transaction(db, connect):
    producer = connect(autocommit=False)
    enqueue_many(producer, {}, {})
    assert everything(db) == []
    producer.rollback()
    assert everything(db) == []


def test_ten_thousand_jobs_go_in_with_one_call(tx):
    assert len(enqueue_many(tx, *[{"payload": {"n": 1}}] * 10_000)) == 10_000


def test_the_same_key_twice_in_one_call_makes_one_job(tx):
    made = enqueue_many(tx, {"unique_key": "a"}, {"unique_key": "b"}, {"unique_key": "a"})
    assert [row.created for row in made] == [True, True, False]
    assert made[0].id == made[2].id != made[1].id
    assert len(everything(tx)) == 2


def test_a_key_that_a_live_job_holds_gives_its_id(tx):
    holder = enqueue(tx, unique_key="a")
    made = enqueue_many(tx, {}, {"unique_key": "a"}, {"unique_key": "b"})
    assert [row.created for row in made] == [True, False, True]
    assert made[1].id == holder
