"""A worker that is killed: when its job comes back, and what a second run finds."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from recovery.process import worker_at_work
from support.calls import Session, claim_one, enqueue, job
from support.waiting import eventually
from support.worker_app import effect
from support.workers import quick_worker, working

POINTS = {
    "claimed": "echo",
    "in handler": "poison",
    "before commit": "effect_before_death",
    "after commit": "effect_then_death",
    "done": "echo",
    "in heartbeat": "sleep",
}
"""Where the worker is killed: the job type that brings it there."""

WITHIN = timedelta(seconds=1)
SLACK = timedelta(seconds=1)
"""For a machine that is busy with other things."""


def keep_one_running(db: Session) -> None:
    """Has a job run in this database, as is usual: then idle workers look after the leases."""
    enqueue(db, queue="kept")
    claim_one(db, queues=["kept"], lease=timedelta(hours=1))


def lags(db: Session, ids: Iterable[UUID]) -> dict[UUID, timedelta]:
    """Waits until no job of these runs, and returns how long after its lease each came back."""
    waiting = set(ids)
    leases: dict[UUID, datetime] = {}
    back: dict[UUID, timedelta] = {}

    def all_are_back() -> bool:
        rows = db.execute(
            "select id, status, lease_until, clock_timestamp() as now from rowqueue.jobs"
            " where id = any(%s)",
            [list(waiting)],
        )
        for row in rows.fetchall():
            if row.status == "running":
                leases[row.id] = row.lease_until
            else:
                waiting.remove(row.id)
                back[row.id] = row.now - leases.get(row.id, row.now)
        return not waiting

    eventually(all_are_back)
    return back


def test_a_job_of_a_killed_worker_is_claimable_within_its_lease_and_a_second(
    dsn: str, db: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROWQUEUE_DSN", dsn)  # for `effect` in this process
    db.execute("create table public.effects (job_id uuid)")
    keep_one_running(db)
    ids, victims = {}, []
    with ExitStack() as processes, working(quick_worker(dsn, queues=["elsewhere"])):
        for point, job_type in POINTS.items():
            queue = point.replace(" ", "-")
            ids[point] = enqueue(db, job_type, queue=queue)
            env = {"RECOVERY_TROUBLE": point, "RECOVERY_QUEUES": queue}
            victims.append(processes.enter_context(worker_at_work(dsn, "worker", env=env)))
        for victim in victims:
            assert victim.wait() == -signal.SIGKILL, victim.log
        late = {point: lag for point, lag in lags(db, ids.values()).items() if lag > WITHIN + SLACK}
        assert not late

    rescuer = quick_worker(dsn, queues=[point.replace(" ", "-") for point in POINTS])
    for job_type in set(POINTS.values()):
        rescuer.handler(job_type)(effect if "effect" in job_type else lambda job: "rescued")
    rescuer.run(burst=True)
    assert {job(db, one).status for one in ids.values()} == {"completed"}
    effects = db.execute("select job_id from public.effects order by job_id").fetchall()
    with_effect = [ids[point] for point, job_type in POINTS.items() if "effect" in job_type]
    assert [row.job_id for row in effects] == sorted(with_effect)
