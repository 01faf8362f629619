"""Coroutine handlers take turns in tasks that they share, and must not notice it."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest

from rowqueue.worker import Job
from support.calls import Session, enqueue, enqueue_many, job, value
from support.waiting import eventually
from support.workers import quick_worker, until, working

_user: ContextVar[str] = ContextVar("user", default="nobody")


@pytest.mark.parametrize("waits", [False, True])
def test_what_a_handler_sets_in_its_context_is_gone_with_it(
    dsn: str, db: Session, waits: bool
) -> None:
    worker = quick_worker(dsn, concurrency=2)
    seen: list[tuple[str, str]] = []

    @worker.handler("sync")
    async def sync(job: Job) -> None:
        before = _user.get()
        _user.set(f"user {job.payload['n']}")
        if waits:
            await asyncio.sleep(0)
        seen.append((before, _user.get()))

    enqueue_many(db, *[{"payload": {"n": n}} for n in range(5)])
    worker.run(burst=True)
    assert sorted(seen) == [("nobody", f"user {n}") for n in range(5)]


def test_what_a_handler_awaits_runs_in_its_context_and_in_a_task(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn)

    @worker.handler("sync")
    async def sync(job: Job) -> list[str]:
        _user.set("me")
        async with asyncio.timeout(60):
            return list(await asyncio.gather(_name(), _name()))

    async def _name() -> str:
        await asyncio.sleep(0)
        return _user.get()

    job_id = enqueue(db)
    worker.run(burst=True)
    assert job(db, job_id).result == ["me", "me"]


def test_a_timeout_within_a_handler_is_its_own(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn, concurrency=1)

    @worker.handler("sync")
    async def sync(job: Job) -> str:
        try:
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        except TimeoutError:
            return "caught"
        return "not reached"

    made = enqueue_many(db, {}, {})
    worker.run(burst=True)
    assert [job(db, one.id).result for one in made] == ["caught", "caught"]


def test_a_handler_that_cancels_its_task_harms_no_other(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn, concurrency=2)

    @worker.handler("cancels")
    async def cancels(job: Job) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    begun: list[Job] = []

    @worker.handler("waits")
    async def waits(job: Job) -> str:
        begun.append(job)
        await asyncio.sleep(0)
        return "done"

    enqueue(db, "cancels")
    job_id = enqueue(db, "waits")
    worker.run(burst=True)
    assert (job(db, job_id).result, len(begun)) == ("done", 1)


def test_as_many_handlers_wait_at_once_as_concurrency_says(dsn: str, db: Session) -> None:
    jobs = 40
    worker = quick_worker(dsn, concurrency=jobs)
    together = asyncio.Barrier(jobs)

    @worker.handler("sync")
    async def sync(job: Job) -> None:
        async with asyncio.timeout(20):
            await together.wait()

    made = enqueue_many(db, *[{"max_attempts": 1}] * jobs)
    worker.run(burst=True)
    assert {job(db, one.id).status for one in made} == {"completed"}


@pytest.mark.parametrize("waits", [False, True])
def test_a_handler_that_raises_cancelled_error_by_itself_has_failed(
    dsn: str, db: Session, waits: bool
) -> None:
    worker = quick_worker(dsn, concurrency=2)

    @worker.handler("gives_up")
    async def gives_up(job: Job) -> None:
        if waits:
            await asyncio.sleep(0)
        raise asyncio.CancelledError

    @worker.handler("sync")
    async def sync(job: Job) -> str:
        return "done"

    job_id = enqueue(db, "gives_up", max_attempts=1)
    other = enqueue(db, "sync")
    worker.run(burst=True)
    failed = job(db, job_id)
    assert (failed.status, failed.error) == (
        "failed",
        "CancelledError: the handler was cancelled from within",
    )
    assert job(db, other).result == "done"


def test_a_stopped_handler_takes_no_neighbour_with_it(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn, concurrency=2)
    go = asyncio.Event()

    @worker.handler("endless")
    async def endless(job: Job) -> None:
        while True:
            job.report_progress(0)  # which hears of the cancellation soon
            await asyncio.sleep(0.01)

    @worker.handler("neighbour")
    async def neighbour(job: Job) -> str:
        await go.wait()
        return "done"

    @worker.handler("end")
    async def end(job: Job) -> None:
        go.set()

    endless_id, neighbour_id = enqueue(db, "endless"), enqueue(db, "neighbour")
    with working(worker):
        until(db, neighbour_id, "running")
        value(db, "cancel", job_id=endless_id)
        until(db, endless_id, "cancelled")
        enqueue(db, "end")
        until(db, neighbour_id, "completed")


def test_a_worker_whose_outcomes_are_not_taken_claims_no_more(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn, prefetch=1000)
    done: list[int] = []
    jobs = 6000

    @worker.handler("sync")
    async def sync(job: Job) -> None:
        done.append(job.payload["n"])

    enqueue_many(db, *[{"payload": {"n": n}} for n in range(jobs)])

    looks: list[int] = []

    def stands_still() -> bool:
        looks.append(len(done))
        return looks[-1] > 0 and looks[-1:] * 30 == looks[-30:]

    with working(worker):
        with db.transaction():
            db.execute("lock table rowqueue.jobs_finished in share mode")
            eventually(stands_still, what="the worker to wait")
            assert len(done) < jobs
        eventually(lambda: len(done) == jobs, what="the other jobs to be done")
    assert sorted(done) == list(range(jobs))
