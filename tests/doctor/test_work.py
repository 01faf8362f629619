"""Somebody works off what is due, reports on what runs, and calls tick()."""

from __future__ import annotations

from datetime import timedelta

from doctor.findings import found, healed, one, present_clock
from support.calls import Session, claim_one, enqueue, open_lanes, rows, value


def test_a_queue_that_nobody_serves_is_told(db: Session) -> None:
    clock = present_clock(db)
    enqueue(db, queue="mail")
    clock.advance(minutes=4)
    assert not found(db, "queue_unserved")
    clock.advance(minutes=2)
    finding = one(db, "queue_unserved")
    assert finding.severity == "error"
    assert finding.what == "queue mail has had a due job for 00:06:00, and none of its jobs runs"
    enqueue(db, queue="mail")
    claim_one(db, queues=["mail"], lease=timedelta(hours=1))
    clock.advance(minutes=6)
    assert not found(db, "queue_unserved")


def test_a_delayed_job_does_not_count_before_it_is_due(db: Session) -> None:
    clock = present_clock(db)
    open_lanes(db, "default")
    enqueue(db, run_after=clock.now + timedelta(minutes=10))
    clock.advance(minutes=12)
    assert not found(db, "queue_unserved")
    clock.advance(minutes=4)
    assert one(db, "queue_unserved").what.startswith("queue default has had a due job for 00:06:00")


def test_a_worker_that_is_silent_is_told(db: Session) -> None:
    clock = present_clock(db)
    for _ in range(2):
        enqueue(db)
        claim_one(db, worker="host:17", lease=timedelta(seconds=20))
    clock.advance(seconds=29)
    assert not found(db, "worker_silent")
    clock.advance(seconds=1)
    finding = one(db, "worker_silent")
    assert finding.severity == "warning"
    assert finding.what == (
        "worker host:17 holds 2 jobs whose lease or timeout ran out, the first one 00:00:10 ago"
    )
    assert healed(db, "worker_silent")
    assert len(found(db, "tick_missing")) == 0


def test_stuck_jobs_that_nobody_takes_back_are_told(db: Session) -> None:
    clock = present_clock(db)
    enqueue(db, timeout_ms=10_000)
    claim_one(db, lease=timedelta(hours=1))
    clock.advance(seconds=60)
    assert not found(db, "tick_missing")
    clock.advance(seconds=10)
    finding = one(db, "tick_missing")
    assert (finding.severity, finding.what) == ("error", "1 jobs are stuck")
    assert healed(db, "tick_missing")


def test_due_jobs_that_nobody_gives_a_place_are_told(db: Session) -> None:
    clock = present_clock(db)
    open_lanes(db, "default")
    enqueue(db, run_after=clock.now + timedelta(seconds=1))
    clock.advance(seconds=62)
    assert "1 queues have due jobs" in one(db, "tick_missing").what
    assert healed(db, "tick_missing")


def test_a_month_without_a_partition_is_told(db: Session) -> None:
    clock = present_clock(db)
    clock.advance(days=40)
    assert not found(db, "partition_missing")
    clock.advance(days=100)
    finding = found(db, "partition_missing")[0]
    assert (finding.severity, finding.remedy) == ("warning", "select rowqueue.tick();")
    assert healed(db, "partition_missing")


def test_finished_jobs_without_a_partition_are_told(db: Session) -> None:
    clock = present_clock(db)
    clock.advance(days=200)
    enqueue(db)
    job = claim_one(db)
    rows(db, "complete", job_id=job.id, token=job.token)
    finding = one(db, "default_partition_used")
    assert (finding.severity, finding.what[:7]) == ("warning", "1 jobs ")
    assert healed(db, "default_partition_used")
    [still] = rows(db, "get_job", job_id=job.id)
    assert still.status == "completed"
    assert value(db, "tick")["partitions"] == 0
