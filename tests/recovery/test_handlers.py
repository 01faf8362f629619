"""Handlers that leave their own connections in a state in which nobody should."""

from __future__ import annotations

from datetime import timedelta

import psycopg

from rowqueue.worker import Job
from support.calls import Session, enqueue, job
from support.waiting import eventually
from support.workers import quick_worker, until, working


def test_a_completion_that_a_handler_leaves_uncommitted_is_undone_and_the_job_runs_again(
    dsn: str, db: Session
) -> None:
    db.execute("create table public.effects (job_id uuid)")
    worker = quick_worker(dsn, lease=timedelta(seconds=1))
    left: list[psycopg.Connection[object]] = []

    @worker.handler("leaky")
    def leaky(job: Job) -> None:
        connection = psycopg.connect(dsn)
        connection.execute("insert into public.effects values (%s)", [job.id])
        job.complete_in(connection)
        if left:  # the second run does it right
            connection.commit()
            connection.close()
        left.append(connection)

    worker.handler("good")(lambda job: None)
    bad = enqueue(db, "leaky")
    with working(worker):
        eventually(lambda: left)
        for _ in range(5):
            until(db, enqueue(db, "good"), "completed")
        assert job(db, bad).status == "running"
        left[0].close()  # which rolls back, as the death of its process would
        until(db, bad, "completed")
    effects = db.execute("select job_id from public.effects").fetchall()
    assert [row.job_id for row in effects] == [bad]
    assert len(left) == 2


def test_a_transaction_that_holds_its_own_job_delays_no_other_report(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn, lease=timedelta(seconds=1))
    left: list[psycopg.Connection[object]] = []

    @worker.handler("leaky")
    def leaky(job: Job) -> None:
        connection = psycopg.connect(dsn)
        left.append(connection)
        job.complete_in(connection)
        raise ValueError("and then it fails")

    worker.handler("good")(lambda job: None)
    bad = enqueue(db, "leaky")
    with working(worker):
        eventually(lambda: left)
        for _ in range(5):
            until(db, enqueue(db, "good"), "completed")
        left[0].close()
        eventually(lambda: job(db, bad).last_error == "ValueError: and then it fails")
    assert (job(db, bad).status, job(db, bad).attempts) == ("pending", 1)


def test_a_transaction_that_a_handler_aborted_fails_its_job_and_no_other(
    dsn: str, db: Session
) -> None:
    worker = quick_worker(dsn, concurrency=1)
    shared = psycopg.connect(dsn)  # handlers that share a connection share its misfortune

    @worker.handler("aborts")
    def aborts(job: Job) -> None:
        shared.execute("begin; select 1 / 0")

    @worker.handler("uses")
    def uses(job: Job) -> None:
        job.complete_in(shared)
        shared.commit()

    first, second = enqueue(db, "aborts", max_attempts=1), enqueue(db, "uses")
    with working(worker):
        assert until(db, first, "failed").error == "DivisionByZero: division by zero"
        row = eventually(lambda: (row := job(db, second)).last_error and row)
        assert row.last_error.startswith("InFailedSqlTransaction: ")
        assert (row.status, row.attempts) == ("pending", 1)
        shared.rollback()
        until(db, second, "completed")
    shared.close()
