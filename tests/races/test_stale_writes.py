"""A token that no longer holds its job changes nothing, anywhere, and says so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from races.mutation import Edit, Mutation
from races.stage import Stage
from support.calls import claim, claim_one, enqueue, refused, rows

REPORTS: dict[str, tuple[str, dict[str, Any]]] = {
    "complete": ("complete", {}),
    "complete with a result": ("complete", {"result": {"stale": True}}),
    "fail": ("fail_with_backoff", {"error": "stale"}),
    "fail for good": ("fail_with_backoff", {"error": "stale", "retry": False}),
    "release": ("release", {}),
    "extend": ("extend_lease", {"lease": timedelta(hours=1)}),
    "progress": ("report_progress", {"current": 1}),
}
TOKEN_FORGOTTEN = (
    Mutation(
        "jobs are finished whatever the token",
        (Edit("5_finish/_finish.sql", "j.token is not distinct from a.token", "true"),),
    ),
    Mutation(
        "attempts are ended whatever the token",
        (Edit("5_finish/_lock_running.sql", "j.token = _lock_running.token", "true"),),
    ),
    Mutation(
        "leases are extended whatever the token",
        (Edit("4_run/extend_leases.sql", "j.token = a.token", "true"),),
    ),
    Mutation(
        "progress is noted whatever the token",
        (Edit("4_run/report_progress.sql", "j.token = report_progress.token", "true"),),
    ),
)
Overtake = Callable[[Stage, dict[str, Any]], str]


def released(stage: Stage, held: dict[str, Any]) -> str:
    """Its worker gave it back."""
    rows(stage.db, "release", **held)
    return "RQ101"


def failed_and_waiting(stage: Stage, held: dict[str, Any]) -> str:
    """Its worker said that it failed; it will be tried again."""
    rows(stage.db, "fail_with_backoff", **held, error="no")
    return "RQ101"


def reaped(stage: Stage, held: dict[str, Any]) -> str:
    """Its lease ran out and it was taken back."""
    stage.pass_time(timedelta(minutes=2))
    assert len(rows(stage.db, "reap_stuck")) == 1
    return "RQ101"


def claimed_by_another(stage: Stage, held: dict[str, Any]) -> str:
    """Another worker has it now."""
    reaped(stage, held)
    stage.pass_time(timedelta(minutes=2))
    assert claim_one(stage.db).token > held["token"]
    return "RQ101"


def reset_by_hand_and_claimed(stage: Stage, held: dict[str, Any]) -> str:
    """A DBA set it back, and another worker has it now."""
    stage.db.execute(
        "update rowqueue.jobs set status = 'pending', started_at = null where status = 'running'"
    )
    assert claim_one(stage.db).token > held["token"]
    return "RQ101"


def completed_by_another(stage: Stage, held: dict[str, Any]) -> str:
    """Another worker completed it."""
    reset_by_hand_and_claimed(stage, held)
    stage.db.execute(
        "select rowqueue.complete(j.id, j.token) from rowqueue.jobs as j where status = 'running'"
    )
    return "RQ101"


def failed(stage: Stage, held: dict[str, Any]) -> str:
    """It failed for good under this very token."""
    rows(stage.db, "fail_with_backoff", **held, error="no", retry=False)
    return "RQ102"


def cancelled(stage: Stage, held: dict[str, Any]) -> str:
    """Somebody cancelled it twice, without waiting for its worker."""
    for _ in range(2):
        rows(stage.db, "cancel", job_id=held["job_id"])
    return "RQ102"


def retried(stage: Stage, held: dict[str, Any]) -> str:
    """It failed for good, and somebody put it back."""
    failed(stage, held)
    rows(stage.db, "retry", job_id=held["job_id"])
    return "RQ101"


def gone(stage: Stage, held: dict[str, Any]) -> str:
    """A DBA deleted it."""
    stage.db.execute("delete from rowqueue.jobs")
    return "RQ001"


OVERTAKEN: tuple[Overtake, ...] = (
    released,
    failed_and_waiting,
    reaped,
    claimed_by_another,
    reset_by_hand_and_claimed,
    completed_by_another,
    failed,
    cancelled,
    retried,
    gone,
)


@pytest.mark.parametrize("overtake", OVERTAKEN, ids=lambda overtake: overtake.__name__)
def test_a_stale_report_is_refused_and_changes_nothing(stage: Stage, overtake: Overtake) -> None:
    held = _held(stage)
    sqlstate = overtake(stage, held)
    before = _every_row_version(stage)
    for function, arguments in REPORTS.values():
        with refused(stage.db, sqlstate):
            rows(stage.db, function, **held, **arguments)
    for function in ("complete_many", "extend_leases"):
        [told] = rows(stage.db, function, job_ids=[held["job_id"]], tokens=[held["token"]])
        assert told.outcome == "lost"
    assert _every_row_version(stage) == before


@pytest.mark.parametrize("mutation", TOKEN_FORGOTTEN, ids=str)
def test_without_the_token_it_would_change_something(stage: Stage, mutation: Mutation) -> None:
    mutation.apply(stage.db)
    with pytest.raises(pytest.fail.Exception):
        test_a_stale_report_is_refused_and_changes_nothing(stage, claimed_by_another)


def test_a_completion_that_is_sent_again_changes_nothing(stage: Stage) -> None:
    held = _held(stage)
    rows(stage.db, "complete", **held)
    before = _every_row_version(stage)
    rows(stage.db, "complete", **held)
    rows(stage.db, "complete", **held, result={"other": True})
    assert _every_row_version(stage) == before


def test_a_stale_token_in_a_batch_spoils_only_itself(stage: Stage) -> None:
    for _ in range(3):
        enqueue(stage.db)
    jobs = claim(stage.db, max_jobs=3)
    tokens = [job.token for job in jobs]
    tokens[1] -= 1
    batch = {"job_ids": [job.id for job in jobs], "tokens": tokens}
    for function, outcome in {"extend_leases": "extended", "complete_many": "completed"}.items():
        told = {row.id: row.outcome for row in rows(stage.db, function, **batch)}
        assert [told[job.id] for job in jobs] == [outcome, "lost", outcome]


def _held(stage: Stage) -> dict[str, Any]:
    enqueue(stage.db)
    job = claim_one(stage.db)
    return {"job_id": job.id, "token": job.token}


def _every_row_version(stage: Stage) -> list[Any]:
    """Where each row lies and who wrote it: equal as long as nothing is written."""
    tables = stage.db.execute(
        "select oid::regclass::text as name from pg_class "
        "where relnamespace = 'rowqueue'::regnamespace and relkind = 'r' order by oid"
    ).fetchall()
    return [
        row
        for table in tables
        for row in stage.db.execute(
            f"select '{table.name}', t.ctid, t.xmin, t.xmax, t::text from {table.name} as t"
        ).fetchall()
    ]
