"""A worker that is stopped, or cannot move, for longer than its leases: it comes back too late."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack
from datetime import timedelta
from uuid import UUID

import pytest

from recovery.process import Process, worker_at_work
from rowqueue.worker import Job
from support.calls import Session, enqueue, everything, job
from support.waiting import eventually
from support.worker_app import effect
from support.workers import quick_worker, until, working


def second(job: Job) -> str:
    """The handler of the worker that steps in."""
    return "second"


def has_dropped(process: Process, job_id: UUID) -> bool:
    """Whether a worker has said that what it has on a job is void: it may learn so in two ways."""
    words = (f"{job_id} lost its lease", f"{job_id} has nothing to report any more")
    return any(each in process.log for each in words)


def effects(db: Session) -> list[object]:
    """Returns which jobs had an effect."""
    return [row.job_id for row in db.execute("select job_id from public.effects").fetchall()]


def test_a_worker_that_was_stopped_past_its_lease_changes_no_row(
    dsn: str, db: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROWQUEUE_DSN", dsn)  # for `effect` in this process
    db.execute("create table public.effects (job_id uuid)")
    db.execute("select pg_advisory_lock(7)")
    plain = enqueue(db, "until_free", payload={"lock": 7})
    own = enqueue(db, "effect_when_free", payload={"lock": 7})
    with worker_at_work(dsn, "worker") as zombie:
        for one in (plain, own):
            eventually(lambda one=one: job(db, one).progress)
        zombie.popen.send_signal(signal.SIGSTOP)

        go, begun = threading.Event(), threading.Semaphore(0)

        def second_run(job: Job) -> str:
            begun.release()
            go.wait(30)
            return "second"

        def second_effect(job: Job) -> None:
            begun.release()
            go.wait(30)
            effect(job)

        with ExitStack() as rescue:
            for _ in (plain, own):  # each of the two runs alone now
                rescuer = quick_worker(dsn, lease=timedelta(hours=1))
                rescuer.handler("until_free")(second_run)
                rescuer.handler("effect_when_free")(second_effect)
                rescue.enter_context(working(rescuer))
            for _ in (plain, own):
                assert begun.acquire(timeout=20)
            before = everything(db)
            zombie.popen.send_signal(signal.SIGCONT)
            db.execute("select pg_advisory_unlock(7)")
            for one in (plain, own):
                eventually(lambda one=one: has_dropped(zombie, one))
            assert everything(db) == before
            assert effects(db) == []
            go.set()
            assert until(db, plain, "completed").result == "second"
            until(db, own, "completed")
        assert effects(db) == [own]
        until(db, enqueue(db, "echo"), "completed")  # and it works on
        zombie.popen.terminate()
        assert zombie.wait() == 0, zombie.log


def test_what_keeps_every_thread_from_running_costs_the_lease_and_nothing_else(
    dsn: str, db: Session
) -> None:
    held = enqueue(db, "hold_gil", payload={"seconds": 3})
    with worker_at_work(dsn, "worker") as stuck:
        until(db, held, "running")
        rescuer = quick_worker(dsn)
        rescuer.handler("hold_gil")(second)
        with working(rescuer):
            row = until(db, held, "completed")
        assert row.result == "second"
        before = everything(db)
        eventually(lambda: has_dropped(stuck, held))
        assert everything(db) == before
        until(db, enqueue(db, "echo"), "completed")
