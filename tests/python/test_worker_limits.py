"""How a handler is ended: its time is up, its job is cancelled, its lease is lost."""

from __future__ import annotations

import asyncio
import os
import threading
from datetime import timedelta
from typing import Any

import pytest

from rowqueue.worker import Job, TooManyAbandonedThreads, run
from support import worker_app
from support.calls import Session, enqueue, job, value
from support.waiting import eventually
from support.workers import quick_worker, until, working

SHORT_LEASE = timedelta(milliseconds=300)


def timed_out(db: Session, job_id: Any) -> Any:
    """Waits for the end of the first attempt and returns the job's row."""
    return eventually(lambda: (row := job(db, job_id)).last_error and row)


def test_a_coroutine_is_cancelled_when_its_time_is_up(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn)
    ended: list[BaseException] = []

    @worker.handler("sync")
    async def sync(job: Job) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            assert job.cancelled
            ended.append(error)
            raise

    job_id = enqueue(db, timeout_ms=200)
    worker.run(burst=True)
    row = timed_out(db, job_id)
    assert (row.status, row.attempts) == ("pending", 1)
    assert row.last_error == "timeout: ran longer than 200 ms"
    assert len(ended) == 1


def test_the_last_attempt_that_times_out_is_the_failure(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn)

    @worker.handler("sync")
    async def sync(job: Job) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "too late"
        return "never"

    job_id = enqueue(db, timeout_ms=200, max_attempts=1)
    worker.run(burst=True)
    row = job(db, job_id)
    assert (row.status, row.error) == ("failed", "timeout: ran longer than 200 ms")
    assert row.result is None


def test_a_coroutine_that_ignores_its_cancellation_is_left_to_itself(
    dsn: str, db: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "STOP_GRACE", 0.1)
    worker = quick_worker(dsn, concurrency=1)
    end = threading.Event()

    @worker.handler("stubborn")
    async def stubborn(job: Job) -> None:
        while not end.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    worker.handler("sync")(lambda job: None)
    stubborn_id, next_id = enqueue(db, "stubborn", timeout_ms=100), enqueue(db)
    with working(worker):
        assert timed_out(db, stubborn_id).last_error == "timeout: ran longer than 100 ms"
        until(db, next_id, "completed")
        end.set()


def test_a_thread_is_abandoned_its_job_fails_and_another_takes_its_place(
    dsn: str, db: Session, caplog: pytest.LogCaptureFixture
) -> None:
    worker = quick_worker(dsn, concurrency=1)
    end = threading.Event()
    returned = threading.Event()

    @worker.handler("stuck")
    def stuck(job: Job) -> str:
        end.wait()
        returned.set()
        return "too late"

    worker.handler("sync")(lambda job: None)
    stuck_id, next_id = enqueue(db, "stuck", timeout_ms=200), enqueue(db)
    with caplog.at_level("INFO", "rowqueue"), working(worker):
        row = timed_out(db, stuck_id)
        assert (row.status, row.attempts) == ("pending", 1)
        assert row.last_error == "timeout: ran longer than 200 ms"
        until(db, next_id, "completed")
        assert f"{stuck_id}: its thread cannot be stopped" in caplog.text
        end.set()
        assert returned.wait(20)
        eventually(lambda: "its abandoned thread has ended, 0 left" in caplog.text)
    assert job(db, stuck_id).result is None


def test_a_worker_with_too_many_abandoned_threads_winds_up(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn, max_abandoned_threads=1)
    end = threading.Event()

    @worker.handler("stuck")
    def stuck(job: Job) -> None:
        end.wait()

    @worker.handler("sync")
    def sync(job: Job) -> None:
        assert winding_up.wait(20)

    winding_up = threading.Event()
    stuck_ids = [enqueue(db, "stuck", timeout_ms=200) for _ in range(2)]
    other = enqueue(db)

    def run_until_it_has_enough() -> None:
        with working(worker):
            for stuck_id in stuck_ids:
                timed_out(db, stuck_id)
            winding_up.set()
            eventually(lambda: not worker.running)

    with pytest.raises(TooManyAbandonedThreads, match="2 threads"):
        run_until_it_has_enough()
    assert job(db, other).status == "completed"
    end.set()


def test_who_stops_a_worker_is_not_told_of_abandoned_threads(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn, max_abandoned_threads=0)
    end = threading.Event()

    @worker.handler("stuck")
    def stuck(job: Job) -> None:
        worker.stop()
        end.wait()

    stuck_id = enqueue(db, "stuck", timeout_ms=200)
    worker.run()
    assert job(db, stuck_id).last_error == "timeout: ran longer than 200 ms"
    end.set()


def test_a_process_is_killed_when_its_time_is_up(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn, concurrency=1)
    worker.handler("sleep", process=True)(worker_app.sleep)
    worker.handler("pid", process=True)(worker_app.pid)
    first = enqueue(db, "pid")
    with working(worker):
        before = until(db, first, "completed").result["pid"]
        stuck = enqueue(db, "sleep", timeout_ms=200)
        row = timed_out(db, stuck)
        assert (row.status, row.attempts) == ("pending", 1)
        assert row.last_error == "timeout: ran longer than 200 ms"
        after = until(db, enqueue(db, "pid"), "completed").result["pid"]
        assert after != before
        with pytest.raises(ProcessLookupError):
            os.kill(before, 0)


def test_a_cancelled_coroutine_that_goes_on_is_stopped(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn, lease=SHORT_LEASE)

    @worker.handler("sync")
    async def sync(job: Job) -> None:
        await asyncio.Event().wait()

    job_id = enqueue(db)
    with working(worker):
        until(db, job_id, "running")
        value(db, "cancel", job_id=job_id)
        until(db, job_id, "cancelled")


def test_within_its_grace_a_cancelled_coroutine_may_complete(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn, lease=SHORT_LEASE, cancel_grace=timedelta(minutes=1))

    @worker.handler("sync")
    async def sync(job: Job) -> str:
        await asyncio.to_thread(eventually, lambda: job.cancelled)
        return "almost done anyway"

    job_id = enqueue(db)
    with working(worker):
        until(db, job_id, "running")
        value(db, "cancel", job_id=job_id)
        assert until(db, job_id, "completed").result == "almost done anyway"


def test_a_cancelled_thread_sees_it_and_ends(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn, lease=SHORT_LEASE)

    @worker.handler("sync")
    def sync(job: Job) -> None:
        eventually(lambda: job.cancelled)
        raise RuntimeError("stopped as asked")

    job_id = enqueue(db)
    with working(worker):
        until(db, job_id, "running")
        value(db, "cancel", job_id=job_id)
        until(db, job_id, "cancelled")


def test_a_cancelled_process_is_told_and_then_killed(dsn: str, db: Session) -> None:
    patient = quick_worker(dsn, lease=SHORT_LEASE, cancel_grace=timedelta(minutes=1))
    patient.handler("wait", process=True)(worker_app.wait_for_cancellation)
    job_id = enqueue(db, "wait")
    with working(patient):
        eventually(lambda: job(db, job_id).progress)
        value(db, "cancel", job_id=job_id)
        until(db, job_id, "cancelled")

    worker = quick_worker(dsn, lease=SHORT_LEASE)
    worker.handler("sleep", process=True)(worker_app.sleep)
    job_id = enqueue(db, "sleep")
    with working(worker):
        until(db, job_id, "running")
        value(db, "cancel", job_id=job_id)
        until(db, job_id, "cancelled")


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_job_that_was_taken_away_is_dropped_and_runs_again(
    dsn: str, db: Session, asynchronous: bool, caplog: pytest.LogCaptureFixture
) -> None:
    worker = quick_worker(dsn, lease=SHORT_LEASE)
    seen: list[Job] = []

    def plain(job: Job) -> str:
        seen.append(job)
        if len(seen) > 1:
            return "second"
        eventually(lambda: job.cancelled)
        return "first"

    async def coroutine(job: Job) -> str:
        seen.append(job)
        if len(seen) == 1:
            await asyncio.Event().wait()
        return "second"

    worker.handler("sync")(coroutine if asynchronous else plain)
    job_id = enqueue(db)
    with caplog.at_level("INFO", "rowqueue"), working(worker):
        eventually(lambda: seen)
        db.execute("update rowqueue.jobs set status = 'pending', started_at = null")
        assert until(db, job_id, "completed").result == "second"
        eventually(lambda: seen[0].cancelled)
    assert seen[0].token < seen[1].token
    assert f"{job_id} is stopped: its lease is lost" in caplog.text
