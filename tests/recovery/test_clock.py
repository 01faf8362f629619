"""A worker whose machine has the date wrong."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from datetime import timedelta
from uuid import UUID

import pytest

from recovery.process import worker_at_work
from support.calls import Session, enqueue, stored
from support.waiting import eventually
from support.workers import until

DAY = timedelta(days=1)


def until_extended(db: Session, job_id: UUID, *, by: timedelta) -> None:
    """Returns once the lease of a job has been extended by so much."""
    first = stored(db, job_id).lease_until
    eventually(lambda: stored(db, job_id).lease_until > first + by)


@pytest.mark.skipif(shutil.which("faketime") is None, reason="moves a clock with faketime")
def test_a_clock_that_is_a_day_wrong_makes_no_difference(dsn: str, db: Session) -> None:
    db.execute("select pg_advisory_lock(7)")
    queues = {"-1d": "yesterday", "+1d": "tomorrow"}
    with ExitStack() as processes:
        workers = [
            processes.enter_context(
                worker_at_work(
                    dsn,
                    "worker",
                    prefix=["faketime", "-f", by],
                    # A monotonic clock knows no date.
                    env={"RECOVERY_QUEUES": queue, "DONT_FAKE_MONOTONIC": "1"},
                )
            )
            for by, queue in queues.items()
        ]
        now = db.execute("select clock_timestamp() as now").fetchone().now
        for worker, by in zip(workers, (-DAY, DAY), strict=True):
            day = worker.until_says(" starting: ").text.split()[0]
            assert day in {str((now + by).date()), str((now + by + timedelta(minutes=1)).date())}

        soon = now + timedelta(seconds=2)
        ids = {
            queue: (
                enqueue(db, "until_free", payload={"lock": 7}, queue=queue),
                enqueue(db, "coroutine", timeout_ms=500, max_attempts=1, queue=queue),
                enqueue(db, "echo", run_after=soon, queue=queue),
            )
            for queue in queues.values()
        }
        for held, _, _ in ids.values():
            until(db, held, "running")
            until_extended(db, held, by=timedelta(seconds=1))  # which is all that the lease lasts
        for _, slow, delayed in ids.values():
            assert until(db, slow, "failed").error == "timeout: ran longer than 500 ms"
            row = until(db, delayed, "completed")
            assert row.started_at >= soon
            assert row.attempts == 1
        db.execute("select pg_advisory_unlock(7)")
        for held, _, _ in ids.values():
            assert until(db, held, "completed").attempts == 1
