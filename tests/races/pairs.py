"""Two calls on one job, at the same time: what may come of it, and what does.

One session makes a call in a transaction and leaves it open; another makes its own, which ends or
waits; then the first one commits or rolls back. What comes of it (both answers and the whole row)
must be what comes of the two calls one after the other, in one order or the other. The clock stands
still, so that rows can be compared to the microsecond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from races.stage import Stage
from support.calls import claim_one, enqueue, rows, stored, value

CALLS = {
    "claim": "select 'claimed' from rowqueue.claim_next('other', lease => '1 hour')",
    "complete": """select rowqueue.complete(%(id)s, %(token)s, '{"by": "complete"}')""",
    "complete many": "select outcome from rowqueue.complete_many(array[%(id)s], array[%(token)s])",
    "fail": "select rowqueue.fail_with_backoff(%(id)s, %(token)s, 'it failed')",
    "fail for good": "select rowqueue.fail_with_backoff(%(id)s, %(token)s, 'bad', retry => false)",
    "release": "select rowqueue.release(%(id)s, %(token)s)",
    "cancel": "select rowqueue.cancel(%(id)s, 'no longer needed')",
    "reap": "select outcome from rowqueue.reap_stuck()",
    "extend": "select rowqueue.extend_lease(%(id)s, %(token)s, '2 hours')",
    "extend many": """
        select outcome from rowqueue.extend_leases(array[%(id)s], array[%(token)s], '3 hours')
    """,
    "progress": "select rowqueue.report_progress(%(id)s, %(token)s, 5, 10, 'half')",
    "retry": "select rowqueue.retry(%(id)s)",
    "reset by hand": """
        update rowqueue.jobs set status = 'pending', started_at = null
        where id = %(id)s and status = 'running'
        returning 'reset'
    """,
    "delete by hand": "delete from rowqueue.jobs where id = %(id)s returning 'deleted'",
    "enqueue the same": """
        select rowqueue.enqueue('sync', unique_key => 'key', queue => 'other') = %(id)s
    """,
    "enqueue the same of many": """
        select id = %(id)s, created from rowqueue.enqueue_many(
            '[{"job_type": "sync", "unique_key": "key", "queue": "other"}, {"job_type": "export"}]')
    """,
    "tick": """
        select format('%%s promoted, %%s reaped', t -> 'promoted', t -> 'reaped')
        from rowqueue.tick() as t
    """,
    "tick every": """
        select format('%%s promoted, %%s reaped', t -> 'promoted', t -> 'reaped')
        from rowqueue.tick_every('0') as t
    """,
    "purge": "select rowqueue.purge_finished('0')",
    "get": "select status from rowqueue.get_job(%(id)s)",
    "list": "select status from rowqueue.list_jobs(job_type => 'sync')",
    "health": "select pending, due, running from rowqueue.health() where queue = 'default'",
}
READERS = {"get", "list", "health"}
# These pass over a row that another session holds, as if they had come when it was not there.
NOTHING: list[Any] = []
NOTHING_TO_DO = [("0 promoted, 0 reaped",)]
PASSED_OVER = {
    "claim": NOTHING,
    "reap": NOTHING,
    "tick": NOTHING_TO_DO,
    "tick every": NOTHING_TO_DO,
    "purge": [(0,)],
}
NEVER_WAIT = READERS | set(PASSED_OVER)
# A DELETE that waits for a job finds nothing once that has moved from one room to the other.
MAY_MISS = {"delete by hand": NOTHING}
# Of these, one at the most ends an attempt.
COMPLETIONS = {"complete", "complete many"}
ENDINGS = COMPLETIONS | {"fail", "fail for good", "release", "reap", "reset by hand"}
STATES = (
    "pending", "due", "running", "expired", "stopping", "superseded",
    "completed", "failed", "cancelled",
)  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """What came of some calls.

    Attributes:
        answers: what they returned.
        row: the job's row.
        others: how many other jobs there are.
    """

    answers: tuple[Any, ...]
    row: Any
    others: int

    @property
    def stored(self) -> tuple[Any, int]:
        """What there is now."""
        return self.row, self.others


class Trial:
    """Makes a job in some state, over and over, and calls on it."""

    def __init__(self, stage: Stage, state: str) -> None:
        self._stage = stage
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
        waits = answer.waits()
        self._first.execute(ending)
        try:
            other: Any = [tuple(row) for row in answer.rows()]
        except psycopg.Error as error:
            other = error.sqlstate
        if waits and second in NEVER_WAIT:
            other = "it waited"
        return self._ended((one, other), job)

    def _job(self) -> dict[str, Any]:
        job_id = enqueue(self._db, unique_key="key")
        job = claim_one(self._db)
        held = {"job_id": job_id, "token": job.token}
        match self._state:
            case "pending":
                rows(self._db, "release", **held)
            case "due":
                rows(self._db, "release", **held, delay="1 second")
                self._stage.pass_time(timedelta(seconds=1))
            case "expired":
                self._db.execute(
                    "update rowqueue.jobs set lease_until = rowqueue._now() - interval '1 second'"
                )
            case "stopping":
                value(self._db, "cancel", job_id=job_id, reason="first reason")
            case "superseded":
                rows(self._db, "release", **held)
                claim_one(self._db)
            case "completed":
                rows(self._db, "complete", **held)
            case "failed":
                rows(self._db, "fail_with_backoff", **held, error="before", retry=False)
            case "cancelled":
                rows(self._db, "release", **held)
                rows(self._db, "cancel", job_id=job_id)
        if self._state in ("completed", "failed", "cancelled"):
            self._stage.pass_time(timedelta(seconds=1))  # Now it is old enough to be purged.
        return {"id": job_id, "token": job.token}

    def _ended(self, answers: tuple[Any, ...], job: dict[str, Any]) -> Ended:
        row = stored(self._db, job["id"])
        if row is not None:
            known = {None: None, job["token"]: "the token"}
            row = row._replace(
                id=None,
                ticket=row.ticket is not None,
                token=known.get(row.token, "a newer token"),
                **{
                    name: value - self._stage.later()
                    for name, value in row._asdict().items()
                    if isinstance(value, datetime)
                },
            )
        deleted = self._db.execute("delete from rowqueue.jobs").rowcount
        return Ended(answers, row, deleted - (row is not None))


def oddity(trial: Trial, first: str, second: str, ending: str) -> str | None:
    """What is wrong with what comes of two calls, of which the first one's transaction ends so."""
    alone, other = trial.in_turn(first), trial.in_turn(second)
    if ending == "commit":
        allowed = [trial.in_turn(first, second), _swapped(trial.in_turn(second, first))]
        meanwhile = alone
    else:
        allowed = [Ended(alone.answers + other.answers, *other.stored)]
        meanwhile = trial.in_turn()
    if second in PASSED_OVER or (second in MAY_MISS and ending == "commit"):
        nothing = {**PASSED_OVER, **MAY_MISS}[second]
        allowed.append(Ended((*alone.answers, nothing), *meanwhile.stored))

    seen = trial.at_once(first, second, ending)
    both_end_it = {first, second} <= ENDINGS and ending == "commit"
    if first == second or {first, second} <= COMPLETIONS:
        both_end_it = False  # The second one is told that it is done.
    if both_end_it and _won(seen.answers[0]) and _won(seen.answers[1]):
        return f"{first} and {second} both ended the attempt"
    return None if seen in allowed else _report(first, second, ending, seen, allowed)


def _won(answer: Any) -> bool:
    return isinstance(answer, list) and answer not in (NOTHING, [("lost",)], [("already",)])


def _answer(session: psycopg.Connection[Any], call: str, job: dict[str, Any]) -> Any:
    """The first column of a call's answer, or its SQLSTATE."""
    try:
        return [tuple(row) for row in session.execute(CALLS[call], job).fetchall()]
    except psycopg.Error as error:
        return error.sqlstate


def _swapped(ended: Ended) -> Ended:
    return Ended(ended.answers[::-1], *ended.stored)


def _report(first: str, second: str, ending: str, seen: Ended, allowed: list[Ended]) -> str:
    lines = [f"{first} ({ending}) and {second}: {seen.answers}"]
    for other in allowed:
        differences = [f"{seen.others} others instead of {other.others}"][
            seen.others == other.others :
        ]
        if seen.row is None or other.row is None:
            differences += [f"{seen.row} instead of {other.row}"][seen.row == other.row :]
        else:
            differences += [
                f"{name} is {ours!r} instead of {theirs!r}"
                for name, ours, theirs in zip(seen.row._fields, seen.row, other.row, strict=True)
                if ours != theirs
            ]
        lines.append(f"    allowed: {other.answers}; {', '.join(differences) or 'same row'}")
    return "\n".join(lines)
