"""A limit on time ends a call half way: nothing of it stays, and the next one does it all."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from support.calls import (
    Session,
    claim,
    enqueue,
    enqueue_many,
    everything,
    refused,
    rows,
    running,
)
from support.waiting import eventually
from support.workers import quick_worker, until, working

LIMITS = [("statement_timeout", "57014"), ("lock_timeout", "55P03")]


@dataclass(frozen=True, slots=True)
class Call:
    """A call, the table that it needs last, and how many jobs it concerns."""

    name: str
    table: str
    jobs: int
    prepare: Callable[[Session], Any]
    run: Callable[[Session, Any], int]

    def __str__(self) -> str:
        return self.name


def due_jobs(db: Session) -> None:
    """Makes three jobs that a claim has to promote first."""
    enqueue_many(db, *[{"run_after": "2020-01-01T00:00:00Z"}] * 3)
    db.execute("update rowqueue.jobs_live set ticket = null")


def held_jobs(db: Session) -> list[Any]:
    """Claims three jobs."""
    enqueue_many(db, *[{}] * 3)
    return claim(db, 3)


def dead_jobs(db: Session) -> None:
    """Makes two jobs whose worker is gone: one has attempts left, the other has not."""
    for attempts in (3, 1):
        running(db, max_attempts=attempts)
    db.execute("update rowqueue.jobs_live set lease_until = now() - interval '1 s'")


CALLS = [
    Call("enqueue", "lanes", 1, lambda db: None, lambda db, _: len([enqueue(db)])),
    Call("enqueue_many", "lanes", 2, lambda db: None, lambda db, _: len(enqueue_many(db, {}, {}))),
    Call("claim_next", "lanes", 3, due_jobs, lambda db, _: len(claim(db, 3))),
    Call(
        "complete_many",
        "jobs_finished",
        3,
        held_jobs,
        lambda db, jobs: len(
            rows(
                db,
                "complete_many",
                job_ids=[job.id for job in jobs],
                tokens=[job.token for job in jobs],
            )
        ),
    ),
    Call("reap_stuck", "jobs_finished", 2, dead_jobs, lambda db, _: len(rows(db, "reap_stuck"))),
]


@pytest.mark.parametrize(("setting", "sqlstate"), LIMITS)
@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_call_that_runs_out_of_time_leaves_nothing_behind(
    db: Session, connect: Callable[..., Session], call: Call, setting: str, sqlstate: str
) -> None:
    prepared = call.prepare(db)
    before = everything(db)
    caller, holder = connect(), connect(autocommit=False)
    holder.execute(f"lock table rowqueue.{call.table} in access exclusive mode")
    with refused(caller, sqlstate):
        caller.execute(f"set local {setting} = 100")
        call.run(caller, prepared)
    holder.rollback()
    assert everything(db) == before
    assert call.run(caller, prepared) == call.jobs


def test_a_worker_goes_on_after_its_calls_ran_out_of_time(
    dsn: str,
    db: Session,
    connect: Callable[..., Session],
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker = quick_worker(f"{dsn}?options=-c%20statement_timeout%3D300")
    worker.handler("sync")(lambda job: None)
    holder = connect(autocommit=False)
    with working(worker), caplog.at_level(logging.INFO, "rowqueue"):
        until(db, enqueue(db), "completed")
        holder.execute("lock table rowqueue.jobs_live in access exclusive mode")
        eventually(lambda: "timeout" in caplog.text, what="a call to run out of time")
        holder.rollback()
        assert until(db, enqueue(db), "completed").attempts == 1
