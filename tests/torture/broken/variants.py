"""What is taken out of the product, and which invariant must be seen to break."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from races.mutation import Edit, Mutation
from races.mutations import NOT_RIPE
from torture.broken.habits import Habits

CLAIM = "3_claim/claim_next.sql"
CRASH = "6_maintain/_end_crash.sql"
FINISH = "5_finish/_finish.sql"
KEYED = "2_enqueue/_insert_keyed_jobs.sql"
REAP = "6_maintain/reap_stuck.sql"
RETRY = "5_finish/retry.sql"

_LOCKS_THE_FIRST = "\n                    limit v_left\n                    for update"
_LEASE_IS_OVER = "(j.lease_until <= v_now or"
_CONFLICT = (
    "on conflict (workspace_id, job_type, unique_key) where unique_key is not null do nothing"
)


@dataclass(frozen=True, slots=True)
class Variant:
    """The product without one of its guards, or a client with a bad habit.

    Attributes:
        invariant: which must be seen to break.
        mutation: how the SQL differs.
        habits: how the clients do.
    """

    invariant: str
    mutation: Mutation
    habits: Habits = Habits()  # noqa: RUF009 - frozen

    def apply(self, db: psycopg.Connection) -> None:
        """Takes the guard out of a database."""
        self.mutation.apply(db)

    def __str__(self) -> str:
        return f"{self.invariant} {self.mutation.name}"


def _sql(invariant: str, name: str, *edits: Edit, statements: tuple[str, ...] = ()) -> Variant:
    return Variant(invariant, Mutation(name, edits, statements))


def _client(invariant: str, name: str, habits: Habits) -> Variant:
    return Variant(invariant, Mutation(name), habits)


VARIANTS = (
    _sql(
        "I-1",
        "the loser of a race for a unique key does not look for the winner's job",
        Edit(
            KEYED,
            "coalesce(n.created, case when m.id is not null then true end)",
            "coalesce(n.created, m.id is not null)",
        ),
    ),
    _client(
        "I-2",
        "a producer enqueues again, without a unique key, when the reply was lost",
        Habits(sends_again=True),
    ),
    _sql(
        "I-2",
        "enqueue_many returns the ids in another order",
        Edit(
            "2_enqueue/_insert_jobs.sql",
            "(row_number() over ())::int",
            "(row_number() over (order by m.id desc))::int",
        ),
    ),
    _sql(
        "I-3",
        "a claim does not look at the status",
        Edit(
            CLAIM,
            "and j.ticket >= lane.floor and j.ticket <= v_cutoff and j.status = 'pending'",
            "and j.ticket >= lane.floor and j.ticket <= v_cutoff",
        ),
    ),
    _sql(
        "I-3",
        "the reaper does not look at the lease",
        Edit(
            REAP,
            f"and j.status = 'running'\n                and {_LEASE_IS_OVER}",
            "and j.status = 'running'\n                and (true or",
        ),
        Edit(
            REAP,
            f"where j.status = 'running'\n        and {_LEASE_IS_OVER}",
            "where j.status = 'running'\n        and (true or",
        ),
    ),
    _client(
        "I-3",
        "a worker runs a job again when the reply to its completion was lost",
        Habits(runs_twice=True),
    ),
    _sql(
        "I-4",
        "each session keeps tokens in store",
        statements=("alter sequence rowqueue.tokens cache 100",),
    ),
    _sql(
        "I-4",
        "the token is the number of the attempt",
        Edit(CLAIM, "token = nextval('rowqueue.tokens'::regclass)", "token = j.attempts + 1"),
    ),
    _sql(
        "I-5",
        "a heartbeat does not compare the token",
        Edit("4_run/extend_leases.sql", " and j.token = a.token", ""),
    ),
    _sql(
        "I-5",
        "a progress report does not compare the token",
        Edit("4_run/report_progress.sql", " and j.token = report_progress.token", ""),
    ),
    _sql(
        "I-5",
        "failing and releasing do not compare the token",
        Edit("5_finish/_lock_running.sql", " and j.token = _lock_running.token", ""),
    ),
    _sql(
        "I-5",
        "completing does not compare the token",
        Edit(FINISH, " and j.token is not distinct from a.token", ""),
    ),
    _sql(
        "I-6",
        "retry does not look at the status",
        Edit(RETRY, " and f.status in ('failed', 'cancelled')", ""),
    ),
    _sql(
        "I-7",
        "a completion that came too late is no error",
        Edit("5_finish/complete.sql", "if v_done = '{}' and", "if false and"),
    ),
    _client(
        "I-7",
        "a handler commits its effect before it completes the job",
        Habits(effect_apart=True),
    ),
    _sql(
        "I-8",
        "completing again is an error",
        Edit(FINISH, "and f.status = 'completed');", "and false);"),
    ),
    _client(
        "I-8",
        "a worker takes a refused completion for a success",
        Habits(ignores_refusals=True),
    ),
    _sql(
        "I-9",
        "a crash in the company of others costs an attempt",
        Edit(CRASH, "job.attempts := greatest(job.attempts - 1, 0);", "null;"),
    ),
    _sql(
        "I-9",
        "whoever was claimed with a killer pays for it",
        Edit(CRASH, "if job.claimed_alone then", "if true then"),
    ),
    _sql(
        "I-9",
        "a release costs an attempt",
        Edit("5_finish/release.sql", "v_job.attempts := greatest(v_job.attempts - 1, 0);", "null;"),
    ),
    _sql(
        "I-10",
        "a failed attempt is never the last",
        Edit("5_finish/_end_attempt.sql", " or job.attempts >= job.max_attempts", ""),
    ),
    _sql(
        "I-11",
        "a claim takes the newest job first",
        Edit(
            CLAIM,
            f"order by j.ticket{_LOCKS_THE_FIRST}",
            f"order by j.ticket desc{_LOCKS_THE_FIRST}",
        ),
    ),
    Variant(
        "I-11",
        Mutation(
            f"{NOT_RIPE.name} (and tick sweeps ten times a second)",
            (
                *NOT_RIPE.edits,
                Edit("6_maintain/tick.sql", "between 0 and 4999", "between 0 and 99"),
            ),
        ),
    ),
    _sql(
        "I-12",
        "a delayed job gets its place at once",
        Edit(
            "2_enqueue/_insert_jobs.sql",
            "case when coalesce(n.run_after, v_now) <= v_now then rowqueue._draw_ticket() end",
            "rowqueue._draw_ticket()",
        ),
    ),
    _sql(
        "I-12",
        "what waits is promoted before it is due",
        Edit(
            "3_claim/_promote.sql",
            " and j.run_after <= v_now\n            order by j.run_after\n            limit 1000",
            "\n            order by j.run_after\n            limit 1000",
        ),
    ),
    _sql(
        "I-12",
        "the delay does not grow with the attempts",
        Edit("5_finish/_end_attempt.sql", "2 ^ least(job.attempts, 30)", "1"),
    ),
    _sql(
        "I-13",
        "there is no unique index",
        Edit(KEYED, _CONFLICT, ""),
        Edit(RETRY, _CONFLICT, ""),
        statements=("drop index rowqueue.jobs_live_unique_key_idx",),
    ),
    _sql(
        "I-19",
        "a unique key is looked for in all workspaces",
        Edit(KEYED, "where l.workspace_id = n.workspace_id and l.job_type", "where l.job_type"),
    ),
    _client(
        "I-20",
        "a worker mixes up the payloads of a batch",
        Habits(reads_another=True),
    ),
    _sql(
        "I-21",
        "retry copies the job instead of moving it",
        Edit(
            RETRY,
            "delete from rowqueue.jobs_finished as f",
            "select f.* into v_old from rowqueue.jobs_finished as f",
        ),
        Edit(RETRY, "returning f.* into v_old;", "limit 1;"),
    ),
    _sql(
        "I-21",
        "a purge counts only what it drops",
        Edit("6_maintain/purge_finished.sql", "return v_purged + v_count;", "return v_purged;"),
    ),
    _sql(
        "I-22",
        "progress may go back",
        Edit(
            "4_run/report_progress.sql", "if v_job.progress -> 'current' >", "if false and null >"
        ),
    ),
    _sql(
        "I-23",
        "nobody takes back what a dead worker held",
        Edit(
            "6_maintain/tick.sql",
            "select count(*) into v_reaped from rowqueue.reap_stuck();",
            "v_reaped := 0;",
        ),
    ),
    _sql(
        "I-24",
        "an error without a code",
        Edit(
            "5_finish/cancel.sql",
            " using errcode = 'RQ102'",
            "",
        ),
    ),
)
