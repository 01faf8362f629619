"""Handlers that run in child processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
from datetime import timedelta

import pytest

from rowqueue.worker import Job
from support import worker_app
from support.calls import Session, enqueue, enqueue_many, job
from support.waiting import eventually
from support.workers import quick_worker, until, working


def is_alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_plain_and_async_handlers_run_in_a_child_that_is_kept(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn, concurrency=1)
    worker.handler("pid", process=True)(worker_app.pid)
    worker.handler("pid_async", process=True)(worker_app.pid_async)
    ids = [
        one.id for one in enqueue_many(db, *[{"job_type": "pid"}, {"job_type": "pid_async"}] * 3)
    ]
    worker.run(burst=True)
    [pid] = {job(db, one).result["pid"] for one in ids}
    assert pid != os.getpid()
    eventually(lambda: not is_alive(pid))


def test_payload_result_error_and_progress_pass_between_the_processes(
    dsn: str, db: Session
) -> None:
    worker = quick_worker(dsn, concurrency=2)
    worker.handler("echo", process=True)(worker_app.echo)
    worker.handler("report_and_fail", process=True)(worker_app.report_and_fail)
    echo, failing = enqueue(db, "echo", payload={"a": ["é"]}), enqueue(db, "report_and_fail")
    worker.run(burst=True)
    assert job(db, echo).result == {"a": ["é"]}
    row = job(db, failing)
    assert row.last_error == "ValueError: at three"
    assert row.progress == {"current": 3, "total": 4, "message": "three"}


def test_progress_shows_while_the_child_works(
    dsn: str, db: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROWQUEUE_DSN", dsn)
    worker = quick_worker(dsn)
    worker.handler("until_free", process=True)(worker_app.until_free)
    db.execute("select pg_advisory_lock(7)")
    job_id = enqueue(db, "until_free", payload={"lock": 7})
    with working(worker):
        progress = eventually(lambda: job(db, job_id).progress)
        assert progress == {"current": 0, "total": 1, "message": "at work"}
        db.execute("select pg_advisory_unlock(7)")
        assert until(db, job_id, "completed").result == "done"


def test_a_child_that_dies_fails_its_job_only(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn, concurrency=2)
    worker.handler("poison", process=True)(worker_app.poison)
    worker.handler("pid", process=True)(worker_app.pid)
    killer, harmless = {"job_type": "poison", "max_attempts": 1}, {"job_type": "pid"}
    poison, *good = [one.id for one in enqueue_many(db, killer, *[harmless] * 5)]
    worker.run(burst=True)
    row = job(db, poison)
    assert (row.status, row.attempts) == ("failed", 1)
    assert row.last_error == "ProcessDied: the handler's process was ended by signal 9"
    assert {job(db, one).status for one in good} == {"completed"}


def test_a_signal_that_is_meant_for_the_worker_does_not_end_its_children(
    dsn: str, db: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROWQUEUE_DSN", dsn)
    worker = quick_worker(dsn)
    worker.handler("until_free", process=True)(worker_app.until_free)
    db.execute("select pg_advisory_lock(7)")
    job_id = enqueue(db, "until_free", payload={"lock": 7})
    with working(worker):
        eventually(lambda: job(db, job_id).progress)
        [child] = multiprocessing.active_children()
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(child.pid, number)
        db.execute("select pg_advisory_unlock(7)")
        assert until(db, job_id, "completed").result == "done"


def test_a_child_at_work_does_not_outlive_its_worker(dsn: str, db: Session) -> None:
    worker = quick_worker(dsn, shutdown_grace=timedelta(0))
    worker.handler("tell_and_sleep", process=True)(worker_app.tell_and_sleep)
    job_id = enqueue(db, "tell_and_sleep")
    with working(worker):
        pid = int(eventually(lambda: job(db, job_id).progress)["message"])
        assert is_alive(pid)
    eventually(lambda: not is_alive(pid))
    row = job(db, job_id)
    assert (row.status, row.attempts) == ("pending", 0)


def test_a_function_that_a_child_could_not_find_is_refused_at_the_start(dsn: str) -> None:
    worker = quick_worker(dsn)

    @worker.handler("sync", process=True)
    def local(job: Job) -> None:
        pass

    with pytest.raises(ValueError, match="'sync' must be a function of a module"):
        worker.run(burst=True)
