"""rowqueue.purge_finished: drops whole months where it can, deletes where it can't."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from support.calls import enqueue, everything, job, rows, running, value


def purge(session, **arguments):
    """Purges, and returns how many jobs were removed."""
    return value(session, "purge_finished", **arguments)


def finish(session, count=1, how="complete"):
    """Finishes some jobs now and returns their ids."""
    ids = []
    for _ in range(count):
        held = running(session)
        given = {"job_id": held.id, "token": held.token}
        if how == "complete":
            rows(session, "complete", **given)
        elif how == "fail":
            rows(session, "fail_with_backoff", error="e", retry=False, **given)
        else:
            rows(session, "cancel", job_id=held.id)
            rows(session, "cancel", job_id=held.id)
        ids.append(held.id)
    return ids


def months(session):
    """Returns the months of 2040 that have a partition."""
    found = session.execute(
        "select relname from pg_class where relname ~ '^jobs_finished_2040_..$' order by 1"
    )
    return [row.relname.removeprefix("jobs_finished_2040_") for row in found]


def remaining(session):
    return {row.id for row in everything(session)}


def test_jobs_that_finished_more_than_30_days_ago_are_removed(tx, clock):
    for how in ("complete", "fail", "cancel"):
        finish(tx, how=how)
    clock.advance(days=1)
    kept = finish(tx)
    clock.advance(days=29, seconds=1)
    assert purge(tx) == 3
    assert remaining(tx) == set(kept)
    assert purge(tx) == 0


def test_pending_and_running_jobs_stay_whatever_their_age(tx, clock):
    kept = {enqueue(tx), running(tx).id}
    clock.advance(days=400)
    assert purge(tx, older_than="0") == 0
    assert remaining(tx) == kept


def test_older_than_says_how_old(tx, clock):
    finish(tx)
    clock.advance(hours=1)
    assert purge(tx, older_than="61 minutes") == 0
    assert purge(tx, older_than="59 minutes") == 1


def test_in_the_month_that_is_partly_old_max_jobs_are_deleted_a_call(tx, clock):
    finish(tx, 5)
    clock.advance(days=31)
    assert [purge(tx, max_jobs=2) for _ in range(4)] == [2, 2, 1, 0]


def test_a_month_that_is_old_as_a_whole_is_dropped_whatever_max_jobs_says(db, clock):
    value(db, "tick")
    finish(db, 5)
    clock.set(datetime(2040, 7, 1, tzinfo=UTC))
    kept = finish(db)
    assert purge(db, max_jobs=1) == 5
    assert months(db) == ["06", "07", "08"]
    assert remaining(db) == set(kept)


def test_a_month_is_old_once_its_last_instant_is(db, clock):
    value(db, "tick")
    clock.set(datetime(2040, 5, 31, 23, 59, 59, tzinfo=UTC))
    finish(db)
    clock.set(datetime(2040, 6, 30, 23, 59, 58, tzinfo=UTC))
    assert purge(db) == 0
    clock.set(datetime(2040, 6, 30, 23, 59, 59, 500_000, tzinfo=UTC))
    assert (purge(db), months(db)) == (1, ["05", "06", "07", "08"])
    clock.set(datetime(2040, 7, 1, tzinfo=UTC))
    assert (purge(db), months(db)) == (0, ["06", "07", "08"])


def test_old_jobs_in_the_default_partition_are_deleted(tx, clock):
    finish(tx, 3)
    clock.advance(days=31)
    assert purge(tx) == 3


def test_while_somebody_reads_a_month_its_jobs_are_deleted_and_it_is_dropped_later(
    db, clock, connect
):
    value(db, "tick")
    finish(db, 5)
    clock.set(datetime(2040, 7, 1, tzinfo=UTC))
    reader = connect(autocommit=False)
    seen = len(everything(reader))
    assert purge(db, max_jobs=3) == 3
    assert "05" in months(db)
    assert len(everything(reader)) == seen - 3
    reader.rollback()
    assert purge(db) == 2
    assert "05" not in months(db)


def test_it_never_waits_long_for_a_lock(db, clock, connect):
    """The longest wait is a setting of the function itself, and no row lock is waited for."""
    found = db.execute(
        "select proconfig from pg_proc where oid = 'rowqueue.purge_finished'::regproc"
    )
    assert "lock_timeout=100ms" in found.fetchone().proconfig

    value(db, "tick")
    [held, free] = finish(db, 2)
    clock.set(datetime(2040, 7, 1, tzinfo=UTC))
    other = connect(autocommit=False)
    other.execute("select from rowqueue.jobs where id = %s for update", [held])
    assert purge(db) == 1
    assert remaining(db) == {held}
    assert free not in remaining(db)


def test_a_lock_that_the_caller_would_wait_longer_for_is_given_up_too(db, clock, connect):
    value(db, "tick")
    finish(db)
    clock.set(datetime(2040, 7, 1, tzinfo=UTC))
    reader = connect(autocommit=False)
    everything(reader)
    db.execute("set lock_timeout = 0")
    assert purge(db) == 1
    assert db.execute("show lock_timeout").fetchone().lock_timeout == "0"


def test_two_callers_at_once_remove_each_job_once(db, clock, connect):
    purge(db)
    finish(db, 6)
    clock.advance(days=31)
    other = connect(autocommit=False)
    assert purge(other, max_jobs=4) == 4
    assert purge(db) == 2
    other.commit()
    assert remaining(db) == set()


def test_a_caller_that_finds_a_month_being_dropped_has_nothing_to_do(db, clock, connect):
    value(db, "tick")
    finish(db)
    clock.set(datetime(2040, 7, 1, tzinfo=UTC))
    other = connect(autocommit=False)
    assert purge(other) == 1
    assert purge(db) == 0


def test_a_job_that_was_purged_is_no_more(tx, clock):
    [job_id] = finish(tx)
    clock.advance(timedelta(days=31))
    purge(tx)
    assert rows(tx, "get_job", job_id=job_id) == []


def test_a_purged_month_is_not_made_again(db, clock):
    value(db, "tick")
    finish(db)
    clock.set(datetime(2040, 7, 1, tzinfo=UTC))
    purge(db)
    value(db, "tick")
    assert months(db) == ["06", "07", "08", "09", "10"]
    assert job(db, finish(db)[0]).status == "completed"
