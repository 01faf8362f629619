"""Every pair of calls on one job, at the same time and in both orders.

One session makes a call in a transaction and leaves it open; another makes its own, which ends or
waits; then the first one commits or rolls back. What comes of it (both answers and the whole row)
must be what comes of the two calls one after the other, in one order or the other. The clock stands
still, so that rows can be compared to the microsecond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import psycopg
import pytest

from races.mutation import Edit, Mutation
from races.stage import Stage
from support.calls import claim_one, enqueue, rows, stored, value

CALLS = {
    "claim": "select 'claimed' from rowqueue.claim_next('other', lease => '1 hour')",
    "complete": """select rowqueue.complete(%(id)s, %(token)s, '{"by": "complete"}')""",
    "fail": "select rowqueue.fail_with_backoff(%(id)s, %(token)s, 'it failed')",
    "fail for good": "select rowqueue.fail_with_backoff(%(id)s, %(token)s, 'bad', retry => false)",
    "release": "select rowqueue.release(%(id)s, %(token)s)",
    "cancel": "select rowqueue.cancel(%(id)s, 'no longer needed')",
    "reap": "select outcome from rowqueue.reap_stuck()",
    "extend": "select rowqueue.extend_lease(%(id)s, %(token)s, '2 hours')",
    "progress": "select rowqueue.report_progress(%(id)s, %(token)s, 5, 10, 'half')",
    "retry": "select rowqueue.retry(%(id)s)",
    "reset by hand": """
        update rowqueue.jobs set status = 'pending', started_at = null
        where id = %(id)s and status = 'running'
        returning 'reset'
    """,
}
# These pass over a row that another session holds, as if they had come when it was not there.
NEVER_WAIT = {"claim", "reap"}
# Of these, one at the most ends an attempt.
ENDINGS = {"complete", "fail", "fail for good", "release", "reap", "reset by hand"}
NOTHING: list[str] = []
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
STATES = ("pending", "running", "expired", "stopping", "superseded", "failed", "cancelled")


@dataclass(frozen=True)
class Ended:
    """What came of some calls: their answers, and the job's row."""

    answers: tuple[Any, ...]
    row: Any


class Trial:
    """Makes a job in some state, over and over, and calls on it."""

    def __init__(self, stage: Stage, state: str) -> None:
        self._db = stage.db
        self._state = state
        self._serial: dict[Sequence[str], Ended] = {}
        self._first, self._second = stage.session(), stage.session()

    def in_turn(self, *calls: str) -> Ended:
        """What comes of calls that are made one after the other."""
        if calls not in self._serial:
            job = self._job()
            answers = tuple(_answer(self._db, call, job) for call in calls)
            self._serial[calls] = self._ended(answers, job)
        return self._serial[calls]

    def at_once(self, first: str, second: str, ending: str) -> Ended:
        """What comes of two calls, the second made before the first one's transaction ends."""
        job = self._job()
        self._first.execute("begin")
        one = _answer(self._first.connection, first, job)
        answer = self._second.start(CALLS[second], job)
        answer.waits()
        self._first.execute(ending)
        try:
            other: Any = [row[0] for row in answer.rows()]
        except psycopg.Error as error:
            other = error.sqlstate
        return self._ended((one, other), job)

    def _job(self) -> dict[str, Any]:
        job_id = enqueue(self._db)
        job = claim_one(self._db)
        held = {"job_id": job_id, "token": job.token}
        match self._state:
            case "pending":
                rows(self._db, "release", **held)
            case "expired":
                self._db.execute(
                    "update rowqueue.jobs set lease_until = rowqueue._now() - interval '1 second'"
                )
            case "stopping":
                value(self._db, "cancel", job_id=job_id, reason="first reason")
            case "superseded":
                rows(self._db, "release", **held)
                claim_one(self._db)
            case "failed":
                rows(self._db, "fail_with_backoff", **held, error="before", retry=False)
            case "cancelled":
                rows(self._db, "release", **held)
                rows(self._db, "cancel", job_id=job_id)
        return {"id": job_id, "token": job.token}

    def _ended(self, answers: tuple[Any, ...], job: dict[str, Any]) -> Ended:
        row = stored(self._db, job["id"])
        self._db.execute("delete from rowqueue.jobs")
        known = {None: None, job["token"]: "the token"}
        return Ended(
            answers,
            row._replace(
                id=None,
                ticket=row.ticket is not None,
                token=known.get(row.token, "a newer token"),
            ),
        )


@pytest.mark.parametrize("state", STATES)
def test_two_calls_at_once_are_as_good_as_two_in_turn(stage: Stage, state: str) -> None:
    trial = Trial(stage, state)
    odd = [
        oddity
        for first, second in product(CALLS, repeat=2)
        if trial.in_turn(first).row != trial.in_turn().row  # It is not refused, and does something.
        for ending in ("commit", "rollback")
        if (oddity := _oddity(trial, first, second, ending))
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
    assert _oddity(Trial(stage, state), first, second, "commit")


def _oddity(trial: Trial, first: str, second: str, ending: str) -> str | None:
    """What is wrong with what comes of two calls, of which the first one's transaction ends so."""
    alone, other = trial.in_turn(first), trial.in_turn(second)
    if ending == "commit":
        allowed = [trial.in_turn(first, second), _swapped(trial.in_turn(second, first))]
        passed_over = Ended((*alone.answers, NOTHING), alone.row)
    else:
        allowed = [Ended(alone.answers + other.answers, other.row)]
        passed_over = Ended((*alone.answers, NOTHING), trial.in_turn().row)
    if second in NEVER_WAIT:
        allowed.append(passed_over)

    seen = trial.at_once(first, second, ending)
    both_end_it = first != second and {first, second} <= ENDINGS and ending == "commit"
    if both_end_it and _won(seen.answers[0]) and _won(seen.answers[1]):
        return f"{first} and {second} both ended the attempt"
    return None if seen in allowed else _report(first, second, ending, seen, allowed)


def _won(answer: Any) -> bool:
    return isinstance(answer, list) and answer != NOTHING


def _answer(session: psycopg.Connection[Any], call: str, job: dict[str, Any]) -> Any:
    """The first column of a call's answer, or its SQLSTATE."""
    try:
        return [row[0] for row in session.execute(CALLS[call], job).fetchall()]
    except psycopg.Error as error:
        return error.sqlstate


def _swapped(ended: Ended) -> Ended:
    return Ended(ended.answers[::-1], ended.row)


def _report(first: str, second: str, ending: str, seen: Ended, allowed: list[Ended]) -> str:
    lines = [f"{first} ({ending}) and {second}: {seen.answers}"]
    for other in allowed:
        differences = [
            f"{name} is {ours!r} instead of {theirs!r}"
            for name, ours, theirs in zip(seen.row._fields, seen.row, other.row, strict=True)
            if ours != theirs
        ]
        lines.append(f"    allowed: {other.answers}; {', '.join(differences) or 'same row'}")
    return "\n".join(lines)


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
