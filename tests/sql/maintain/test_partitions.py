"""The finished jobs' partitions: a month each, made ahead, with a default as the safety net."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from support.calls import job, refused, rows, running, stored, value


def partitions(session):
    """Returns the names of the partitions of jobs_finished."""
    found = session.execute(
        "select inhrelid::regclass::text as name from pg_inherits"
        " where inhparent = 'rowqueue.jobs_finished'::regclass order by 1"
    )
    return [row.name.removeprefix("rowqueue.jobs_finished_") for row in found]


def lies_in(session, job_id):
    """Returns the partition that holds a job."""
    found = session.execute(
        "select tableoid::regclass::text as name from rowqueue.jobs where id = %s", [job_id]
    )
    return found.fetchone().name.removeprefix("rowqueue.")


def finished(session):
    """Completes a job and returns its id."""
    held = running(session)
    rows(session, "complete", job_id=held.id, token=held.token)
    return held.id


def test_a_fresh_installation_has_this_month_and_the_next_three(db):
    now = db.execute("select now() as now").fetchone().now.astimezone(UTC)
    months = [now.year * 12 + now.month - 1 + n for n in range(4)]
    names = [f"{month // 12:04}_{month % 12 + 1:02}" for month in months]
    assert partitions(db) == [*names, "default"]


def test_tick_makes_the_months_ahead(db, clock):
    assert value(db, "tick")["partitions"] == 4
    assert {"2040_05", "2040_06", "2040_07", "2040_08"} <= set(partitions(db))
    assert value(db, "tick")["partitions"] == 0
    clock.set(datetime(2040, 6, 1, tzinfo=UTC))
    assert value(db, "tick")["partitions"] == 1
    assert "2040_09" in partitions(db)


def test_months_are_made_across_the_end_of_a_year(db, clock):
    clock.set(datetime(2040, 11, 30, 23, 59, tzinfo=UTC))
    value(db, "tick")
    assert {"2040_11", "2040_12", "2041_01", "2041_02"} <= set(partitions(db))


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
def test_a_month_is_a_month_of_utc_whatever_the_sessions_time_zone(db, clock, zone):
    db.execute(f"set timezone = '{zone}'")
    clock.set(datetime(2040, 5, 31, 23, 59, 59, tzinfo=UTC))
    value(db, "tick")
    last_of_may = finished(db)
    clock.set(datetime(2040, 6, 1, tzinfo=UTC))
    first_of_june = finished(db)
    assert lies_in(db, last_of_may) == "jobs_finished_2040_05"
    assert lies_in(db, first_of_june) == "jobs_finished_2040_06"


def test_a_job_that_finishes_in_a_month_without_a_partition_lands_in_the_default(tx, clock):
    job_id = finished(tx)
    assert lies_in(tx, job_id) == "jobs_finished_default"
    assert job(tx, job_id).status == "completed"


def test_a_partition_of_a_month_looks_like_the_others(db, clock):
    """Indexes, constraints, and nothing that anyone but the owner may do."""
    value(db, "tick")
    shape = """
        select (select array_agg(a.attname order by a.attnum) from pg_attribute as a
                where a.attrelid = c.oid and a.attnum > 0) as columns,
            (select array_agg(regexp_replace(pg_get_indexdef(i.indexrelid), '^.* USING ', '')
                order by 1) from pg_index as i where i.indrelid = c.oid) as indexes,
            (select array_agg(k.conname order by k.conname) from pg_constraint as k
                where k.conrelid = c.oid and k.contype = 'c') as checks,
            coalesce(c.relacl, acldefault('r', c.relowner)) = acldefault('r', c.relowner) as private
        from pg_class as c where c.oid = %s::regclass"""
    default = db.execute(shape, ["rowqueue.jobs_finished_default"]).fetchone()
    month = db.execute(shape, ["rowqueue.jobs_finished_2040_07"]).fetchone()
    assert month == default
    assert month.private


def test_a_job_is_found_wherever_it_lies(db, clock):
    in_default = finished(db)
    clock.advance(days=40)
    value(db, "tick")
    in_month = finished(db)
    clock.advance(days=31)
    in_next_month = finished(db)
    live = running(db).id
    ids = [in_default, in_month, in_next_month, live]
    assert [lies_in(db, job_id) for job_id in ids] == [
        "jobs_finished_default",
        "jobs_finished_2040_06",
        "jobs_finished_2040_07",
        "jobs_live",
    ]
    assert [job(db, job_id).id for job_id in ids] == ids


def test_what_is_repeated_or_retried_is_found_wherever_it_lies(db, clock):
    value(db, "tick")
    done, broken = running(db), running(db)
    clock.advance(days=40)
    rows(db, "complete", job_id=done.id, token=done.token)
    given = {"job_id": broken.id, "token": broken.token, "error": "e", "retry": False}
    rows(db, "fail_with_backoff", **given)
    clock.advance(days=40)
    rows(db, "complete", job_id=done.id, token=done.token)
    with refused(db, "RQ102"):
        value(db, "cancel", job_id=done.id)
    rows(db, "retry", job_id=broken.id)
    assert job(db, broken.id).status == "pending"


def test_a_reader_of_the_default_partition_puts_new_months_off_and_nobody_waits(db, clock, connect):
    """Attaching a partition locks the default one: tick gives up and tries again next time."""
    reader = connect(autocommit=False)
    reader.execute("select count(*) from rowqueue.jobs_finished_default")
    assert value(db, "tick")["partitions"] == 0
    job_id = finished(db)
    assert job(db, job_id).status == "completed"
    reader.rollback()
    clock.advance(days=40)
    assert value(db, "tick")["partitions"] == 4


def test_a_month_that_already_finished_jobs_in_the_default_leaves_tick_working(db, clock):
    """Nobody called tick for months: its jobs stay where they are, and the next months are made."""
    job_id = finished(db)
    assert value(db, "tick")["partitions"] == 3
    assert "2040_05" not in partitions(db)
    assert lies_in(db, job_id) == "jobs_finished_default"
    clock.advance(days=31)
    assert lies_in(db, finished(db)) == "jobs_finished_2040_06"


def test_a_month_that_cannot_be_made_costs_the_next_ticks_nothing(db, clock):
    """They write nothing and take no lock: a month is long."""
    finished(db)
    for _ in range(5):
        value(db, "tick")
    with db.transaction(force_rollback=True):
        value(db, "tick")
        used = db.execute("select pg_current_xact_id_if_assigned() as xid").fetchone()
        assert used.xid is None


def test_moving_a_job_by_hand_to_another_status_moves_its_row(tx):
    """A DBA's UPDATE of the table that people see does what it says."""
    held = running(tx)
    tx.execute(
        "update rowqueue.jobs set status = 'failed', completed_at = rowqueue._now(), error = 'me'"
        " where id = %s",
        [held.id],
    )
    assert lies_in(tx, held.id).startswith("jobs_finished")
    assert stored(tx, held.id).error == "me"
    rows(tx, "retry", job_id=held.id)
    assert lies_in(tx, held.id) == "jobs_live"
