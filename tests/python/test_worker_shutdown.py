"""How a worker ends: a stop, signals, a cancelled task."""

from __future__ import annotations

import asyncio
import re
import signal
import threading
from datetime import timedelta
from typing import IO
from uuid import UUID

import pytest

from rowqueue.worker import Job
from support.calls import Session, enqueue, enqueue_many, job, value
from support.waiting import eventually
from support.workers import quick_worker, worker_process, working

BUSY = 7
"""The key of the advisory lock that ``until_free`` jobs wait for."""


def hold(db: Session, *, jobs: int = 1) -> list[UUID]:
    """Enqueues jobs that run until `let_go`."""
    db.execute("select pg_advisory_lock(%s)", [BUSY])
    wanted = [{"job_type": "until_free", "payload": {"lock": BUSY}}] * jobs
    return [one.id for one in enqueue_many(db, *wanted)]


def let_go(db: Session) -> None:
    """Lets them end."""
    db.execute("select pg_advisory_unlock(%s)", [BUSY])


def read_until(stream: IO[bytes] | None, words: str) -> str:
    """Returns the line of a log that has these words."""
    assert stream is not None
    for line in iter(stream.readline, b""):
        if words in line.decode():
            return line.decode()
    raise AssertionError(f"the log ended without {words!r}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_lets_running_jobs_end_and_claims_no_more(
    dsn: str, db: Session, number: signal.Signals
) -> None:
    held = hold(db, jobs=10)
    with worker_process(dsn, "worker") as process:
        for one in held:
            eventually(lambda one=one: job(db, one).progress)
        process.send_signal(number)
        read_until(process.stderr, "stopping: 10 jobs")
        later = enqueue(db, "echo")
        let_go(db)
        assert process.wait(30) == 0
    assert {job(db, one).status for one in held} == {"completed"}
    assert (job(db, later).status, job(db, later).attempts) == ("pending", 0)


def test_what_is_not_done_after_the_grace_is_released_with_its_attempt(
    dsn: str, db: Session
) -> None:
    held = hold(db, jobs=2)
    with worker_process(dsn, "impatient") as process:
        for one in held:
            eventually(lambda one=one: job(db, one).progress)
        process.terminate()
        assert process.wait(30) == 0
    assert {(job(db, one).status, job(db, one).attempts) for one in held} == {("pending", 0)}
    let_go(db)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_ends_the_process_at_once(
    dsn: str, db: Session, number: signal.Signals
) -> None:
    [held] = hold(db)
    with worker_process(dsn, "worker") as process:
        eventually(lambda: job(db, held).progress)
        process.send_signal(number)
        read_until(process.stderr, "stopping: 1 job")
        process.send_signal(number)
        assert process.wait(30) == -number  # a shell shows 128 + number
    let_go(db)
    assert job(db, held).status == "running"
    eventually(lambda: value(db, "tick")["reaped"])
    assert job(db, held).status == "pending"


def test_the_start_is_logged_in_the_spirit_of_the_seed(dsn: str) -> None:
    with worker_process(dsn, "worker") as process:
        line = read_until(process.stderr, "starting")
    assert re.search(
        r"\[rowqueue\] worker \S+:\d+:[0-9a-f]{4} starting: queues default, concurrency 10, "
        r"polling every 100 ms, schema \d{4}$",
        line,
    )


def test_jobs_claimed_ahead_are_released_by_a_stop(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn, concurrency=2)
    begun, go = threading.Semaphore(0), threading.Event()

    @worker.handler("sync")
    def sync(job: Job) -> None:
        begun.release()
        go.wait(20)

    enqueue_many(db, *[{"payload": {"n": n}} for n in range(2)])
    with working(worker):
        assert begun.acquire(timeout=20)
        assert begun.acquire(timeout=20)
        more = [one.id for one in enqueue_many(db, {}, {})]
        worker.stop()
        go.set()
    assert {(job(db, one).status, job(db, one).attempts) for one in more} == {("pending", 0)}


def test_stop_gives_coroutines_their_grace_and_then_releases_their_jobs(
    dsn: str, db: Session
) -> None:
    worker = quick_worker(dsn, shutdown_grace=timedelta(milliseconds=200))
    begun, cleared_up = threading.Event(), threading.Event()

    @worker.handler("sync")
    async def sync(job: Job) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            assert job.cancelled
            cleared_up.set()

    job_id = enqueue(db)
    with working(worker):
        assert begun.wait(timeout=20)
    assert cleared_up.is_set()
    assert (job(db, job_id).status, job(db, job_id).attempts) == ("pending", 0)


async def test_cancelling_run_async_releases_the_jobs_without_a_grace(
    dsn: str, db: Session
) -> None:
    worker = quick_worker(dsn, shutdown_grace=timedelta(hours=1))
    begun = asyncio.Event()

    @worker.handler("sync")
    async def sync(job: Job) -> None:
        begun.set()
        await asyncio.Event().wait()

    job_id = enqueue(db)
    task = asyncio.create_task(worker.run_async())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (job(db, job_id).status, job(db, job_id).attempts) == ("pending", 0)
    assert not worker.running


def test_a_loop_that_ends_under_a_worker_releases_the_jobs(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn, shutdown_grace=timedelta(hours=1))

    async def main() -> None:
        begun = asyncio.Event()

        @worker.handler("sync")
        async def sync(job: Job) -> None:
            begun.set()
            await asyncio.Event().wait()

        beside = asyncio.create_task(worker.run_async())
        await begun.wait()
        assert not beside.done()  # asyncio.run now cancels every task there is

    job_id = enqueue(db)
    asyncio.run(main())
    assert (job(db, job_id).status, job(db, job_id).attempts) == ("pending", 0)


def test_a_keyboard_interrupt_in_a_coroutine_ends_the_worker(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn)

    @worker.handler("sync")
    async def sync(job: Job) -> None:
        raise KeyboardInterrupt

    job_id = enqueue(db)
    with pytest.raises(KeyboardInterrupt):
        worker.run()
    assert job(db, job_id).last_error == "KeyboardInterrupt"


def test_run_puts_the_signal_handlers_back(dsn: str) -> None:
    before = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
    quick_worker(dsn).run(burst=True)
    assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)] == before


def test_nothing_is_left_behind(dsn: str, db: Session) -> None:
    threads = threading.active_count()
    worker = quick_worker(dsn)
    worker.handler("sync")(lambda job: None)
    enqueue_many(db, *[{}] * 20)
    worker.run(burst=True)
    eventually(lambda: threading.active_count() <= threads)
    sessions = "select count(*) from pg_stat_activity where application_name like 'rowqueue %'"
    eventually(lambda: db.execute(sessions).fetchone()[0] == 0)
