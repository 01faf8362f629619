"""What a worker makes of jobs: results, errors, and what it cannot run."""

from __future__ import annotations

import asyncio
import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from rowqueue.worker import Job, Worker
from support.calls import Session, enqueue, enqueue_many, job, value
from support.workers import quick_worker, until, working


def test_a_plain_and_an_async_handler_return_results(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn)

    @worker.handler("plain")
    def plain(job: Job) -> dict[str, Any]:
        return {"got": job.payload["n"]}

    @worker.handler("async")
    async def coroutine(job: Job) -> list[Any]:
        await asyncio.sleep(0)
        return [job.payload["n"], None, "é"]

    first = enqueue(db, "plain", payload={"n": 1})
    second = enqueue(db, "async", payload={"n": 2})
    worker.run(burst=True)
    assert job(db, first).result == {"got": 1}
    assert job(db, second).result == [2, None, "é"]
    assert [job(db, one).status for one in (first, second)] == ["completed", "completed"]


def test_a_handler_sees_all_of_its_job(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn)
    seen: list[Job] = []
    worker.handler("look")(seen.append)
    workspace = uuid4()
    job_id = enqueue(
        db,
        "look",
        payload={"a": [1]},
        workspace_id=workspace,
        priority=7,
        max_attempts=5,
        timeout_ms=1234,
    )
    worker.run(burst=True)
    [found] = seen
    assert (found.id, found.workspace_id, found.job_type) == (job_id, workspace, "look")
    assert (found.queue, found.priority, found.timeout_ms) == ("default", 7, 1234)
    assert (found.attempts, found.max_attempts) == (1, 5)
    assert found.payload == {"a": [1]}
    assert found.payload is found.payload
    assert found.created_at == job(db, job_id).created_at
    assert not found.cancelled


def test_what_a_handler_raises_is_the_error_and_the_job_is_tried_again(
    dsn: str, db: Session
) -> None:
    worker = quick_worker(dsn)

    @worker.handler("bad")
    def bad(job: Job) -> None:
        raise ValueError("no \0 such thing")

    @worker.handler("worse")
    async def worse(job: Job) -> None:
        raise SystemExit(3)

    @worker.handler("good")
    def good(job: Job) -> str:
        return "fine"

    bad_id, worse_id, good_id = (enqueue(db, one) for one in ("bad", "worse", "good"))
    last_id = enqueue(db, "bad", max_attempts=1)
    worker.run(burst=True)
    row = job(db, bad_id)
    assert (row.status, row.attempts) == ("pending", 1)
    assert row.last_error == "ValueError: no  such thing"
    assert row.run_after > datetime.now(UTC)
    assert job(db, worse_id).last_error == "SystemExit: 3"
    assert job(db, good_id).status == "completed"
    row = job(db, last_id)
    assert (row.status, row.error) == ("failed", "ValueError: no  such thing")


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (float("nan"), "result is nan, which JSON cannot hold"),
        ({"a": {1, 2}}, "result.a is of type set"),
        ({"a": ["x\0"]}, "result.a[0] holds a NUL"),
        ("\ud800", "half a surrogate pair"),
        ("x" * 1_100_000, "larger than 1 MiB"),
    ],
    ids=["nan", "set", "nul", "surrogate", "size"],
)
def test_a_result_that_cannot_be_stored_fails_its_own_job(
    dsn: str, db: Session, asynchronous: bool, result: Any, reason: str
) -> None:
    worker = quick_worker(dsn)

    async def coroutine(job: Job) -> Any:
        return result if job.payload else "fine"

    def plain(job: Job) -> Any:
        return result if job.payload else "fine"

    worker.handler("odd")(coroutine if asynchronous else plain)
    odd = enqueue(db, "odd", payload={"odd": True})
    fine = [one.id for one in enqueue_many(db, *[{"job_type": "odd"}] * 5)]
    worker.run(burst=True)
    assert reason in job(db, odd).last_error
    assert job(db, odd).status == "pending"
    assert [job(db, one).result for one in fine] == ["fine"] * 5


def test_a_payload_that_python_cannot_decode_fails_its_own_job(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn)

    @worker.handler("sync")
    def sync(job: Job) -> Any:
        return job.payload["n"]

    odd, fine = enqueue(db, payload={"n": 1}), enqueue(db, payload={"n": 2})
    # No function lets it in; only a superuser can.
    db.execute(
        "update rowqueue.jobs_live set payload = ('{\"n\":' || repeat('9', 5000) || '}')::jsonb"
        " where id = %s",
        [odd],
    )
    worker.run(burst=True)
    row = db.execute("select status, last_error from rowqueue.jobs where id = %s", [odd]).fetchone()
    assert row.status == "pending"
    assert row.last_error.startswith("ValueError: Exceeds the limit")
    assert job(db, fine).result == 2


def test_a_job_without_a_handler_is_released_with_a_delay_and_one_log_line(
    dsn: str, db: Session, caplog: pytest.LogCaptureFixture
) -> None:
    worker = quick_worker(dsn, unknown_delay=timedelta(minutes=5))
    unknown = [one.id for one in enqueue_many(db, *[{"job_type": "unknown"}] * 3)]
    with caplog.at_level(logging.INFO, "rowqueue"):
        worker.run(burst=True)
    for one in unknown:
        row = job(db, one)
        assert (row.status, row.attempts, row.last_error) == ("pending", 0, None)
        assert row.run_after > datetime.now(UTC) + timedelta(minutes=4)
    lines = [line for line in caplog.messages if "no handler here for job type unknown" in line]
    assert len(lines) == 1
    assert lines[0].startswith(str(unknown[0]))


def test_a_burst_ends_when_nothing_is_due_and_waits_for_what_its_jobs_enqueue(
    dsn: str, db: Session
) -> None:
    worker = quick_worker(dsn)

    @worker.handler("chain")
    def chain(job: Job) -> None:
        if left := job.payload["left"]:
            with psycopg.connect(dsn, autocommit=True) as connection:
                enqueue(connection, "chain", payload={"left": left - 1})

    enqueue(db, "chain", payload={"left": 5})
    delayed = enqueue(
        db, "chain", payload={"left": 0}, run_after=datetime.now(UTC) + timedelta(hours=1)
    )
    worker.run(burst=True)
    counts = dict(db.execute("select status, count(*) from rowqueue.jobs group by 1").fetchall())
    assert counts == {"completed": 6, "pending": 1}
    assert job(db, delayed).status == "pending"


def test_no_more_handlers_run_at_once_than_concurrency_says(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn, concurrency=3)
    running, most, lock = 0, 0, threading.Lock()
    full = threading.Event()

    @worker.handler("sync")
    def sync(job: Job) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == 3:
                full.set()
        assert full.wait(20)
        with lock:
            running -= 1

    enqueue_many(db, *[{}] * 20)
    worker.run(burst=True)
    assert most == 3


@pytest.mark.parametrize("concurrency", [1, 2, 10])
def test_jobs_of_one_worker_start_in_claim_order(dsn: str, db: Session, concurrency: int) -> None:
    worker = quick_worker(dsn, concurrency=concurrency)
    seen: list[int] = []

    @worker.handler("sync")
    async def sync(job: Job) -> None:
        seen.append(job.payload["n"])

    enqueue_many(db, *[{"payload": {"n": n}, "priority": n % 2} for n in range(50)])
    worker.run(burst=True)
    assert seen == [*range(1, 50, 2), *range(0, 50, 2)]


def test_thousands_of_jobs_are_each_done_once(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn)
    done: list[int] = []

    @worker.handler("plain")
    def plain(job: Job) -> None:
        done.append(job.payload["n"])

    @worker.handler("async")
    async def coroutine(job: Job) -> None:
        done.append(job.payload["n"])

    enqueue_many(
        db,
        *[{"job_type": "plain" if n % 2 else "async", "payload": {"n": n}} for n in range(3000)],
    )
    worker.run(burst=True)
    assert sorted(done) == list(range(3000))
    counts = db.execute("select status, attempts, count(*) from rowqueue.jobs group by 1, 2")
    assert counts.fetchall() == [("completed", 1, 3000)]


def test_only_the_named_queues_are_worked_on(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn, queues=["a", "b"])
    worker.handler("sync")(lambda job: None)
    a, b, c = (enqueue(db, queue=queue) for queue in "abc")
    worker.run(burst=True)
    assert [job(db, one).status for one in (a, b, c)] == ["completed", "completed", "pending"]


def test_an_idle_worker_is_woken_by_an_enqueue_long_before_it_would_poll(
    dsn: str, db: Session
) -> None:
    worker = quick_worker(dsn, poll_interval=timedelta(hours=1))
    worker.handler("sync")(lambda job: None)
    with working(worker):
        for _ in range(3):
            until(db, enqueue(db), "completed")


def test_without_notifications_polling_finds_the_jobs(dsn: str, db: Session) -> None:
    value(db, "set_notify", enabled=False)
    worker = quick_worker(dsn)
    worker.handler("sync")(lambda job: None)
    with working(worker):
        until(db, enqueue(db), "completed")


def test_behind_a_transaction_pooler_it_neither_listens_nor_prepares(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn, pooler=True)
    worker.handler("sync")(lambda job: None)
    with working(worker):
        until(db, enqueue(db), "completed")
        queries = db.execute(
            "select query from pg_stat_activity where application_name like 'rowqueue claim %'"
        ).fetchall()
        assert queries
        assert all("listen" not in query for (query,) in queries)


async def test_it_runs_inside_a_running_loop(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn)
    ran = asyncio.Event()

    @worker.handler("sync")
    async def sync(job: Job) -> str:
        ran.set()
        return "here"

    first = enqueue(db)
    await worker.run_async(burst=True)
    assert job(db, first).result == "here"
    ran.clear()
    task = asyncio.create_task(worker.run_async())
    second = enqueue(db)
    await ran.wait()
    with pytest.raises(RuntimeError, match="is running already"):
        await worker.run_async()
    worker.stop()
    await task
    assert job(db, second).result == "here"


def test_it_says_at_the_start_what_it_is(dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker(dsn, queues=["a", "b"], concurrency=4, name="me")
    with caplog.at_level(logging.INFO, "rowqueue"):
        worker.run(burst=True)
    assert caplog.messages[0] == (
        "worker me starting: queues a, b, concurrency 4, polling every 2000 ms, schema 0005"
    )


def test_nothing_of_a_payload_or_result_is_logged(
    dsn: str, db: Session, caplog: pytest.LogCaptureFixture
) -> None:
    worker = quick_worker(dsn)
    worker.handler("echo")(lambda job: job.payload)
    enqueue(db, "echo", payload={"secret": "hunter2"})
    with caplog.at_level(logging.DEBUG):
        worker.run(burst=True)
    assert "hunter2" not in caplog.text


def test_a_database_out_of_reach_at_the_start_is_an_error() -> None:
    worker = quick_worker("host=127.0.0.1 port=1 dbname=none")
    with pytest.raises(psycopg.OperationalError):
        worker.run(burst=True)


def test_a_job_type_has_one_handler() -> None:
    worker = Worker("")
    worker.handler("sync")(lambda job: None)
    with pytest.raises(ValueError, match="'sync' has a handler already"):
        worker.handler("sync")


@pytest.mark.parametrize(
    "wrong",
    [
        {"queues": "default"},
        {"queues": []},
        {"concurrency": 0},
        {"lease": timedelta(0)},
        {"poll_interval": timedelta(0)},
        {"prefetch": -1},
        {"shutdown_grace": timedelta(seconds=-1)},
        {"max_abandoned_threads": -1},
        {"watchdog": timedelta(0)},
        {"name": "n" * 201},
    ],
)
def test_a_setting_out_of_range_is_refused_by_its_name(wrong: dict[str, Any]) -> None:
    [name] = wrong
    with pytest.raises(ValueError, match=name):
        Worker("", **wrong)


def test_stop_does_nothing_to_a_worker_that_does_not_run() -> None:
    Worker("").stop()


def test_a_worker_uses_the_environment_where_no_dsn_is_given(
    dsn: str, db: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROWQUEUE_DSN", raising=False)
    monkeypatch.setenv("DATABASE_URL", dsn)
    worker = Worker()
    worker.handler("sync")(lambda job: None)
    job_id = enqueue(db)
    worker.run(burst=True)
    assert job(db, job_id).status == "completed"
