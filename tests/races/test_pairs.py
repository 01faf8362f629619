"""Every pair of public functions on one job, at the same time and in both orders."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import psycopg
import pytest

from races.mutation import Edit, Mutation
from races.pairs import CALLS, NEVER_WAIT, STATES, Trial, oddity
from races.stage import Stage
from support.calls import claim_one, enqueue, rows, stored

UNLOCKED_ATTEMPT = Mutation(
    "an attempt is ended without its row being locked",
    (Edit("5_finish/_lock_running.sql", "and j.status = 'running'\n    for update;", ";"),),
)
UNLOCKED_CANCEL = Mutation(
    "cancel looks without a lock",
    (
        Edit(
            "5_finish/cancel.sql",
            "where j.id = cancel.job_id\n        for update;",
            "where j.id = cancel.job_id;",
        ),
    ),
)
UNLOCKED_PROGRESS = Mutation(
    "progress is reported without a lock",
    (Edit("4_run/report_progress.sql", "and j.status = 'running'\n    for update;", ";"),),
)


@pytest.mark.parametrize("state", STATES)
def test_two_calls_at_once_are_as_good_as_two_in_turn(stage: Stage, state: str) -> None:
    trial = Trial(stage, state)
    # What does something, and what might be in somebody's way; a call that is refused is neither.
    does = {call for call in CALLS if trial.in_turn(call).stored != trial.in_turn().stored}
    odd = [
        found
        for first, second in product(CALLS, repeat=2)
        if first in does | NEVER_WAIT
        for ending in (("commit", "rollback") if first in does else ("commit",))
        if (found := oddity(trial, first, second, ending))
    ]
    assert not odd, "\n".join(odd)


@pytest.mark.parametrize(
    ("mutation", "state", "first", "second"),
    [
        (UNLOCKED_ATTEMPT, "running", "complete", "release"),
        (UNLOCKED_ATTEMPT, "expired", "reap", "fail"),
        (UNLOCKED_CANCEL, "pending", "claim", "cancel"),
        (UNLOCKED_PROGRESS, "running", "complete", "progress"),
    ],
    ids=str,
)
def test_without_a_lock_they_are_not(
    stage: Stage, mutation: Mutation, state: str, first: str, second: str
) -> None:
    mutation.apply(stage.db)
    assert oddity(Trial(stage, state), first, second, "commit")


def test_no_public_function_is_left_out(db: psycopg.Connection[Any]) -> None:
    """A new one that changes jobs has its pairs, or this fails."""
    found = db.execute(
        """
        select p.proname from pg_proc as p
        where p.pronamespace = 'rowqueue'::regnamespace and p.proname !~ '^_'
        and obj_description(p.oid, 'pg_proc') !~ 'State: changes no job'
        """
    )
    tried = {name for call in CALLS.values() for name in re.findall(r"rowqueue\.(\w+)\(", call)}
    # In a copy of a database only, where nothing else is done, confirm_identity touches jobs.
    assert {row.proname for row in found} <= tried | {"confirm_identity"}
    assert {"get_job", "list_jobs", "health"} <= tried


def test_a_cancel_that_is_held_up_finds_a_job_that_was_retried_meanwhile(stage: Stage) -> None:
    """It looks into the live room, then has to wait before it looks into the finished one."""
    retrier, dropper, canceller = stage.session(), stage.session(), stage.session()
    job_id = enqueue(stage.db)
    held = {"job_id": job_id, "token": claim_one(stage.db).token}
    rows(stage.db, "fail_with_backoff", **held, error="no", retry=False)

    retrier.execute("begin")
    retrier.execute("select rowqueue.retry(%s)", [job_id])
    dropper.execute("begin")
    lock = dropper.start("lock table rowqueue.jobs_finished in access exclusive mode")
    assert lock.waits(for_=retrier)
    cancelled = canceller.start("select rowqueue.cancel(%s)", [job_id])
    assert cancelled.waits()
    retrier.execute("commit")
    lock.rows()
    dropper.execute("rollback")
    assert cancelled.value() == "cancelled"
    assert stored(stage.db, job_id).status == "cancelled"


def test_a_retry_that_waits_finds_a_job_that_was_retried_and_cancelled_meanwhile(
    stage: Stage,
) -> None:
    """What it waited for is gone by then; the job is in the finished room all the same."""
    first, second = stage.session(), stage.session()
    job_id = enqueue(stage.db)
    rows(stage.db, "cancel", job_id=job_id)
    first.execute("begin")
    first.execute("select rowqueue.retry(%s)", [job_id])
    first.execute("select rowqueue.cancel(%s)", [job_id])
    retried = second.start("select rowqueue.retry(%s)", [job_id])
    assert retried.waits(for_=first)
    first.execute("commit")
    retried.rows()
    assert stored(stage.db, job_id).status == "pending"
