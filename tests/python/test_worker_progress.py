"""Progress from inside a handler."""

from __future__ import annotations

import threading
import time
from decimal import Decimal
from typing import Any

import pytest

from rowqueue.worker import Job
from support.calls import Session, enqueue, job, value
from support.waiting import eventually
from support.workers import quick_worker, until, working


@pytest.fixture
def written(db: Session) -> None:
    """Notes each progress that is written, in the table ``written``."""
    db.execute("create table written (progress jsonb)")
    db.execute(
        """
        create function note() returns trigger language plpgsql as $$
        begin
            insert into public.written values (new.progress);
            return null;
        end $$
        """
    )
    db.execute(
        "create trigger note after update of progress on rowqueue.jobs_live for each row "
        "when (new.progress is distinct from old.progress) execute function note()"
    )


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_last_report_is_written_before_the_job_ends(
    dsn: str, db: Session, asynchronous: bool
) -> None:
    worker = quick_worker(dsn)

    def plain(job: Job) -> None:
        assert job.report_progress(1, 3)
        assert job.report_progress(2.5, Decimal("3.5"), "almost \0 there")
        if job.payload:
            raise ValueError("broken")

    async def coroutine(job: Job) -> None:
        plain(job)

    worker.handler("sync")(coroutine if asynchronous else plain)
    good, bad = enqueue(db), enqueue(db, payload={"bad": 1})
    worker.run(burst=True)
    expected = {"current": 2.5, "total": 3.5, "message": "almost  there"}
    assert (job(db, good).status, job(db, good).progress) == ("completed", expected)
    assert (job(db, bad).status, job(db, bad).progress) == ("pending", expected)


def test_progress_shows_while_the_handler_runs(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn)
    seen = threading.Event()

    @worker.handler("sync")
    def sync(job: Job) -> None:
        job.report_progress(5, 34, "Processing … (page 5 of 34)…")
        assert seen.wait(20)
        job.report_progress(34, 34, "done")

    job_id = enqueue(db)
    with working(worker):
        first = eventually(lambda: job(db, job_id).progress)
        seen.set()
        until(db, job_id, "completed")
    assert first == {"current": 5, "total": 34, "message": "Processing … (page 5 of 34)…"}
    assert job(db, job_id).progress["message"] == "done"


def test_a_tight_loop_of_reports_is_written_four_times_a_second_at_most(
    dsn: str, db: Session, written: None
) -> None:
    worker = quick_worker(dsn)
    reports = 0

    @worker.handler("sync")
    def sync(job: Job) -> None:
        nonlocal reports
        first = None
        while first is None or job.written is first:
            reports += 1
            job.report_progress(reports)
            first = first or job.written
        job.report_progress(reports + 1)

    job_id = enqueue(db)
    begun = time.monotonic()
    worker.run(burst=True)
    elapsed = time.monotonic() - begun
    rows = [row.progress["current"] for row in db.execute("select progress from written")]
    assert rows == sorted(rows)
    assert rows[-1] == reports + 1 == job(db, job_id).progress["current"]
    assert 2 <= len(rows) <= elapsed * 4 + 1
    assert reports > 100 * len(rows)


@pytest.mark.parametrize(
    ("report", "error"),
    [
        (("5",), TypeError),
        ((True,), TypeError),
        ((None,), TypeError),
        ((float("nan"),), ValueError),
        ((1, float("inf")), ValueError),
        ((1, 2, b"bytes"), TypeError),
    ],
)
def test_what_is_no_progress_is_refused_on_the_spot(
    dsn: str, db: Session, report: tuple[Any, ...], error: type[Exception]
) -> None:
    worker = quick_worker(dsn)
    raised: list[Exception] = []

    @worker.handler("sync")
    def sync(job: Job) -> None:
        with pytest.raises(error) as caught:
            job.report_progress(*report)
        raised.append(caught.value)

    enqueue(db)
    worker.run(burst=True)
    assert len(raised) == 1


def test_what_the_database_refuses_is_raised_by_the_next_report(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn)

    @worker.handler("sync")
    def sync(job: Job) -> None:
        job.report_progress(5, 4)
        eventually(lambda: job.refusal)
        job.report_progress(4, 4)

    job_id = enqueue(db)
    worker.run(burst=True)
    row = job(db, job_id)
    assert row.status == "pending"
    assert "progress report was refused: current must not be more than total" in row.last_error


def test_a_refused_last_report_costs_the_job_nothing(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn)

    @worker.handler("sync")
    def sync(job: Job) -> str:
        job.report_progress(-1)
        return "done"

    job_id = enqueue(db)
    worker.run(burst=True)
    assert (job(db, job_id).result, job(db, job_id).progress) == ("done", None)


def test_a_report_tells_that_the_job_was_cancelled(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn)

    @worker.handler("sync")
    def sync(job: Job) -> None:
        assert not job.cancelled
        n = 0
        while job.report_progress(n := n + 1):
            time.sleep(0.001)
        assert job.cancelled
        raise RuntimeError("stopped as asked")

    job_id = enqueue(db)
    with working(worker):
        until(db, job_id, "running")
        assert value(db, "cancel", job_id=job_id, reason="not needed") == "running"
        row = until(db, job_id, "cancelled")
    assert row.error == "not needed"
