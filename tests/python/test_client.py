"""`Queue` and `AsyncQueue`: the same calls on a connection, a pool or a connection string."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolClosed

import rowqueue
from rowqueue import AsyncQueue, JobNotFound, LeaseLost, NotStorable, Queue, WrongState
from rowqueue.errors import InvalidArgument

Db = psycopg.Connection[Any]
Connect = Callable[..., Db]


@contextmanager
def on_dsn(dsn: str) -> Iterator[Queue]:
    with Queue(dsn) as queue:
        yield queue


@contextmanager
def on_pool(dsn: str) -> Iterator[Queue]:
    with ConnectionPool(dsn, min_size=1, max_size=1) as pool:
        yield Queue(pool)


@contextmanager
def on_connection(dsn: str) -> Iterator[Queue]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield Queue(connection)


@pytest.fixture(params=[on_dsn, on_pool, on_connection])
def queue(request: pytest.FixtureRequest, dsn: str) -> Iterator[Queue]:
    with request.param(dsn) as queue:
        yield queue


@asynccontextmanager
async def async_on_dsn(dsn: str) -> AsyncIterator[AsyncQueue]:
    async with AsyncQueue(dsn) as queue:
        yield queue


@asynccontextmanager
async def async_on_pool(dsn: str) -> AsyncIterator[AsyncQueue]:
    async with AsyncConnectionPool(dsn, min_size=1, max_size=1) as pool:
        yield AsyncQueue(pool)


@asynccontextmanager
async def async_on_connection(dsn: str) -> AsyncIterator[AsyncQueue]:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        yield AsyncQueue(connection)


@pytest.fixture(params=[async_on_dsn, async_on_pool, async_on_connection])
async def async_queue(request: pytest.FixtureRequest, dsn: str) -> AsyncIterator[AsyncQueue]:
    async with request.param(dsn) as queue:
        yield queue


def sessions(db: Db) -> int:
    (count,) = db.execute(
        "select count(*) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
        " and backend_type = 'client backend'"
    ).fetchone() or [0]
    return int(count)


def test_a_job_goes_its_way(queue: Queue) -> None:
    workspace = uuid4()
    later = datetime.now(UTC) + timedelta(hours=1)
    delayed = queue.enqueue("sync", run_after=later)
    job_id = queue.enqueue("sync", payload={"mode": "initial", "n": 1.5}, workspace_id=workspace)

    (claimed,) = queue.claim_next("w1", max_jobs=5, lease=timedelta(minutes=2))
    assert (claimed.id, claimed.payload) == (job_id, {"mode": "initial", "n": 1.5})
    assert claimed.attempts == 1
    assert queue.report_progress(job_id, token=claimed.token, current=5, total=34, message="p")
    assert queue.extend_lease(job_id, token=claimed.token)
    (extended,) = queue.extend_leases([job_id], tokens=[claimed.token])
    assert (extended.id, extended.outcome) == (job_id, "extended")

    running = queue.get_job(job_id)
    assert running is not None
    assert (running.status, running.worker, running.finished) == ("running", "w1", False)
    assert running.progress == {"current": 5, "total": 34, "message": "p"}

    assert queue.complete(job_id, token=claimed.token, result={"totalRecords": 3}) is None
    done = queue.get_job(job_id)
    assert done is not None
    assert (done.status, done.result, done.finished) == ("completed", {"totalRecords": 3}, True)

    assert [job.id for job in queue.list_jobs(workspace)] == [job_id]
    assert [job.id for job in queue.list_jobs()] == [job_id, delayed]
    assert [job.id for job in queue.list_jobs(before=job_id)] == [delayed]
    (health,) = queue.health()
    assert (health.queue, health.pending, health.due, health.oldest_due_age) == (
        "default", 1, 0, None,
    )  # fmt: skip
    assert health.failure_rate_last_hour == 0
    assert queue.cancel(delayed, reason="no need") == "cancelled"
    assert queue.retry(delayed) is None
    assert queue.version().isdigit()
    assert queue.tick()["reaped"] == 0
    assert queue.reap_stuck() == []
    assert queue.purge_finished(timedelta(0)) == 1
    assert queue.get_job(job_id) is None


async def test_a_job_goes_its_way_asynchronously(async_queue: AsyncQueue) -> None:
    first, second = await async_queue.enqueue_many(
        [{"job_type": "sync", "payload": {"n": 1}}, {"job_type": "sync", "priority": 1}]
    )
    assert (first.ordinal, first.created, second.ordinal) == (1, True, 2)
    claimed = await async_queue.claim_next("w1", max_jobs=2)
    assert [job.id for job in claimed] == [second.id, first.id]
    status = await async_queue.fail_with_backoff(
        second.id, token=claimed[0].token, error="no", retry=False
    )
    assert status == "failed"
    (outcome,) = await async_queue.complete_many(
        [first.id], tokens=[claimed[1].token], results=[{"ok": True}]
    )
    assert (outcome.id, outcome.outcome) == (first.id, "completed")
    done = await async_queue.get_job(first.id)
    assert done is not None
    assert done.result == {"ok": True}


def test_errors_arrive_as_their_classes(queue: Queue) -> None:
    job_id = queue.enqueue("sync")
    (claimed,) = queue.claim_next("w")
    with pytest.raises(LeaseLost):
        queue.complete(job_id, token=claimed.token + 1)
    with pytest.raises(WrongState):
        queue.retry(job_id)
    with pytest.raises(JobNotFound):
        queue.cancel(uuid4())
    with pytest.raises(InvalidArgument, match="priority"):
        queue.enqueue("sync", priority=10**6)
    with pytest.raises(NotStorable, match="nested deeper"):
        queue.enqueue("sync", payload=nested(70))
    assert queue.complete(job_id, token=claimed.token) is None


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"in": value}
    return value


def test_a_job_and_the_callers_rows_stand_or_fall_together(connect: Connect, db: Db) -> None:
    caller = connect(autocommit=False)
    caller.execute("create table orders (id int)")
    caller.commit()

    caller.execute("insert into orders values (1)")
    rolled_back = Queue(caller).enqueue("ship")
    caller.rollback()
    assert Queue(db).get_job(rolled_back) is None

    caller.execute("insert into orders values (2)")
    committed = Queue(caller).enqueue("ship")
    assert caller.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
    assert Queue(db).get_job(committed) is None
    caller.commit()
    assert Queue(db).get_job(committed) is not None
    assert [row.id for row in db.execute("select id from orders")] == [2]


def test_closing_a_queue_leaves_the_callers_connection_open(db: Db) -> None:
    with Queue(db) as queue:
        queue.enqueue("sync")
    queue.close()
    assert not db.closed


def test_the_callers_rows_and_cursors_do_not_matter(dsn: str) -> None:
    with psycopg.connect(
        dsn, autocommit=True, row_factory=dict_row, cursor_factory=psycopg.RawCursor
    ) as connection:
        queue = Queue(connection)
        job = queue.get_job(queue.enqueue("sync", payload={"percent": "100%"}))
    assert job is not None
    assert job.payload == {"percent": "100%"}


def test_calls_can_be_sent_in_a_pipeline_of_the_callers(db: Db) -> None:
    queue = Queue(db)
    with db.pipeline():
        job_id = queue.enqueue("sync")
        assert [job.id for job in queue.claim_next("w")] == [job_id]


def test_nothing_is_opened_before_the_first_call_and_all_is_closed_at_the_end(
    dsn: str, db: Db
) -> None:
    queue = Queue(dsn)
    assert sessions(db) == 0
    queue.version()
    assert sessions(db) == 1
    queue.close()
    with pytest.raises(PoolClosed):
        queue.version()


def test_a_database_out_of_reach_is_reported_at_once_and_again_tried_later() -> None:
    queue = Queue("postgresql://127.0.0.1:1/nowhere")
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError, match=r"(?i)connection refused"):
            queue.version()
    queue.close()


async def test_a_database_out_of_reach_is_reported_at_once_asynchronously() -> None:
    async with AsyncQueue("postgresql://127.0.0.1:1/nowhere") as queue:
        with pytest.raises(psycopg.OperationalError, match=r"(?i)connection refused"):
            await queue.version()


def test_a_connection_that_the_server_ended_is_replaced(dsn: str, db: Db) -> None:
    with Queue(dsn) as queue:
        queue.version()
        db.execute(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        assert queue.version()


def test_threads_share_a_queue(dsn: str) -> None:
    ids: list[UUID] = []
    with Queue(dsn) as queue:
        threads = [
            threading.Thread(target=lambda: ids.append(queue.enqueue("sync"))) for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {job.id for job in queue.list_jobs(max_jobs=100)} == set(ids)
    assert len(ids) == 20


async def test_tasks_share_a_queue(dsn: str) -> None:
    async with AsyncQueue(dsn) as queue:
        ids = await asyncio.gather(*(queue.enqueue("sync") for _ in range(20)))
        assert len(set(ids)) == len(await queue.list_jobs(max_jobs=100)) == 20


@pytest.mark.parametrize("kind", [Queue, AsyncQueue])
def test_a_wrong_target_is_refused_at_once(kind: Any) -> None:
    with pytest.raises(TypeError, match=f"^{kind.__name__} takes a connection string, .* not int"):
        kind(5432)


def test_a_queue_for_threads_refuses_an_asynchronous_pool() -> None:
    pool: Any = AsyncConnectionPool("", open=False)
    with pytest.raises(TypeError, match="not AsyncConnectionPool"):
        Queue(pool)


def test_a_payload_that_python_cannot_decode_spoils_only_itself(db: Db) -> None:
    queue = Queue(db)
    good, bad = queue.enqueue("sync", payload={"n": 1}), queue.enqueue("sync")
    payload = '{"n": ' + "9" * 5000 + "}"
    db.execute("update rowqueue.jobs set payload = %s::jsonb where id = %s", [payload, bad])
    listed = {job.id: job for job in queue.list_jobs()}
    claimed = {job.id: job for job in queue.claim_next("w", max_jobs=2)}
    for jobs in (listed, claimed):
        assert jobs[good].payload == {"n": 1}
        assert jobs[bad].payload_json == payload
        with pytest.raises(ValueError, match="digits"):
            _ = jobs[bad].payload


def test_the_package_exports_what_its_users_need() -> None:
    for name in rowqueue.__all__:
        assert getattr(rowqueue, name)
    assert {"Queue", "AsyncQueue", "Worker", "Job", *rowqueue.errors.__all__} <= {*rowqueue.__all__}
