"""The jobs lie where claims and the reaper look, and the sequences are ahead of them."""

from __future__ import annotations

import pytest

from doctor.findings import found, healed, one, present_clock
from support.calls import Session, claim_one, enqueue
from support.waiting import eventually


def test_a_running_job_without_a_lease_is_told(db: Session) -> None:
    enqueue(db)
    job = claim_one(db)
    db.execute("alter table rowqueue.jobs drop constraint jobs_running_has_lease")
    db.execute("update rowqueue.jobs_live set lease_until = null")
    finding = one(db, "running_without_lease")
    assert (finding.severity, str(job.id) in finding.what) == ("error", True)
    assert healed(db, "running_without_lease")
    assert claim_one(db).id == job.id


def test_a_running_job_without_a_ticket_is_told(db: Session) -> None:
    enqueue(db)
    claim_one(db)
    db.execute("update rowqueue.jobs_live set ticket = null")
    assert "without a ticket" in one(db, "running_without_lease").what
    assert healed(db, "running_without_lease")


def test_a_waiting_job_below_its_floor_is_told(db: Session) -> None:
    job_id = enqueue(db)
    db.execute("select nextval('rowqueue.tickets') from generate_series(1, 50)")
    db.execute("insert into rowqueue.lanes (queue, priority, floor) values ('default', 0, 40)")
    finding = one(db, "job_below_floor")
    assert finding.severity == "error"
    assert f"pending job {job_id}" in finding.what
    assert "out of sight of the claims" in finding.what
    assert healed(db, "job_below_floor")
    assert claim_one(db).id == job_id


def test_a_running_job_that_the_reaper_does_not_see_is_told(db: Session) -> None:
    enqueue(db)
    claim_one(db)
    db.execute("delete from rowqueue.ceilings")
    assert "out of sight of the reaper" in one(db, "job_below_floor").what
    db.execute("insert into rowqueue.ceilings (queue, priority, ceiling) values ('default', 0, 99)")
    assert not found(db, "job_below_floor")
    db.execute(
        "insert into rowqueue.lanes (queue, priority, floor, live_floor)"
        " values ('default', 0, 98, 98)"
    )
    assert "out of sight of the reaper" in one(db, "job_below_floor").what


def test_a_due_job_that_no_promotion_looks_for_is_told(db: Session) -> None:
    clock = present_clock(db)
    enqueue(db, run_after=clock.now.replace(microsecond=0))
    enqueue(db, run_after=clock.advance(minutes=1))
    db.execute("update rowqueue.jobs_live set ticket = null where ticket is not null")
    assert not found(db, "job_below_floor")
    db.execute("update rowqueue.watermarks set due_floor = %s", [clock.advance(minutes=2)])
    clock.advance(minutes=3)
    assert all(
        "out of sight of the promotion" in each.what for each in found(db, "job_below_floor")
    )
    assert len(found(db, "job_below_floor")) == 2

    def look_again() -> bool:
        clock.advance(seconds=6)
        return healed(db, "job_below_floor")

    # The farther below, the later a tick gets there, if time is short.
    eventually(look_again, what="a tick to find them")


def test_a_job_whose_lane_does_not_exist_is_told(db: Session) -> None:
    job_id = enqueue(db)
    db.execute("update rowqueue.jobs_live set queue = 'elsewhere', priority = 7")
    finding = one(db, "job_without_lane")
    assert finding.severity == "error"
    assert finding.what == "a job waits in queue elsewhere with priority 7, which is no lane"
    assert healed(db, "job_without_lane")
    assert claim_one(db, queues=["elsewhere"]).id == job_id


def test_jobs_that_were_found_below_a_floor_are_told(db: Session) -> None:
    db.execute("select nextval('rowqueue.below_floor') from generate_series(1, 3)")
    finding = one(db, "jobs_were_below_floor")
    assert finding.severity == "warning"
    assert finding.what == "3 jobs were found below a floor so far"
    assert healed(db, "jobs_were_below_floor")


def test_a_watermark_that_is_missing_is_told(db: Session) -> None:
    db.execute("delete from rowqueue.watermarks")
    assert one(db, "watermark_missing").severity == "error"
    assert healed(db, "watermark_missing")


@pytest.mark.parametrize("sequence", ["tickets", "tokens"])
def test_a_sequence_that_was_set_back_is_told(db: Session, sequence: str) -> None:
    for _ in range(3):
        enqueue(db)
    for _ in range(2):
        claim_one(db)
    db.execute(f"alter sequence rowqueue.{sequence} restart")
    finding = one(db, "sequence_behind")
    assert finding.severity == "error"
    assert finding.what.startswith(f"{sequence} were given out up to ")
    assert healed(db, "sequence_behind")
    assert claim_one(db).token > 2


def test_a_floor_beyond_every_ticket_is_told(db: Session) -> None:
    """What is enqueued next would lie below it."""
    enqueue(db)
    db.execute("insert into rowqueue.lanes (queue, priority, floor) values ('default', 0, 40)")
    assert "up to 39" in one(db, "sequence_behind").what


@pytest.mark.parametrize("sequence", ["tickets", "tokens"])
def test_a_sequence_that_is_half_used_is_told(db: Session, sequence: str) -> None:
    db.execute(
        f"select setval('rowqueue.{sequence}', max_value / 2) from pg_sequences"
        " where schemaname = 'rowqueue' and sequencename = %s",
        [sequence],
    )
    assert not found(db, "sequence_half_used")
    db.execute(f"select nextval('rowqueue.{sequence}')")
    finding = one(db, "sequence_half_used")
    assert (finding.severity, sequence in finding.what) == ("warning", True)
