"""`Job.complete_in`: the handler's own transaction completes the job, and its effect is one."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from rowqueue.errors import LeaseLost, NotStorable
from rowqueue.worker import Job
from support import worker_app
from support.calls import Session, enqueue, job, value
from support.waiting import eventually
from support.workers import quick_worker, until, worker_process, working

EFFECT = "insert into public.effects values (%s)"
SHORT_LEASE = timedelta(milliseconds=300)


@pytest.fixture(autouse=True)
def _effects(db: Session) -> None:
    db.execute("create table public.effects (job_id uuid)")


def effects(db: Session) -> list[object]:
    """Returns the ids of the jobs that had an effect, once for each effect."""
    return [row.job_id for row in db.execute("select job_id from public.effects")]


def test_effect_and_completion_are_committed_together(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn)

    @worker.handler("plain")
    def plain(job: Job) -> str:
        with psycopg.connect(dsn) as connection:
            connection.execute(EFFECT, [job.id])
            job.complete_in(connection, {"in": "transaction"})
            assert db.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        return "ignored"

    @worker.handler("async")
    async def coroutine(job: Job) -> None:
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            await connection.execute(EFFECT, [job.id])
            await job.complete_in(connection)

    plain_id, async_id = enqueue(db, "plain"), enqueue(db, "async")
    worker.run(burst=True)
    assert sorted(effects(db)) == sorted([plain_id, async_id])
    assert (job(db, plain_id).status, job(db, plain_id).result) == (
        "completed",
        {"in": "transaction"},
    )
    assert (job(db, async_id).status, job(db, async_id).result) == ("completed", None)


def test_it_works_in_a_child_process(
    dsn: str, db: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROWQUEUE_DSN", dsn)
    worker = quick_worker(dsn)
    worker.handler("effect", process=True)(worker_app.effect)
    job_id = enqueue(db, "effect")
    worker.run(burst=True)
    assert job(db, job_id).status == "completed"
    assert effects(db) == [job_id]


def test_a_transaction_that_rolls_back_takes_effect_and_completion_with_it(
    dsn: str, db: Session
) -> None:
    worker = quick_worker(dsn)

    @worker.handler("sync")
    def sync(job: Job) -> None:
        with psycopg.connect(dsn) as connection:
            connection.execute(EFFECT, [job.id])
            job.complete_in(connection)
            raise ValueError("second thoughts")

    job_id = enqueue(db)
    worker.run(burst=True)
    row = job(db, job_id)
    assert (row.status, row.last_error) == ("pending", "ValueError: second thoughts")
    assert effects(db) == []


def test_who_lost_the_lease_has_no_effect(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn)
    raised: list[LeaseLost] = []

    @worker.handler("sync")
    def sync(job: Job) -> None:
        with psycopg.connect(dsn, autocommit=False) as connection:
            if job.attempts == 1 and not raised:
                db.execute("update rowqueue.jobs set status = 'pending', started_at = null")
            connection.execute(EFFECT, [job.id])
            try:
                job.complete_in(connection)
            except LeaseLost as error:
                raised.append(error)
                raise

    job_id = enqueue(db)
    worker.run(burst=True)
    assert len(raised) == 1
    assert job(db, job_id).status == "completed"
    assert effects(db) == [job_id]


def test_an_error_after_the_commit_changes_nothing(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn)

    @worker.handler("sync")
    def sync(job: Job) -> None:
        with psycopg.connect(dsn) as connection:
            connection.execute(EFFECT, [job.id])
            job.complete_in(connection, "done")
        raise ValueError("too late")

    job_id = enqueue(db)
    worker.run(burst=True)
    row = job(db, job_id)
    assert (row.status, row.result, row.error) == ("completed", "done", None)


def test_a_transaction_that_is_never_committed_leaves_the_job_to_be_run_again(
    dsn: str, db: Session
) -> None:
    worker = quick_worker(dsn, lease=SHORT_LEASE)
    attempts = 0

    @worker.handler("sync")
    def sync(job: Job) -> None:
        nonlocal attempts
        attempts += 1
        connection = psycopg.connect(dsn)
        connection.execute(EFFECT, [job.id])
        job.complete_in(connection)
        if attempts > 1:
            connection.commit()
        connection.close()

    job_id = enqueue(db)
    with working(worker):
        eventually(lambda: attempts)
        eventually(lambda: value(db, "tick")["reaped"] or attempts > 1)
        until(db, job_id, "completed")
    assert effects(db) == [job_id]


def test_a_worker_killed_after_the_commit_leaves_one_effect(dsn: str, db: Session) -> None:
    job_id = enqueue(db, "effect_then_death")
    with worker_process(dsn, "worker") as process:
        process.wait(30)
    with worker_process(dsn, "worker"):
        until(db, enqueue(db, "echo"), "completed")
    assert job(db, job_id).status == "completed"
    assert effects(db) == [job_id]


def test_a_result_that_is_no_json_is_refused_before_anything_is_sent(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn)

    @worker.handler("sync")
    def sync(job: Job) -> str:
        with psycopg.connect(dsn) as connection:
            with pytest.raises(NotStorable, match="result is of type set"):
                job.complete_in(connection, {1, 2})
            assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        return "completed by the worker"

    job_id = enqueue(db)
    worker.run(burst=True)
    assert job(db, job_id).result == "completed by the worker"
