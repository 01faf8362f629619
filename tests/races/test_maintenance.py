"""Promotions, lanes, ticks and reapers: nobody waits for another, and nothing is done twice.

The sessions here give up after a millisecond of waiting for a lock, so that whoever waits fails.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from races.mutation import Edit, Mutation
from races.stage import Stage
from support.calls import claim, claim_one, enqueue, rows, value
from support.sessions import open_transaction

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
        enqueue(stage.db, run_after=stage.later(seconds=1))
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
        [stage.later(seconds=1)],
    )
    stage.pass_time(timedelta(seconds=2))
    with open_transaction(a):
        assert len(claim(a, max_jobs=1000)) == 1000
        assert len(claim(b, max_jobs=20)) == 10


def test_a_claim_holds_only_what_it_may_take(stage: Stage, a: Db, b: Db) -> None:
    for _ in range(5):
        enqueue(stage.db, run_after=stage.later(seconds=1))
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


def _ids(jobs: list[Any]) -> list[Any]:
    return [job.id for job in jobs]


def _due_job(stage: Stage) -> Any:
    due = enqueue(stage.db, run_after=stage.later(seconds=1))
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
    enqueue(stage.db, run_after=stage.later(seconds=1))
    stage.pass_time(timedelta(seconds=2))
