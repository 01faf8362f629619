"""What goes wrong around a worker: connections, locks, blocked loops, jobs that kill."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from datetime import timedelta

import psycopg
import pytest

from rowqueue.worker import Job
from support.calls import Session, enqueue, enqueue_many, job, rows, stored, value
from support.waiting import eventually, until_blocked
from support.workers import quick_worker, until, worker_process, working

SHORT_LEASE = timedelta(milliseconds=300)

OWN_SESSIONS = "datname = current_database() and application_name like 'rowqueue ' || %s || '%%'"


def terminate(db: Session, which: str = "") -> int:
    """Ends the sessions of the worker, as an administrator or a restart does."""
    ended = db.execute(
        "select count(pg_terminate_backend(pid)) as count from pg_stat_activity"
        f" where {OWN_SESSIONS}",
        [which],
    ).fetchone()
    assert ended is not None
    return int(ended.count)


def test_lost_connections_come_back_and_nothing_is_lost(
    dsn: str, db: Session, caplog: pytest.LogCaptureFixture
) -> None:
    worker = quick_worker(dsn, concurrency=4, lease=timedelta(seconds=2))

    @worker.handler("sync")
    def sync(job: Job) -> None:
        time.sleep(0.005)  # some work

    enqueue_many(db, *[{}] * 300)

    def completed() -> int:
        counted = db.execute("select count(*) from rowqueue.jobs where status = 'completed'")
        return int(counted.fetchone().count)

    with caplog.at_level(logging.INFO, "rowqueue"), working(worker):
        for share in (0, 50, 100, 150):
            eventually(lambda share=share: completed() > share)
            eventually(lambda: terminate(db))
        eventually(lambda: completed() == 300)
        eventually(lambda: "all connections are back" in caplog.text)


def test_reconnecting_says_so_once_a_second_at_most(
    dsn: str, db: Session, connect: object, caplog: pytest.LogCaptureFixture
) -> None:
    worker = quick_worker(dsn)
    worker.handler("sync")(lambda job: None)
    with caplog.at_level(logging.INFO, "rowqueue"), working(worker):
        until(db, enqueue(db), "completed")
        # Another worker of this process may just have had the turn.
        eventually(lambda: terminate(db, "claim") and "connection: " in caplog.text)
        for _ in range(3):
            eventually(lambda: terminate(db, "claim"))
        until(db, enqueue(db), "completed")
    lines = [record for record in caplog.records if "connection: " in record.message]
    assert lines
    times = [record.created for record in lines]
    assert all(later - earlier > 0.99 for earlier, later in itertools.pairwise(times))


def test_an_outcome_whose_reply_was_lost_is_sent_again(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn, concurrency=2)
    go = threading.Event()

    @worker.handler("good")
    def good(job: Job) -> str:
        go.wait(20)
        return "done"

    @worker.handler("bad")
    def bad(job: Job) -> None:
        go.wait(20)
        raise ValueError("broken")

    good_id, bad_id = enqueue(db, "good"), enqueue(db, "bad")
    with working(worker), psycopg.connect(dsn) as locker:
        until(db, good_id, "running")
        until(db, bad_id, "running")
        # Both reports wait for this transaction, and are cut off while they do.
        locker.execute("select from rowqueue.jobs_live for update")
        go.set()
        [finish] = db.execute(
            f"select pid from pg_stat_activity where {OWN_SESSIONS}", ["finish"]
        ).fetchall()
        until_blocked(db, finish.pid)
        assert terminate(db, "finish") == 1
        locker.rollback()
        assert until(db, good_id, "completed").result == "done"
        row = eventually(lambda: (row := job(db, bad_id)).last_error and row)
    assert (row.status, row.attempts, row.last_error) == ("pending", 1, "ValueError: broken")


def test_a_blocked_event_loop_keeps_its_leases(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn, lease=SHORT_LEASE)
    go = threading.Event()

    @worker.handler("sync")
    async def sync(job: Job) -> str:
        go.wait(30)  # as a handler that forgot to await
        return "done"

    job_id = enqueue(db)
    with working(worker):
        until(db, job_id, "running")
        leases = {stored(db, job_id).lease_until}
        while len(leases) < 5:
            assert rows(db, "reap_stuck") == []
            leases.add(stored(db, job_id).lease_until)
        go.set()
        row = until(db, job_id, "completed")
    assert (row.result, row.attempts) == ("done", 1)


def test_a_row_that_somebody_locked_costs_the_others_nothing(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn, lease=timedelta(seconds=1), concurrency=2)
    go = threading.Event()

    @worker.handler("sync")
    async def sync(job: Job) -> str:
        await asyncio.to_thread(go.wait, 30)
        return "done"

    locked, other = enqueue(db), enqueue(db)
    with working(worker), psycopg.connect(dsn) as locker:
        until(db, locked, "running")
        until(db, other, "running")
        locker.execute("select from rowqueue.jobs_live where id = %s for update", [locked])
        leases = {stored(db, other).lease_until}
        while len(leases) < 4:
            assert other not in [one.id for one in rows(db, "reap_stuck")]
            leases.add(stored(db, other).lease_until)
        go.set()
        assert until(db, other, "completed").attempts == 1
        locker.rollback()
        row = until(db, locked, "completed")
    assert (row.result, row.attempts) == ("done", 1)


def test_an_aborted_transaction_of_a_handler_harms_nobody(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn)
    left: list[psycopg.Connection[object]] = []

    @worker.handler("sync")
    def sync(job: Job) -> None:
        connection = psycopg.connect(dsn)
        left.append(connection)
        connection.execute("select 1 / 0")

    worker.handler("good")(lambda job: None)
    bad, good = enqueue(db), enqueue(db, "good")
    worker.run(burst=True)
    assert job(db, bad).last_error == "DivisionByZero: division by zero"
    assert job(db, good).status == "completed"
    for connection in left:
        connection.close()


def test_a_job_that_kills_its_worker_fails_after_max_attempts_and_its_neighbours_complete(
    dsn: str, db: Session
) -> None:
    db.execute("create table public.runs (job_id uuid)")
    poison, *good = [
        one.id
        for one in enqueue_many(
            db, {"job_type": "counted_poison", "max_attempts": 2}, *[{"job_type": "echo"}] * 9
        )
    ]

    def is_over() -> bool:
        value(db, "tick")
        return job(db, poison).status == "failed"

    for _ in range(2):
        with worker_process(dsn, "worker") as process:
            eventually(lambda process=process: process.poll() or is_over())
    with worker_process(dsn, "worker"):
        eventually(is_over)
        for one in good:
            until(db, one, "completed")
    runs = db.execute("select count(*) from public.runs").fetchone()
    assert runs.count == 2
    assert job(db, poison).attempts == 2
    assert job(db, poison).error.startswith("worker lost")
    assert {job(db, one).attempts for one in good} == {1}


def test_a_job_that_may_be_a_killer_runs_with_nothing_beside_it(dsn: str, db: Session) -> None:
    # Two jobs of one claim whose worker died: both come back, each alone.
    suspects = [one.id for one in enqueue_many(db, {}, {})]
    rows(db, "claim_next", worker="dead", max_jobs=10, lease=timedelta(milliseconds=1))
    eventually(lambda: rows(db, "reap_stuck"))
    worker = quick_worker(dsn)
    running: set[object] = set()
    beside: dict[object, set[object]] = {}

    @worker.handler("sync")
    async def sync(job: Job) -> None:
        running.add(job.id)
        for one in running:
            beside.setdefault(one, set()).update(running - {one})
        await asyncio.sleep(0.01)
        running.remove(job.id)

    others = [one.id for one in enqueue_many(db, *[{}] * 30)]
    worker.run(burst=True)
    assert [beside[one] for one in suspects] == [set(), set()]
    assert {job(db, one).attempts for one in [*suspects, *others]} == {1}
    assert {job(db, one).status for one in [*suspects, *others]} == {"completed"}
