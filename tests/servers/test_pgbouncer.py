"""PgBouncer in transaction mode between clients and server: what goes on, and what is noticed."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest

from rowqueue import AsyncQueue, Queue
from rowqueue.pooler import Pooler as Kind
from rowqueue.pooler import find_pooler, find_pooler_async
from rowqueue.worker import Job
from support.calls import Session, enqueue, enqueue_many, job, stored
from support.pooler import Pooler, own_pooler, pgbouncer
from support.server import pooled
from support.waiting import eventually
from support.worker_app import wait_for_cancellation
from support.workers import quick_worker, until, working

pytestmark = [
    pytest.mark.skipif(pgbouncer() is None, reason="PgBouncer is not installed"),
    pytest.mark.skipif(pooled(), reason="brings a pooler of its own"),
]


@pytest.fixture
def pooler(dsn: str) -> Iterator[Pooler]:
    with own_pooler(dsn) as pooler:
        yield pooler


@pytest.fixture
def through(dsn: str, pooler: Pooler) -> str:
    """The connection string that leads through the pooler."""
    return pooler.through(dsn)


def all_completed(db: Session, count: int) -> Callable[[], bool]:
    query = "select count(*) from rowqueue.jobs where status = 'completed'"
    return lambda: db.execute(query).fetchone() == (count,)


def test_a_queue_enqueues_from_many_threads(through: str, db: Session) -> None:
    # Each of the pool's connections makes the same call often enough to be prepared.
    with Queue(through) as queue, ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(lambda _: queue.enqueue("sync"), range(200)))
    assert db.execute("select count(*) from rowqueue.jobs").fetchone() == (len(set(ids)),)


def test_an_async_queue_enqueues_from_many_tasks(through: str, db: Session) -> None:
    async def scenario() -> int:
        async with AsyncQueue(through) as queue:
            return len(await asyncio.gather(*(queue.enqueue("sync") for _ in range(200))))

    assert db.execute("select count(*) from rowqueue.jobs").fetchone() == (0,)
    made = asyncio.run(scenario())
    assert db.execute("select count(*) from rowqueue.jobs").fetchone() == (made,)


def test_a_pooler_is_told_from_a_server_and_by_its_mode(dsn: str, through: str) -> None:
    with own_pooler(dsn, {"pool_mode": "session"}) as other:
        session = other.through(dsn)
        for where, kind in ((dsn, Kind.NONE), (through, Kind.TRANSACTION), (session, Kind.SESSION)):
            assert find_pooler(where) is kind
            assert asyncio.run(find_pooler_async(where)) is kind


def test_a_worker_that_was_not_told_notices_says_so_and_polls(
    through: str, db: Session, caplog: pytest.LogCaptureFixture
) -> None:
    worker = quick_worker(through, poll_interval=timedelta(milliseconds=200))
    worker.handler("sync")(lambda job: None)
    with caplog.at_level(logging.INFO, "rowqueue"), working(worker):
        for _ in range(3):
            until(db, enqueue(db), "completed")
    assert "LISTEN" in caplog.text
    assert "pooler" in caplog.text
    assert sessions_with_own_settings(through) == set()


def test_a_worker_runs_reports_and_is_cancelled(through: str, db: Session) -> None:
    worker = quick_worker(through, pooler=True, concurrency=4, lease=timedelta(seconds=1))
    go = threading.Event()

    @worker.handler("long")
    def long(job: Job) -> str:
        job.report_progress(1, 2, "half")
        go.wait(30)
        return "done"

    worker.handler("cancelled")(wait_for_cancellation)
    worker.handler("sync")(lambda job: None)
    long_id, cancelled_id = enqueue(db, "long"), enqueue(db, "cancelled")
    with working(worker):
        made = enqueue_many(db, *[{}] * 100)
        eventually(all_completed(db, len(made)), what="the jobs to complete")
        until(db, cancelled_id, "running")
        db.execute("select rowqueue.cancel(%s)", [cancelled_id])
        until(db, cancelled_id, "cancelled")
        first = stored(db, long_id).lease_until
        eventually(lambda: stored(db, long_id).lease_until > first + timedelta(seconds=2))
        go.set()
        row = until(db, long_id, "completed")
    assert (row.result, row.attempts, row.progress["current"]) == ("done", 1, 1)
    assert sessions_with_own_settings(through) == set()


def sessions_with_own_settings(through: str) -> set[str]:
    """Returns the lock timeouts that clients left behind in the sessions that they shared."""
    with psycopg.connect(through, autocommit=True, prepare_threshold=None) as one:
        row = one.execute("select current_setting('lock_timeout')").fetchone()
    assert row is not None
    return {row[0]} - {"0"}


def test_a_restart_of_the_pooler_costs_no_job_and_no_attempt(
    pooler: Pooler, through: str, db: Session
) -> None:
    worker = quick_worker(through, pooler=True, concurrency=2, lease=timedelta(seconds=5))
    go = threading.Event()

    @worker.handler("long")
    def long(job: Job) -> None:
        go.wait(30)

    worker.handler("sync")(lambda job: None)
    job_id = enqueue(db, "long")
    with working(worker):
        until(db, job_id, "running")
        pooler.stop()
        made = enqueue_many(db, *[{}] * 20)
        go.set()  # its outcome can't be written now
        pooler.start()
        eventually(all_completed(db, len(made) + 1), what="the jobs to complete")
    assert job(db, job_id).attempts == 1


def test_a_pool_without_a_free_session_is_waited_for(dsn: str, db: Session) -> None:
    with own_pooler(dsn, {"default_pool_size": 1, "query_wait_timeout": 1}) as pooler:
        through = pooler.through(dsn)
        worker = quick_worker(through, pooler=True)
        worker.handler("sync")(lambda job: None)
        with working(worker), psycopg.connect(through, prepare_threshold=None) as holder:
            until(db, enqueue(db), "completed")
            holder.execute("select 1")  # and keeps the one session, in a transaction
            job_id = enqueue(db)
            with pytest.raises(psycopg.OperationalError, match="query_wait_timeout"):
                psycopg.connect(through, autocommit=True).execute("select 1")
            holder.rollback()
            until(db, job_id, "completed")
