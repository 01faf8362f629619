"""Every SQL statement of the seed document runs as it stands there, and does what it says.

They run as ``rowqueue_admin`` with ``search_path = rowqueue``. They read ``NOW()``, so the clock
of these tests is set back for what lies in the past, and then set to the present.
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from support.calls import (
    claim,
    claim_one,
    enqueue,
    enqueue_many,
    job,
    refused,
    rows,
    running,
    stored,
    value,
)

TEXT = Path(__file__).with_name("seed.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sql\n(.*?)```", TEXT, flags=re.DOTALL)
STATEMENTS = {
    title: statement
    for block in BLOCKS
    for title, statement in re.findall(r"^-- (.*)\n([^;]*;)", block, flags=re.MULTILINE)
}
FAILED, LONG_RUNNING, CLEANUP, FIND_STUCK, RESET = STATEMENTS.values()


@pytest.fixture
def present(tx, clock):
    """The present, as NOW() sees it in the test's transaction: the clock stands there."""
    clock.set(tx.execute("select now() as now").fetchone().now)
    return clock.now


def as_admin(session, statement):
    """Runs a statement as the admin role, who sees the schema without naming it."""
    with session.transaction():
        session.execute("set local role rowqueue_admin")
        session.execute("set local search_path = rowqueue")
        cursor = session.execute(statement)
        found = cursor.fetchall() if cursor.description else cursor.rowcount
        session.execute("reset role")
        session.execute("reset search_path")
    return found


def test_the_seed_has_five_statements_and_a_table():
    assert list(STATEMENTS) == [
        "Recent failed jobs",
        "Long-running jobs",
        "Delete jobs older than 30 days",
        "Find stuck jobs (running > 1 hour)",
        "Reset to pending (will be retried)",
    ]


def test_every_column_of_the_seeds_table_is_there_with_its_type(tx):
    columns = re.findall(r"^  (\w+) (\w+)", BLOCKS[0], flags=re.MULTILINE)
    assert len(columns) == 16
    short = {"integer": "INTEGER", "timestamp with time zone": "TIMESTAMPTZ"}
    for relation in ("jobs", "job"):
        found = tx.execute(
            "select column_name, data_type from information_schema.columns"
            " where table_schema = 'rowqueue' and table_name = %s",
            [relation],
        )
        types = {row.column_name: short.get(row.data_type, row.data_type.upper()) for row in found}
        assert {name: types[name] for name, _ in columns} == dict(columns)
        assert types["last_error"] == "TEXT"


def test_recent_failed_jobs_shows_the_last_20_that_failed(tx, clock):
    failed = []
    for n in range(22):
        clock.advance(seconds=1)
        held = running(tx, "export")
        given = {"job_id": held.id, "token": held.token, "error": f"e{n}", "retry": False}
        value(tx, "fail_with_backoff", **given)
        failed.append((held.id, "export", f"e{n}", 1, clock.now))
    completed = running(tx)
    rows(tx, "complete", job_id=completed.id, token=completed.token)
    assert as_admin(tx, FAILED) == list(reversed(failed))[:20]


def test_long_running_jobs_shows_those_that_run_the_longest_first(tx, clock, present):
    clock.set(present - timedelta(seconds=90))
    old = running(tx, "export")
    clock.set(present - timedelta(seconds=30))
    young = running(tx)
    enqueue(tx)
    shown = as_admin(tx, LONG_RUNNING)
    assert [(row.id, row.job_type) for row in shown] == [(old.id, "export"), (young.id, "sync")]
    assert [row.seconds_running for row in shown] == [90, 30]


def test_the_cleanup_deletes_jobs_that_finished_more_than_30_days_ago_and_no_others(
    tx, clock, present
):
    kept = set()
    for days in (31, 29):
        clock.set(present - timedelta(days=days))
        done, broken, unwanted = running(tx), running(tx), enqueue(tx)
        rows(tx, "complete", job_id=done.id, token=done.token)
        given = {"job_id": broken.id, "token": broken.token, "error": "e", "retry": False}
        rows(tx, "fail_with_backoff", **given)
        value(tx, "cancel", job_id=unwanted)
        kept |= {running(tx).id, enqueue(tx, queue="other")}
        if days == 29:
            kept |= {done.id, broken.id, unwanted}
    assert as_admin(tx, CLEANUP) == 3
    assert {row.id for row in rows(tx, "list_jobs", max_jobs=100)} == kept
    assert as_admin(tx, CLEANUP) == 0


def test_stuck_jobs_are_those_that_run_for_more_than_an_hour(tx, clock, present):
    clock.set(present - timedelta(minutes=61))
    stuck = running(tx)
    clock.set(present - timedelta(minutes=59))
    running(tx)
    shown = as_admin(tx, FIND_STUCK)
    assert [(row.id, row.job_type, row.workspace_id) for row in shown] == [(stuck.id, "sync", None)]


@pytest.fixture
def stuck(tx, clock, present):
    """A job that has been running for two hours, as the row of its claim."""
    clock.set(present - timedelta(hours=2))
    held = running(tx, timeout_ms=86_400_000)
    clock.set(present)
    return held


def test_the_reset_makes_a_stuck_job_pending_and_leaves_the_others(tx, clock, stuck):
    young = running(tx)
    assert as_admin(tx, RESET) == 1
    found = job(tx, stuck.id)
    assert (found.status, found.started_at) == ("pending", None)
    assert job(tx, young.id).status == "running"


def test_after_the_reset_the_job_is_claimable_again(tx, stuck):
    as_admin(tx, RESET)
    again = claim_one(tx, queues=[stuck.queue])
    assert again.id == stuck.id
    assert again.token > stuck.token
    rows(tx, "complete", job_id=again.id, token=again.token)
    assert job(tx, stuck.id).status == "completed"


def test_after_the_reset_the_job_is_claimable_behind_any_backlog(tx, clock, stuck):
    enqueue_many(tx, *[{"queue": stuck.queue}] * 5)
    as_admin(tx, RESET)
    claimed = [claim_one(tx, queues=[stuck.queue]).id for _ in range(6)]
    assert stuck.id in claimed


@pytest.mark.parametrize("then", ["at once", "after it was claimed again"])
def test_after_the_reset_the_old_workers_token_is_dead(tx, stuck, then):
    as_admin(tx, RESET)
    if then == "after it was claimed again":
        claim_one(tx, queues=[stuck.queue])
    before = stored(tx, stuck.id)
    held = {"job_id": stuck.id, "token": stuck.token}
    for function, more in [
        ("complete", {}),
        ("fail_with_backoff", {"error": "e"}),
        ("report_progress", {"current": 1}),
        ("extend_lease", {}),
        ("release", {}),
    ]:
        with refused(tx, "RQ101"):
            rows(tx, function, **held, **more)
    many = {"job_ids": [stuck.id], "tokens": [stuck.token]}
    for function in ("complete_many", "extend_leases"):
        assert rows(tx, function, **many) == [(stuck.id, "lost")]
    assert stored(tx, stuck.id) == before


def test_after_the_reset_one_worker_gets_the_job_and_none_waits_for_it(db, connect):
    held = running(db)
    db.execute("update rowqueue.jobs set status = 'pending', started_at = null")
    assert claim_one(connect(autocommit=False), queues=[held.queue]).id == held.id
    db.execute("set lock_timeout = '1ms'")
    assert claim(db, queues=[held.queue]) == []


def test_after_the_reset_the_reaper_leaves_the_job_alone(tx, stuck):
    as_admin(tx, RESET)
    assert rows(tx, "reap_stuck") == []


def test_after_the_reset_the_job_can_be_cancelled(tx, stuck):
    as_admin(tx, RESET)
    assert value(tx, "cancel", job_id=stuck.id) == "cancelled"
    assert claim(tx, queues=[stuck.queue]) == []


def test_a_reset_job_has_its_place_at_once(tx, stuck):
    as_admin(tx, RESET)
    [reset] = tx.execute("select ticket, token, worker, lease_until from rowqueue.jobs")
    assert reset.ticket > 0
    assert reset[1:] == (None, None, None)


def test_a_job_that_was_reset_in_its_last_attempt_runs_once_more_within_its_attempts(
    tx, clock, present
):
    """It will be retried, says the seed; and no attempt is beyond max_attempts."""
    clock.set(present - timedelta(hours=2))
    held = running(tx, max_attempts=1)
    clock.set(present)
    as_admin(tx, RESET)
    again = claim_one(tx, queues=[held.queue])
    assert again.id == held.id
    assert again.attempts <= again.max_attempts
